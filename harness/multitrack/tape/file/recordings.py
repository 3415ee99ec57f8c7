"""Recordings: the interactions that one test recorded, and how they are merged into a cassette."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multitrack.tape.file import paths
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_merger import CassetteMerger
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.matching_key import MatchingKey

_APPENDS = "appends"
"""The metadata key in a pending file for the tests whose recordings are appended instead of replacing others."""
_KEEPS_ERRORS = "keeps_errors"
"""The metadata key for the tests that record a failed request like any other request."""
_UNANSWERED = "unanswered"
"""The metadata key for requests that got no response and are not in the recordings, at most one for each test."""
_OF_TESTS = (_APPENDS, _KEEPS_ERRORS, _UNANSWERED)


@dataclass(frozen=True, slots=True)
class Recording:
    """The interactions that one test recorded."""

    interactions: tuple[Interaction, ...]
    test: str | None
    """The node id of the test. ``None`` outside of any test."""
    metadata: Mapping[str, Any]
    appends: bool = False
    """True if the interactions are appended to the cassette instead of replacing the test's interactions."""
    keeps_errors: bool = False
    """True if the test records a failed request like any other request."""
    unanswered: str = ""
    """A request that got no response and is not in the interactions. Empty if there is none."""

    @property
    def size(self) -> int:
        """The size of all bodies in bytes."""
        return sum(len(one.request.body) + len(one.response.body) for one in self.interactions)

    def merge_with(self, merger: CassetteMerger, path: Path) -> None:
        """Merge this recording into the cassette in ``merger``. ``path`` is the path of the cassette."""
        if self.appends:
            merger.append(self.interactions, self.metadata)
            return
        is_own = self.test is not None and paths.is_default_path(path, self.test)
        merger.replace(self.interactions, self.test, self.metadata, is_own=is_own)


@dataclass(frozen=True, slots=True)
class PendingRecordings:
    """The pending recordings for one cassette, at most one for each test."""

    recordings: tuple[Recording, ...] = ()

    @classmethod
    def from_cassette(cls, cassette: Cassette) -> PendingRecordings:
        """Return the recordings in a pending file."""
        appending, keeping = (cassette.metadata.get(name, ()) for name in (_APPENDS, _KEEPS_ERRORS))
        unanswered = cassette.metadata.get(_UNANSWERED, {})
        metadata = {name: value for name, value in cassette.metadata.items() if name not in _OF_TESTS}
        by_test: dict[str | None, list[Interaction]] = {}
        for interaction in cassette.interactions:
            for test in interaction.tests or (None,):
                tests = () if test is None else (test,)
                # an unchanged interaction stays the same object, so that it is not formatted again
                one = interaction if interaction.tests == tests else replace(interaction, tests=tests)
                by_test.setdefault(test, []).append(one)
        return cls(
            tuple(
                Recording(
                    tuple(interactions),
                    test,
                    metadata,
                    test in appending,
                    test in keeping,
                    unanswered.get(test, ""),
                )
                for test, interactions in by_test.items()
            )
        )

    def without(self, *tests: str | None) -> PendingRecordings:
        """Return a copy without the recordings of ``tests``."""
        return PendingRecordings(tuple(one for one in self.recordings if one.test not in tests))

    def with_recording(self, recording: Recording) -> PendingRecordings:
        """Return a copy that includes ``recording``. An earlier recording of the same test is left out."""
        return PendingRecordings((*self.without(recording.test).recordings, recording))

    def apply_to(self, cassette: Cassette, path: Path) -> Cassette:
        """Return ``cassette`` with all of these recordings merged into it. ``path`` is the path of the cassette."""
        return apply_recordings(self.recordings, cassette, path)

    def to_cassette(self) -> Cassette:
        """Return the content of the pending file."""
        merger = CassetteMerger(Cassette())
        for recording in self.recordings:
            merger.append(recording.interactions, recording.metadata)
        cassette = merger.cassette
        of_tests = {
            _APPENDS: [one.test for one in self.recordings if one.appends],
            _KEEPS_ERRORS: [one.test for one in self.recordings if one.keeps_errors],
            _UNANSWERED: {one.test: one.unanswered for one in self.recordings if one.unanswered},
        }
        found = {name: value for name, value in of_tests.items() if value}
        return replace(cassette, metadata={**cassette.metadata, **found})


def apply_recordings(recordings: Iterable[Recording], cassette: Cassette, path: Path) -> Cassette:
    """Return the ``cassette`` at ``path`` with ``recordings`` merged into it, one after the other."""
    merger = CassetteMerger(cassette)
    for recording in recordings:
        recording.merge_with(merger, path)
    return merger.cassette


def is_appended(interaction: Interaction, pending: Cassette) -> bool:
    """Return whether accepting ``pending`` appends ``interaction`` to the cassette.

    If not, accepting replaces earlier interactions in the cassette.
    """
    return not {*pending.metadata.get(_APPENDS, ())}.isdisjoint(interaction.tests or (None,))


def join_recordings(blocks: Sequence[Sequence[Interaction]]) -> list[Interaction]:
    """Combine the recordings of several blocks that opened the same cassette, one block after the other.

    On replay, each block starts again at the first recording. If several blocks sent the same request, only the
    recordings of one block are therefore kept: the block that sent the request most often, or the last one if several
    did.
    """
    if len(blocks) == 1:
        return list(blocks[0])
    keys = [[MatchingKey.from_request(interaction.request) for interaction in block] for block in blocks]
    most: dict[MatchingKey, tuple[int, int]] = {}
    for position, counts in enumerate(map(Counter, keys)):
        for key, count in counts.items():
            most[key] = max(most.get(key, (0, 0)), (count, position))
    return [
        interaction
        for position, block in enumerate(blocks)
        for key, interaction in zip(keys[position], block, strict=True)
        if most[key][1] == position
    ]
