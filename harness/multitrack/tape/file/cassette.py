"""The cassette: the interactions of one tape, with what is known of their making."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from multitrack import wires
from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.matching import body
from multitrack.tape.matching.index import Key, keys_of
from multitrack.tape.matching.rules import Rules

_LEAST_REAL_FIRST: tuple[Provenance, ...] = ("standin", "local", "live")


@dataclass(frozen=True, slots=True)
class Cassette:
    """``metadata`` tells of the making (recorder, SDK versions, time), as plain values."""

    interactions: tuple[Interaction, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    _keys: dict[tuple[Rules, frozenset[str]], Sequence[Key]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def provenance(self) -> Provenance:
        """Where the answers came from; a single one of the stand-in makes it ``standin``."""
        found = {interaction.provenance for interaction in self.interactions}
        return next((kind for kind in _LEAST_REAL_FIRST if kind in found), "live")

    @property
    def is_foreign(self) -> bool:
        """Whether another recorder wrote it, so that nothing on it was scrubbed."""
        return bool(self.interactions) and "format" not in self.metadata

    @property
    def recorded_at(self) -> datetime | None:
        """When it was last recorded on, where it says so."""
        try:
            recorded = datetime.fromisoformat(str(self.metadata.get("recorded_at")))
        except ValueError:
            return None
        return recorded if recorded.tzinfo else recorded.replace(tzinfo=UTC)

    @property
    def placeholders(self) -> frozenset[str]:
        """The plain words on it that stand for private names."""
        return frozenset(self.metadata.get("placeholders", ()))

    def matching_keys(self, rules: Rules, placeholders: frozenset[str]) -> Sequence[Key]:
        """The keys of its interactions in an index, in which ``placeholders`` stand for names; made once, however many
        tests play it."""
        asked = (rules, placeholders)
        if asked not in self._keys:
            self._keys[asked] = keys_of(self.interactions, placeholders, rules.key)
        return self._keys[asked]

    def with_replaced(self, recorded: Iterable[Interaction], test: str | None, metadata: Mapping[str, Any]) -> Cassette:
        """This cassette with ``recorded`` in the place of what ``test`` had recorded before (None: of what no test
        did); what belongs to other tests stays, and what ``test`` shared with them stays theirs. Of what belongs to
        no test, an older answer to a request recorded again goes: it would be played in the new one's place. An
        answer that says what the one before it said keeps its chunks, whose times differ with each recording."""
        recorded = tuple(self._steady(recorded, test))
        answered = {Key.of(interaction.request) for interaction in recorded}
        kept: list[Interaction] = []
        place: int | None = None
        for interaction in self.interactions:
            outdated = not interaction.tests and Key.of(interaction.request) in answered
            if not (outdated or interaction.belongs_to(test)):
                kept.append(interaction)
                continue
            place = len(kept) if place is None else place
            others = tuple(other for other in interaction.tests if other != test)
            if others:
                kept.append(replace(interaction, tests=others))
        place = len(kept) if place is None else place
        return Cassette((*kept[:place], *recorded, *kept[place:]), self._metadata(metadata))

    def _steady(self, recorded: Iterable[Interaction], test: str | None) -> Iterator[Interaction]:
        before: dict[Key, deque[Interaction]] = defaultdict(deque)
        for interaction in self.interactions:
            if interaction.belongs_to(test):
                before[Key.of(interaction.request)].append(interaction)
        for interaction in recorded:
            waiting = before[Key.of(interaction.request)] if before else ()
            yield _with_chunks_of(waiting.popleft(), interaction) if waiting else interaction

    def with_appended(self, recorded: Iterable[Interaction], metadata: Mapping[str, Any]) -> Cassette:
        """This cassette with ``recorded`` behind what it holds."""
        return Cassette((*self.interactions, *recorded), self._metadata(metadata))

    def _metadata(self, new: Mapping[str, Any]) -> Mapping[str, Any]:
        words = sorted({*self.placeholders, *new.get("placeholders", ())})
        return {**new, "placeholders": words} if words else new


def _with_chunks_of(before: Interaction, interaction: Interaction) -> Interaction:
    old, new = before.response, interaction.response
    kind = new.header("content-type")
    alike = (
        before.provenance == interaction.provenance
        and (old.status, old.ending, old.header("content-type")) == (new.status, new.ending, kind)
        and old.chunks.count_events(old.body, kind) == old.chunks.count_events(new.body, kind)
        and _says_the_same(old, new)
    )
    return replace(interaction, response=replace(new, chunks=old.chunks)) if alike else interaction


def _says_the_same(one: Response, other: Response) -> bool:
    wire = wires.recognize(one.body)
    if wire is None or wire != wires.recognize(other.body):
        kind = one.header("content-type")
        return body.canonical(one.body, kind) == body.canonical(other.body, kind)
    return _told(wires.read_answer(one.body, wire)) == _told(wires.read_answer(other.body, wire))


def _told(answer: wires.WireAnswer) -> Sequence[object]:
    # without ids, which each answer has of its own
    calls = [(call.name, call.arguments) for call in answer.calls]
    return calls, answer.text, answer.finish_reason, answer.refusal, answer.error
