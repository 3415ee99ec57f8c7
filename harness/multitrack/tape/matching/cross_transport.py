"""Match requests with recordings of the same Vertex AI call over the other transport (gRPC or REST)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from multitrack.tape.exchange import Request
from multitrack.tape.google import transcoding
from multitrack.tape.google.transcoding import VertexUrl
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.canonical_request import CanonicalRequest
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import KeyFunction, MatchingKey, key_of_recording
from multitrack.tape.matching.replay_state import ReplayState


@dataclass(frozen=True, slots=True)
class CrossTransportCandidates:
    """A request, and the recordings of the same method over other transports.

    All requests and keys are in the canonical form that ``transcoding.canonical_call`` returns. If a call has no
    canonical form, ``problem`` says why. If the live call has none, ``request`` is the unchanged live request, and
    ``recorded`` is empty.
    """

    request: Request
    key: MatchingKey
    recorded: Sequence[tuple[RecordedEntry, Request]] = ()
    problem: str | None = None

    @property
    def matching_entries(self) -> Sequence[RecordedEntry]:
        """The recordings that match the request."""
        return [entry for entry, _ in self.recorded if entry.accepts(self.key)]


class CrossTransportIndex:
    """An index of the recorded calls that can be sent over more than one transport.

    Google's packages are imported only if a request and a recording could be the same call.
    """

    def __init__(self, state: ReplayState, make_key: KeyFunction, filter_request: Callable[[Request], Request]) -> None:
        """Create the index.

        Args:
            state: All of the tape's interactions, and which of them were replayed.
            make_key: Returns the matching key of a call.
            filter_request: Applies the user's filters to a recorded request.
        """
        self._state = state
        self._index = state.index
        self._make_key = make_key
        self._filter_request = filter_request
        self._calls: dict[tuple[int, str], tuple[Request, MatchingKey] | str] = {}

    def take(self, sent: CanonicalRequest) -> RecordedEntry | None:
        """Find an unplayed recording of ``sent`` over another transport, and mark it as replayed.

        Returns the recording, or None if there is none.
        """
        candidates = self.find_candidates(sent)
        if candidates is None:
            return None
        # equal keys before keys that match only through a wildcard
        for entry, _ in sorted(candidates.recorded, key=lambda pair: pair[0].key.body != candidates.key.body):
            # the end of an incomplete response depends on its transport, so the other transport cannot replay it
            is_complete = entry.interaction.response.ending == "complete"
            if not self._state.is_played(entry) and is_complete and entry.accepts(candidates.key):
                return self._state.mark_played(self._index.entries[entry.position - 1], sent.key)
        return None

    def find_candidates(self, sent: CanonicalRequest) -> CrossTransportCandidates | None:
        """Return the recordings of the same method over other transports. None if there are none."""
        url = VertexUrl.parse(sent.request.url)
        if url is None or not (entries := list(self._find_entries(url))):
            return None
        try:
            call = transcoding.canonical_call(sent.request, url.version)
        except ValueError as error:
            return CrossTransportCandidates(sent.request, sent.key, problem=str(error))
        recorded: list[tuple[RecordedEntry, Request]] = []
        problem = None
        for entry in entries:
            found = self._canonicalize_cached(entry, url.version)
            if isinstance(found, str):
                problem = problem or found
            else:
                recorded.append((entry._replace(key=found[1]), found[0]))
        return CrossTransportCandidates(call, self._make_key(call, sent.pseudonyms), recorded, problem)

    def _find_entries(self, url: VertexUrl) -> Iterator[RecordedEntry]:
        for entry in self._index.entries:
            recorded = VertexUrl.parse(entry.interaction.request.url)
            if recorded is not None and recorded.method == url.method and recorded.encoding != url.encoding:
                yield entry

    def _canonicalize_cached(self, entry: RecordedEntry, version: str) -> tuple[Request, MatchingKey] | str:
        cache_key = (entry.position, version)
        if cache_key not in self._calls:
            self._calls[cache_key] = self._canonicalize(entry.interaction, version)
        return self._calls[cache_key]

    def _canonicalize(self, interaction: Interaction, version: str) -> tuple[Request, MatchingKey] | str:
        """Return the canonical form of a recorded call and its matching key.

        If the call has no canonical form, return the reason.
        """
        try:
            call = transcoding.canonical_call(self._filter_request(interaction.request), version)
        except ValueError as error:
            return str(error)
        return call, key_of_recording(call, interaction.provenance, self._index.pseudonyms, self._make_key)
