"""The cassette: interactions, and metadata about how they were recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from multitrack.tape.interaction import Interaction, Provenance
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
        """Return the matching keys of the interactions.

        ``placeholders`` are the pseudonyms that the interactions may contain. The keys are computed only once, even if
        many tests use the cassette.
        """
        arguments = (rules, placeholders)
        if arguments not in self._keys:
            earlier = self._earlier_keys.pop(arguments, {})
            new = [one for one in self.interactions if id(one) not in earlier]
            computed = iter(keys_of_recordings(new, placeholders, rules.make_key))
            self._keys[arguments] = [
                earlier[id(one)][1] if id(one) in earlier else next(computed) for one in self.interactions
            ]
        return self._keys[arguments]

    def reuse_keys(self, earlier: Cassette) -> None:
        """Take over matching keys from ``earlier``, an earlier version of the cassette.

        The keys of interactions that are the same objects in both versions are not computed again.
        """
        for arguments, keys in earlier._keys.items():
            pairs = zip(earlier.interactions, keys, strict=True)
            # the interactions are kept, because their ids are only unique while they exist
            self._earlier_keys[arguments] = {id(one): (one, key) for one, key in pairs}
