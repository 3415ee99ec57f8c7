"""The cassette: the interactions of one tape, with what is known of their making."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.matching import Key

_LEAST_REAL_FIRST: tuple[Provenance, ...] = ("standin", "local", "live")


@dataclass(frozen=True, slots=True)
class Cassette:
    """``metadata`` tells of the making (recorder, SDK versions, time), as plain values."""

    interactions: tuple[Interaction, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

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
    def placeholders(self) -> frozenset[str]:
        """The plain words on it that stand for private names."""
        return frozenset(self.metadata.get("placeholders", ()))

    def merged(self, recorded: Iterable[Interaction], test: str | None, metadata: Mapping[str, Any]) -> Cassette:
        """This cassette with ``recorded`` in the place of what ``test`` had recorded before (None: of what no test
        did); what belongs to other tests stays, and what ``test`` shared with them stays theirs. Of what belongs to
        no test, an older answer to a request recorded again goes: it would be played in the new one's place."""
        recorded = tuple(recorded)
        answered = {Key.of(interaction.request) for interaction in recorded}
        kept: list[Interaction] = []
        place: int | None = None
        for interaction in self.interactions:
            outdated = not interaction.tests and Key.of(interaction.request) in answered
            if not (outdated or interaction.is_of(test)):
                kept.append(interaction)
                continue
            place = len(kept) if place is None else place
            others = tuple(other for other in interaction.tests if other != test)
            if others:
                kept.append(replace(interaction, tests=others))
        place = len(kept) if place is None else place
        return Cassette((*kept[:place], *recorded, *kept[place:]), self._metadata(metadata))

    def extended(self, recorded: Iterable[Interaction], metadata: Mapping[str, Any]) -> Cassette:
        """This cassette with ``recorded`` behind what it holds."""
        return Cassette((*self.interactions, *recorded), self._metadata(metadata))

    def _metadata(self, new: Mapping[str, Any]) -> Mapping[str, Any]:
        words = sorted({*self.placeholders, *new.get("placeholders", ())})
        return {**new, "placeholders": words} if words else new
