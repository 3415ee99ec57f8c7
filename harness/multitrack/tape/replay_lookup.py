"""Find the recordings that would have answered live requests, by the same rules as replay."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.cross_transport import CrossTransportIndex
from multitrack.tape.matching.index import (
    Index,
    KeyFunction,
    MatchingKey,
    RecordedEntry,
    key_of_recording,
    strip_messages,
)
from multitrack.tape.recorder import are_final


class ReplayLookup:
    """The recordings of an index. Each is found once; equal recordings are found in order.

    A temporary error that a later response replaced is never found, because it may not happen in a live run.
    """

    def __init__(
        self,
        index: Index,
        key: KeyFunction = MatchingKey.from_request,
        *,
        filter_request: Callable[[Request], Request] = lambda request: request,
        placeholders: Collection[str] = (),
        allow_repeats: bool = False,
    ) -> None:
        """Create the lookup.

        Args:
            index: The recordings.
            key: Returns the matching key of a request.
            filter_request: Removes the parts of a request that are not compared.
            placeholders: The pseudonyms in live requests.
            allow_repeats: Whether to find the last of several equal recordings any number of times.
        """
        self._index = index
        self._key = key
        self._filter_request = filter_request
        self._placeholders = placeholders
        self._allow_repeats = allow_repeats
        self._calls = CrossTransportIndex(index, key, filter_request)
        finals = are_final([entry.interaction for entry in index.entries])
        for entry, is_final in zip(index.entries, finals, strict=True):
            entry.played = not is_final

    @classmethod
    def from_interactions(cls, interactions: Sequence[Interaction]) -> ReplayLookup:
        """Return a lookup of ``interactions`` with the default matching."""
        return cls(Index(interactions))

    @property
    def unused_entries(self) -> Sequence[RecordedEntry]:
        """The recordings that no request has found."""
        return [entry for entry in self._index.entries if not entry.played]

    def find_recording(self, request: Request) -> RecordedEntry | None:
        """Return the recording that answers a redacted ``request``, and mark it as used. `None` if there is none."""
        if (without_messages := strip_messages(request)) is not request:
            return self._find_conversation(request, without_messages)
        key = self._key_of(request)
        found = self._index.take(key) or self._calls.take(request, self._placeholders, key)
        if found is None and self._allow_repeats:
            found = self._index.find_last_played(key)
        return next((entry for entry in self._index.entries if entry.interaction is found), None)

    def _find_conversation(self, request: Request, without_messages: Request) -> RecordedEntry | None:
        whole_key = self._key_of(request)
        for entry in self._index.find_conversations(self._key_of(without_messages)):
            recorded = entry.interaction
            key = key_of_recording(recorded.request, recorded.provenance, self._index.pseudonyms, self._key)
            if RecordedEntry(entry.position, recorded, key).accepts(whole_key):
                self._index.mark_played(entry, whole_key)
                return entry
        return None

    def _key_of(self, request: Request) -> MatchingKey:
        return self._key(self._filter_request(request), self._placeholders)
