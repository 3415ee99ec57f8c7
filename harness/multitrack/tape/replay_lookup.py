"""The recordings that would have answered requests which went live, found as replay finds them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import Entry, Index, Key, KeyOf, key_of, unsent
from multitrack.tape.matching.method_calls import MethodCalls
from multitrack.tape.recorder import are_final


class ReplayLookup:
    """The entries of ``index``, each given once, the first of equal ones first.

    ``key`` makes the key of a request, in which ``placeholders`` stand for names; ``left`` leaves of a request what
    takes part in matching; with ``repeats``, the last one of equal ones is given again. An error of the moment that
    was made good is no answer: who asks live may be spared it.
    """

    def __init__(
        self,
        index: Index,
        key: KeyOf = Key.of,
        *,
        filter_request: Callable[[Request], Request] = lambda request: request,
        placeholders: Collection[str] = (),
        allow_repeats: bool = False,
    ) -> None:
        self._index = index
        self._key = key
        self._filter_request = filter_request
        self._placeholders = placeholders
        self._allow_repeats = allow_repeats
        self._calls = MethodCalls(index, key, filter_request)
        lasting = are_final([entry.interaction for entry in index.entries])
        for entry, lasts in zip(index.entries, lasting, strict=True):
            entry.played = not lasts

    @classmethod
    def from_interactions(cls, recorded: Sequence[Interaction]) -> ReplayLookup:
        """Those among ``recorded``, as they stand there."""
        return cls(Index(recorded))

    @property
    def unused_entries(self) -> Sequence[Entry]:
        """What no request has asked for."""
        return [entry for entry in self._index.entries if not entry.played]

    def find_recording(self, request: Request) -> Entry | None:
        """The entry that answers the scrubbed ``request``, which is taken from now on; None where there is none."""
        if (begun := unsent(request)) is not request:
            return self._conversation(request, begun)
        key = self._of(request)
        found = self._index.take(key) or self._calls.take(request, self._placeholders, key)
        if found is None and self._allow_repeats:
            found = self._index.again(key)
        return next((entry for entry in self._index.entries if entry.interaction is found), None)

    def _conversation(self, request: Request, begun: Request) -> Entry | None:
        whole = self._of(request)
        for entry in self._index.begun(self._of(begun)):
            recorded = entry.interaction
            key = key_of(recorded.request, recorded.provenance, self._index.placeholders, self._key)
            if Entry(entry.position, recorded, key).takes(whole):
                self._index.play(entry, whole)
                return entry
        return None

    def _of(self, request: Request) -> Key:
        return self._key(self._filter_request(request), self._placeholders)
