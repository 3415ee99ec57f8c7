"""Merge recordings into a cassette, so that it contains only the latest recording of each test."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from multitrack import wires
from multitrack.tape.exchange import Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.canonical_body import canonicalize_body
from multitrack.tape.matching.matching_key import MatchingKey


class CassetteMerger:
    """A cassette to which recordings are added one after the other.

    The time to add a recording depends on the interactions of its test, and not on the size of the cassette.
    Otherwise, the time to merge the recordings of many tests would grow with the square of their number.
    """

    def __init__(self, cassette: Cassette) -> None:
        self._groups: list[list[Interaction]] = []
        """The interactions in the order of the file. An interaction is replaced within its group."""
        self._groups_by_test: dict[str | None, set[int]] = defaultdict(set)
        """For each test, the positions of the groups that can contain its interactions. ``None`` stands for no test."""
        self._metadata = cassette.metadata
        for interaction in cassette.interactions:
            self._append_group([interaction])

    @property
    def cassette(self) -> Cassette:
        """The cassette with all recordings that were added."""
        return Cassette(tuple(one for group in self._groups for one in group), self._metadata)

    def append(self, recorded: Sequence[Interaction], metadata: Mapping[str, Any]) -> None:
        """Add ``recorded`` at the end of the cassette. ``metadata`` is the metadata of the recording."""
        self._append_group(list(recorded))
        self._merge_metadata(metadata)

    def replace(
        self, recorded: Sequence[Interaction], test: str | None, metadata: Mapping[str, Any], *, is_own: bool = False
    ) -> None:
        """Add ``recorded``, and remove the interactions that ``test`` had recorded before.

        Other tests' interactions stay. If ``test`` shared an interaction with other tests, it then belongs only to
        the other tests.

        An interaction that belongs to no test, or to an earlier name of ``test``, is removed if ``recorded`` contains
        its request. If it stayed, it would be replayed instead of the new one.

        If a response's content did not change, its previous chunks stay, because chunk times differ between
        recordings.

        Args:
            recorded: The new interactions.
            test: The test that recorded them. ``None`` to replace the interactions that belong to no test.
            metadata: The metadata of the recording.
            is_own: Whether this is the default cassette of ``test`` and of no other test. If so, any other test name
                in the cassette is an earlier name of ``test``.
        """
        affected = (
            range(len(self._groups)) if is_own else sorted(self._groups_by_test[test] | self._groups_by_test[None])
        )
        recorded = list(self._keep_chunks(recorded, test, affected))
        recorded_keys = {MatchingKey.from_request(interaction.request) for interaction in recorded}
        insert_at: tuple[int, int] | None = None
        for position in affected:
            kept: list[Interaction] = []
            for interaction in self._groups[position]:
                may_be_outdated = is_own or not interaction.tests
                is_outdated = may_be_outdated and MatchingKey.from_request(interaction.request) in recorded_keys
                if not (is_outdated or interaction.belongs_to(test)):
                    kept.append(interaction)
                    continue
                insert_at = (position, len(kept)) if insert_at is None else insert_at
                others = tuple(other for other in interaction.tests if other != test)
                if others and not is_outdated:
                    kept.append(replace(interaction, tests=others))
            self._groups[position] = kept
        if insert_at is None:
            self._append_group(recorded)
        else:
            position, start = insert_at
            self._groups[position][start:start] = recorded
            self._add_to_index(position, recorded)
        self._merge_metadata(metadata)

    def _append_group(self, group: list[Interaction]) -> None:
        self._groups.append(group)
        self._add_to_index(len(self._groups) - 1, group)

    def _add_to_index(self, position: int, interactions: Iterable[Interaction]) -> None:
        for interaction in interactions:
            for test in interaction.tests or (None,):
                self._groups_by_test[test].add(position)

    def _keep_chunks(
        self, recorded: Iterable[Interaction], test: str | None, affected: Iterable[int]
    ) -> Iterator[Interaction]:
        previous: dict[MatchingKey, deque[Interaction]] = defaultdict(deque)
        for position in affected:
            for interaction in self._groups[position]:
                if interaction.belongs_to(test):
                    previous[MatchingKey.from_request(interaction.request)].append(interaction)
        for interaction in recorded:
            same_requests = previous[MatchingKey.from_request(interaction.request)] if previous else ()
            yield _with_chunks_of(same_requests.popleft(), interaction) if same_requests else interaction

    def _merge_metadata(self, new: Mapping[str, Any]) -> None:
        words = sorted({*self._metadata.get("placeholders", ()), *new.get("placeholders", ())})
        self._metadata = {**new, "placeholders": words} if words else new


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
