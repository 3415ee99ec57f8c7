"""A conversation: a streaming request, and the recording that answers it.

When the call begins, it is unknown which recording matches, so all recordings of the method are candidates. Each
message from the client rules out the candidates that lack this message. The client receives the responses of the first
remaining candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from multitrack.errors import CassetteMiss
from multitrack.tape.conversation_candidates import ConversationCandidates, Mismatch
from multitrack.tape.exchange import Replay, Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.interleaving import CLOSED
from multitrack.tape.matching.difference import Difference
from multitrack.tape.matching.matching_key import KeyFunction, MatchingKey
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.wording import count_noun

AddDivergence = Callable[[Request, str, Sequence[Difference]], CassetteMiss]
"""Fails the test and returns the miss to raise.

Takes a redacted request, the reason, and the differences in its last message.
"""


class RecordedConversation:
    """The replay of a streaming request (see ``exchange.Conversation``). Thread-safe."""

    def __init__(
        self,
        request: Request,
        candidates: ConversationCandidates,
        *,
        normalizer: RequestNormalizer,
        make_key: KeyFunction = MatchingKey.from_request,
        lock: AbstractContextManager[object],
        play: Callable[[Interaction], Replay],
        add_divergence: AddDivergence,
    ) -> None:
        """Create the conversation.

        Args:
            request: The request. The interceptor appends messages to it.
            candidates: The recordings that can answer the request.
            normalizer: Redacts messages before they are compared.
            make_key: Returns the matching key of a redacted request.
            lock: The tape's lock.
            play: Marks an interaction as replayed and returns its replay.
            add_divergence: Called if no candidate is left.
        """
        self._request = request
        self._candidates = candidates
        self._normalizer = normalizer
        self._make_key = make_key
        self._lock = lock
        self._play = play
        self._add_divergence = add_divergence
        self._sent_count: float = 0

    def match_message(self) -> None:
        """Compare the last message of the request with the recordings' messages at the same position.

        Raises ``CassetteMiss`` if no recording has this message there.
        """
        with self._lock:
            position = int(self._sent_count)
            self._sent_count += 1
            sent = self._redact_message(position)
            key = self._make_key(sent, self._normalizer.pseudonyms)
            self._raise_if(self._candidates.keep_with_message(position, key, sent))

    def match_end(self) -> None:
        """Handle the end of the client's messages: drop all recordings with more messages.

        Raises ``CassetteMiss`` if no recording is left.
        """
        with self._lock:
            count, self._sent_count = int(self._sent_count), CLOSED
            self._raise_if(self._candidates.keep_with_end(count))

    def find_replay(self) -> Replay | None:
        """Return the replay of the matching recording. ``None`` if the client must first send more messages.

        Raises ``CassetteMiss`` if earlier calls have already replayed all matching recordings.
        """
        with self._lock:
            if not (unplayed := self._candidates.unplayed):
                self._raise_if(self._candidates.explain_played())
            for candidate in unplayed:
                try:
                    required_count = candidate.interleaving.requests_before(0)
                except ValueError as error:
                    reason = candidate.explain_unreadable(error)
                    raise self._add_divergence(self._redact_message(None), reason, ()) from error
                if self._sent_count >= required_count:
                    return self._play(self._candidates.choose(candidate).interaction)
        return None

    def abandon(self) -> None:
        """Handle a client that has gone away.

        The recording that would have answered this client counts as replayed.
        """
        with self._lock:
            if not self._candidates.is_decided and (unplayed := self._candidates.unplayed):
                self._play(self._candidates.choose(unplayed[0]).interaction)

    def resolve_stall(self) -> CassetteMiss:
        """Return the miss for a client that is waiting for a response although it must send more messages first."""
        with self._lock:
            nearest = self._candidates.nearest
            messages = count_noun(int(self._sent_count), "message")
            reason = (
                f"the client sent {messages} and waits for a response; in {nearest}, the response comes after more "
                f"messages"
            )
            return self._add_divergence(self._redact_message(None), reason, ())

    def _raise_if(self, mismatch: Mismatch | None) -> None:
        if mismatch is not None:
            raise self._add_divergence(self._redact_message(None), *mismatch)

    def _redact_message(self, position: int | None) -> Request:
        """Return the redacted request with only the message at ``position``, or without messages if ``position`` is
        None.
        """
        messages = self._request.messages or []
        content = b"[" + messages[position] + b"]" if position is not None else b"[]"
        request = replace(self._request, body=content, messages=None)
        self._normalizer.learn(request)
        return self._normalizer.redact(request)


class DroppedConversation:
    """A conversation whose request is dropped: nothing is sent, and the client gets a successful response.

    The response becomes available when the client has sent everything, or when it has waited for some time.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._is_over = False

    def match_message(self) -> None:
        """Do nothing, because the response does not depend on the client's messages."""

    def match_end(self) -> None:
        """Make the response available."""
        self._is_over = True

    def find_replay(self) -> Replay | None:
        """Return the response if it is already available, otherwise ``None``."""
        return self._replay if self._is_over else None

    def abandon(self) -> None:
        """Do nothing, because this conversation has no recording to mark as replayed."""

    def resolve_stall(self) -> None:
        """Make the response available, because the client is waiting for it."""
        self._is_over = True
