"""Find the recording that belongs to a request, both on replay and in a drift run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from multitrack.tape import jsontext
from multitrack.tape.conversation_candidates import ConversationCandidates, create_message_request
from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.canonical_request import CanonicalRequest
from multitrack.tape.matching.cross_transport import CrossTransportCandidates, CrossTransportIndex
from multitrack.tape.matching.index import Index, RecordedEntry
from multitrack.tape.matching.matching_key import KeyFunction, MatchingKey
from multitrack.tape.matching.replay_state import ReplayState
from multitrack.tape.temporary_errors import are_final


class ReplayLookup:
    """A lookup that finds the recording for a request.

    Each recording is found only once, unless repeats are allowed. Equal recordings are found in the order of the
    cassette.
    """

    def __init__(
        self,
        index: Index,
        make_key: KeyFunction = MatchingKey.from_request,
        *,
        filter_recorded: Callable[[Request], Request] = lambda request: request,
        canonicalize_redacted: Callable[[Request], CanonicalRequest] = CanonicalRequest.from_request,
        find_mismatch: Callable[[Request, Request], str | None] | None = None,
        allow_repeats: bool = False,
    ) -> None:
        """Create the lookup.

        Args:
            index: The recordings.
            make_key: Returns the matching key of a redacted request.
            filter_recorded: Applies the project's vcrpy filters to a recorded request.
            canonicalize_redacted: Returns the canonical form of a redacted live request.
            find_mismatch: Called with a sent and a recorded request. Returns the reason why the project's matchers
                reject the recorded request, or ``None`` if they accept it. Leave ``find_mismatch`` out if the project
                has no matchers.
            allow_repeats: Whether to find the last recording again for a request that is sent more often than it was
                recorded.
        """
        self.state = ReplayState(index)
        self._make_key = make_key
        self._canonicalize_redacted = canonicalize_redacted
        self._filter_recorded = filter_recorded
        self._find_mismatch = find_mismatch
        self._allow_repeats = allow_repeats
        self._calls = CrossTransportIndex(self.state, make_key, filter_recorded)

    @classmethod
    def from_interactions(cls, interactions: Sequence[Interaction]) -> ReplayLookup:
        """Return a lookup of ``interactions`` with the default matching."""
        return cls(Index(interactions))

    @property
    def index(self) -> Index:
        """The recordings."""
        return self.state.index

    @property
    def unplayed_entries(self) -> Sequence[RecordedEntry]:
        """The recordings that have not been played yet."""
        return [entry for entry in self.index.entries if not self.state.was_ever_played(entry)]

    def find_recording(self, sent: CanonicalRequest) -> RecordedEntry | None:
        """Return the recording that answers ``sent``, and mark it as played. ``None`` if there is none."""
        if self._find_mismatch is None:
            accepts = None
            found = self.state.take(sent.key) or self._calls.take(sent)
        else:
            # the project's matchers cannot compare requests over different transports
            accepts = partial(self._accepts, sent.request)
            found = self.state.take(sent.key, accepts)
        if found is None and self._allow_repeats:
            return self.state.find_last_played(sent.key, accepts)
        return found

    def find_rejection(self, sent: Request, entry: RecordedEntry) -> str | None:
        """Return why the matchers reject ``entry`` as the recording of ``sent``, or ``None`` if they accept it."""
        if self._find_mismatch is None:
            return None
        return self._find_mismatch(sent, self._filter_recorded(entry.interaction.request))

    def _accepts(self, sent: Request, entry: RecordedEntry) -> bool:
        return self.find_rejection(sent, entry) is None

    def find_conversation(self, start: CanonicalRequest) -> ConversationCandidates | None:
        """Return the recordings that can answer a streaming request. ``None`` if there are none.

        Args:
            start: The request as it is before its first message.
        """
        entries = self.state.find_conversations(start.key, allow_repeats=self._allow_repeats)
        return ConversationCandidates(entries, self.state, self._make_key) if entries else None

    def find_over_other_transports(self, sent: CanonicalRequest) -> CrossTransportCandidates | None:
        """Return the recordings of calls to the same method over other transports. None if there are none."""
        return self._calls.find_candidates(sent)

    def find_recording_of(self, sent: Request, *, has_ended: bool = True) -> RecordedEntry | None:
        """Return the recording that replay would have chosen for a live request, and mark it as played.

        Args:
            sent: The redacted request, with all messages that it streamed.
            has_ended: Whether the client had sent all its messages.
        """
        if not sent.streams_messages:
            return self.find_recording(self._canonicalize_redacted(sent))
        candidates = self.find_conversation(self._canonicalize_redacted(sent.without_messages))
        if candidates is None:
            return None
        try:
            messages = jsontext.parse(sent.body)
        except ValueError:
            return None
        for position, message in enumerate(messages):
            one = create_message_request(sent, message)
            if candidates.keep_with_message(position, self._canonicalize_redacted(one).key, one) is not None:
                return None
        if has_ended and candidates.keep_with_end(len(messages)) is not None:
            return None
        return candidates.choose(candidates.unplayed[0])

    def skip_replaced_errors(self) -> None:
        """Skip temporary errors before a final response, because a live run might not get the same errors."""
        finals = are_final([entry.interaction for entry in self.index.entries])
        for entry, is_final in zip(self.index.entries, finals, strict=True):
            if not is_final:
                self.state.mark_played(entry)
