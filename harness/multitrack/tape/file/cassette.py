"""The cassette: interactions, and metadata about how they were recorded."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from multitrack import wires
from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.matching.canonical_body import canonicalize_body
from multitrack.tape.matching.matching_key import MatchingKey, keys_of_recordings
from multitrack.tape.matching.rules import MatchingRules

FORMAT = 1
"""The format version, which is stored in each cassette's metadata."""

_PROVENANCE_PRIORITY: tuple[Provenance, ...] = ("standin", "local", "corpus", "live")


@dataclass(frozen=True, slots=True)
class Cassette:
    """The content of a cassette file."""

    interactions: tuple[Interaction, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the recording, as plain values: format, recorder, SDK versions, time, pseudonyms."""
    _keys: dict[tuple[MatchingRules, frozenset[str]], Sequence[MatchingKey]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def provenance(self) -> Provenance:
        """The provenance of the responses.

        This is the first of ``standin``, ``local``, ``corpus`` and ``live`` that any response has.
        """
        found = {interaction.provenance for interaction in self.interactions}
        return next((kind for kind in _PROVENANCE_PRIORITY if kind in found), "live")

    @property
    def is_foreign(self) -> bool:
        """True if another recorder wrote the cassette. The content of such a cassette has not been redacted."""
        return bool(self.interactions) and "format" not in self.metadata

    @property
    def recorded_at(self) -> datetime | None:
        """The time of the last recording. None if the metadata does not contain it."""
        try:
            recorded = datetime.fromisoformat(str(self.metadata.get("recorded_at")))
        except ValueError:
            return None
        return recorded if recorded.tzinfo else recorded.replace(tzinfo=UTC)

    @property
    def placeholders(self) -> frozenset[str]:
        """The pseudonyms in the cassette."""
        return frozenset(self.metadata.get("placeholders", ()))

    def matching_keys(self, rules: MatchingRules, placeholders: frozenset[str]) -> Sequence[MatchingKey]:
        """Return the matching keys of the interactions. ``placeholders`` are the pseudonyms that they may contain.

        The keys are computed only once, even if many tests use the cassette.
        """
        arguments = (rules, placeholders)
        if arguments not in self._keys:
            self._keys[arguments] = keys_of_recordings(self.interactions, placeholders, rules.make_key)
        return self._keys[arguments]

    def with_replaced(
        self,
        recorded: Iterable[Interaction],
        test: str | None,
        metadata: Mapping[str, Any],
        *,
        is_own: bool = False,
    ) -> Cassette:
        """Return this cassette with ``recorded`` instead of the interactions that ``test`` had recorded before.

        Other tests' interactions stay. If ``test`` shared an interaction with other tests, it now belongs to the
        other tests only.

        An interaction that belongs to no test, or to an earlier name of ``test``, is removed if its request was
        recorded again. Otherwise, it would be replayed instead of the new interaction.

        If a response's content did not change, its previous chunks stay, because chunk times differ between
        recordings.

        Args:
            recorded: The new interactions.
            test: The test that recorded them. ``None`` to replace the interactions that belong to no test.
            metadata: The recording's metadata.
            is_own: Whether this is the default cassette of ``test`` and of no other test. If so, any other test name
                in the cassette is an earlier name of ``test``.
        """
        recorded = tuple(self._keep_chunks(recorded, test))
        recorded_keys = {MatchingKey.from_request(interaction.request) for interaction in recorded}
        kept: list[Interaction] = []
        insert_at: int | None = None
        for interaction in self.interactions:
            may_be_outdated = is_own or not interaction.tests
            is_outdated = may_be_outdated and MatchingKey.from_request(interaction.request) in recorded_keys
            if not (is_outdated or interaction.belongs_to(test)):
                kept.append(interaction)
                continue
            insert_at = len(kept) if insert_at is None else insert_at
            others = tuple(other for other in interaction.tests if other != test)
            if others and not is_outdated:
                kept.append(replace(interaction, tests=others))
        insert_at = len(kept) if insert_at is None else insert_at
        return Cassette((*kept[:insert_at], *recorded, *kept[insert_at:]), self._merge_metadata(metadata))

    def _keep_chunks(self, recorded: Iterable[Interaction], test: str | None) -> Iterator[Interaction]:
        previous: dict[MatchingKey, deque[Interaction]] = defaultdict(deque)
        for interaction in self.interactions:
            if interaction.belongs_to(test):
                previous[MatchingKey.from_request(interaction.request)].append(interaction)
        for interaction in recorded:
            same_requests = previous[MatchingKey.from_request(interaction.request)] if previous else ()
            yield _with_chunks_of(same_requests.popleft(), interaction) if same_requests else interaction

    def with_appended(self, recorded: Iterable[Interaction], metadata: Mapping[str, Any]) -> Cassette:
        """Return this cassette with ``recorded`` appended."""
        return Cassette((*self.interactions, *recorded), self._merge_metadata(metadata))

    def _merge_metadata(self, new: Mapping[str, Any]) -> Mapping[str, Any]:
        words = sorted({*self.placeholders, *new.get("placeholders", ())})
        return {**new, "placeholders": words} if words else new


def _with_chunks_of(previous: Interaction, interaction: Interaction) -> Interaction:
    old, new = previous.response, interaction.response
    kind = new.header("content-type")
    has_same_content = (
        previous.provenance == interaction.provenance
        and (old.status, old.ending, old.header("content-type")) == (new.status, new.ending, kind)
        and old.chunks.count_events(old.body, kind) == old.chunks.count_events(new.body, kind)
        and _has_same_answer(old, new)
    )
    return replace(interaction, response=replace(new, chunks=old.chunks)) if has_same_content else interaction


def _has_same_answer(one: Response, other: Response) -> bool:
    wire = wires.recognize(one.body)
    if wire is None or wire != wires.recognize(other.body):
        kind = one.header("content-type")
        return canonicalize_body(one.body, kind) == canonicalize_body(other.body, kind)
    return _essence(wires.read_answer(one.body, wire)) == _essence(wires.read_answer(other.body, wire))


def _essence(answer: wires.WireAnswer) -> Sequence[object]:
    # without ids, which are different in each response
    calls = [(call.name, call.arguments) for call in answer.calls]
    return calls, answer.text, answer.finish_reason, answer.refusal, answer.error
