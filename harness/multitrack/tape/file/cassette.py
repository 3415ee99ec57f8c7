"""The content of a cassette: interactions, and metadata about how they were recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from multitrack.tape.file.recent_items import keep_last
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.matching.index import Index
from multitrack.tape.matching.matching_key import MatchingKey, keys_of_recordings
from multitrack.tape.matching.rules import MatchingRules

FORMAT = 1
"""The format version, which is stored in each cassette's metadata."""

_MAX_INDEXES = 32

_PROVENANCE_PRIORITY: tuple[Provenance, ...] = ("standin", "local", "corpus", "live")


@dataclass(frozen=True)
class Cassette:
    """The content of a cassette file."""

    interactions: tuple[Interaction, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the recording, as plain values: format, recorder, SDK versions, time, pseudonyms."""
    _indexes: dict[tuple[MatchingRules, frozenset[str]], Index] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _earlier_keys: dict[tuple[MatchingRules, frozenset[str]], dict[int, tuple[Interaction, MatchingKey]]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def provenance(self) -> Provenance:
        """The provenance of the responses.

        ``standin`` if any response has it, otherwise ``local`` if any has it, otherwise ``corpus`` if any has it,
        otherwise ``live``.
        """
        found = {interaction.provenance for interaction in self.interactions}
        return next((kind for kind in _PROVENANCE_PRIORITY if kind in found), "live")

    @property
    def is_foreign(self) -> bool:
        """True if another recorder wrote the cassette. The content of such a cassette has not been redacted."""
        return bool(self.interactions) and "format" not in self.metadata

    @property
    def recorded_at(self) -> datetime | None:
        """The time of the most recent recording. None if the metadata does not contain this time."""
        try:
            recorded = datetime.fromisoformat(str(self.metadata.get("recorded_at")))
        except ValueError:
            return None
        return recorded if recorded.tzinfo else recorded.replace(tzinfo=UTC)

    @property
    def placeholders(self) -> frozenset[str]:
        """The pseudonyms in the cassette."""
        return frozenset(self.metadata.get("placeholders", ()))

    def find_positions(self, test: str | None) -> Sequence[int]:
        """Return the positions, from 1, of the interactions that ``test`` recorded, in order.

        ``None`` stands for the interactions that name no test.
        """
        return self._positions.get(test, ())

    @cached_property
    def _positions(self) -> Mapping[str | None, Sequence[int]]:
        positions: dict[str | None, list[int]] = {}
        for position, interaction in enumerate(self.interactions, start=1):
            for test in dict.fromkeys(interaction.tests) or (None,):
                positions.setdefault(test, []).append(position)
        return positions

    def index(self, rules: MatchingRules, placeholders: frozenset[str]) -> Index:
        """Return the index of the interactions.

        ``placeholders`` are the pseudonyms that the interactions may contain. The index is built only once, even if
        many tests use the cassette.
        """
        arguments = (rules, placeholders)
        index = self._indexes.pop(arguments, None)
        if index is None:
            earlier = self._earlier_keys.pop(arguments, {})
            new = [one for one in self.interactions if id(one) not in earlier]
            computed = iter(keys_of_recordings(new, placeholders, rules.make_key))
            keys = [earlier[id(one)][1] if id(one) in earlier else next(computed) for one in self.interactions]
            index = Index(self.interactions, placeholders, keys)
        # each test may have its own rules
        keep_last(self._indexes, arguments, index, _MAX_INDEXES)
        return index

    def reuse_keys(self, earlier: Cassette) -> None:
        """Reuse the matching keys of ``earlier``, an earlier version of this cassette.

        If both versions contain the same interaction object, the key of this interaction is not computed again.
        """
        for arguments, index in earlier._indexes.copy().items():
            # the interactions are kept, because their ids are only unique while they exist
            self._earlier_keys[arguments] = {id(e.interaction): (e.interaction, e.key) for e in index.entries}
