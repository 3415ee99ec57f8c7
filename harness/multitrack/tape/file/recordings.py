"""Takes: what one test recorded in one go, and how it comes onto a tape: at once, or when it is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import Key

_APPENDS = "appends"
"""Whose takes, of those in a pending file, replace nothing: its name in the file's metadata."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The new ``interactions`` of ``test`` (None: of no test); ``appends`` whether they stand behind what the tape
    holds, and not in the place of what the test had recorded before."""

    interactions: tuple[Interaction, ...]
    test: str | None
    metadata: Mapping[str, Any]
    appends: bool = False

    def apply_to(self, cassette: Cassette) -> Cassette:
        """``cassette`` with this take."""
        if self.appends:
            return cassette.with_appended(self.interactions, self.metadata)
        return cassette.with_replaced(self.interactions, self.test, self.metadata)


@dataclass(frozen=True, slots=True)
class PendingRecordings:
    """The takes that wait beside one tape, one of each test."""

    recordings: tuple[Recording, ...] = ()

    @classmethod
    def from_cassette(cls, cassette: Cassette) -> PendingRecordings:
        """What stands in a pending file."""
        appending = cassette.metadata.get(_APPENDS, ())
        metadata = {name: value for name, value in cassette.metadata.items() if name != _APPENDS}
        found: dict[str | None, list[Interaction]] = {}
        for interaction in cassette.interactions:
            for test in interaction.tests or (None,):
                tests = () if test is None else (test,)
                found.setdefault(test, []).append(replace(interaction, tests=tests))
        return cls(tuple(Recording(tuple(those), test, metadata, test in appending) for test, those in found.items()))

    def without(self, test: str | None) -> PendingRecordings:
        """These but for that of ``test``."""
        return PendingRecordings(tuple(one for one in self.recordings if one.test != test))

    def with_recording(self, take: Recording) -> PendingRecordings:
        """These with ``take`` in the place of an earlier one of its test."""
        return PendingRecordings((*self.without(take.test).recordings, take))

    def apply_to(self, cassette: Cassette) -> Cassette:
        """``cassette`` with all of them."""
        for take in self.recordings:
            cassette = take.apply_to(cassette)
        return cassette

    def to_cassette(self) -> Cassette:
        """What stands in the file that holds them."""
        cassette = Cassette()
        for take in self.recordings:
            cassette = cassette.with_appended(take.interactions, take.metadata)
        appending = [one.test for one in self.recordings if one.appends]
        return replace(cassette, metadata={**cassette.metadata, **({_APPENDS: appending} if appending else {})})


def join_recordings(blocks: Sequence[Sequence[Interaction]]) -> list[Interaction]:
    """What was recorded by ``blocks`` that each play the same tape from its start: of equal requests, those of the
    block that sent the most of them, the last of such blocks."""
    if len(blocks) == 1:
        return list(blocks[0])
    keys = [[Key.of(interaction.request) for interaction in block] for block in blocks]
    most: dict[Key, tuple[int, int]] = {}
    for position, counts in enumerate(map(Counter, keys)):
        for key, count in counts.items():
            most[key] = max(most.get(key, (0, 0)), (count, position))
    return [
        interaction
        for position, block in enumerate(blocks)
        for key, interaction in zip(keys[position], block, strict=True)
        if most[key][1] == position
    ]
