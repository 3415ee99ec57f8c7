"""A conversation: a streaming request, and the recording with the same messages that answers it.

When the call begins, it is unknown which recording matches, so all recordings of the method are candidates. Each
message that the client sends removes the candidates that do not have it. The client receives the responses of the first
remaining candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from multitrack.errors import CassetteMiss
from multitrack.tape import jsontext
from multitrack.tape.exchange import Replay, Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.interleaving import CLOSED, Interleaving
from multitrack.tape.matching.difference import Difference, find_differences
from multitrack.tape.matching.index import KeyFunction, MatchingKey, RecordedEntry, key_of_recording
from multitrack.tape.redaction.redactor import Redactor
from multitrack.wording import count_noun

AddDivergence = Callable[[Request, str, Sequence[Difference]], CassetteMiss]
"""Fails the test and returns the miss to raise.

Takes a redacted request, the reason, and the differences in its last message.
"""


class RecordedConversation:
    """Replays a streaming request (see `exchange.Conversation`). Threads may share it."""

    def __init__(
        self,
        request: Request,
        entries: Sequence[RecordedEntry],
        *,
        placeholders: Collection[str],
        redactor: Redactor,
        lock: AbstractContextManager[object],
        play: Callable[[Interaction], Replay],
        add_divergence: AddDivergence,
        key: KeyFunction = MatchingKey.from_request,
    ) -> None:
        """Create the conversation.

        Args:
            request: The request. The interceptor appends messages to it.
            entries: The candidates, in order of preference.
            placeholders: The pseudonyms in the cassette.
            redactor: Redacts messages before they are compared.
            lock: The lock of the tape.
            play: Marks an interaction as replayed and returns its replay.
            add_divergence: Called if no candidate is left.
            key: Returns the matching key of a request.
        """
        self._request = request
        self._key = key
        self._candidates = [_CallCandidate(entry, placeholders, key) for entry in entries]
        self._redactor = redactor
        self._lock = lock
        self._play = play
        self._add_divergence = add_divergence
        self._sent_count: float = 0
        self._playing: RecordedEntry | None = None

    def match_message(self) -> None:
        """Compare the last message of the request. Raises `CassetteMiss` if no recording has it at this position."""
        with self._lock:
            position = int(self._sent_count)
            self._sent_count += 1
            request = self._redact_message(position)
            key = self._key(request, self._redactor.pseudonyms)
            self._keep_candidates(
                lambda candidate: candidate.has_message(position, key),
                lambda candidate: candidate.explain_difference(position, request),
            )

    def match_end(self) -> None:
        """Check that a recording has no more messages than the client sent.

        Raises `CassetteMiss` if every recording has more.
        """
        with self._lock:
            count, self._sent_count = int(self._sent_count), CLOSED
            messages = count_noun(count, "message")
            self._keep_candidates(
                lambda candidate: len(candidate.messages) <= count,
                lambda candidate: (f"it ended after {messages}, but {candidate} has {len(candidate.messages)}", []),
            )

    def find_replay(self) -> Replay | None:
        """Return the recording. `None` if the client must send more messages before its first response.

        Raises `CassetteMiss` if an equal call has replayed the last recording.
        """
        with self._lock:
            for candidate in self._require_unplayed_candidates():
                try:
                    required_count = candidate.interleaving.requests_before(0)
                except ValueError as error:
                    reason = candidate.explain_unreadable(error)
                    raise self._add_divergence(self._redact_message(None), reason, ()) from error
                if self._sent_count >= required_count:
                    return self._choose(candidate)
        return None

    def abandon(self) -> None:
        """Mark the recording that the client was about to receive as replayed, because the client has gone away."""
        with self._lock:
            if self._playing is None and (candidates := self._unplayed_candidates()):
                self._choose(candidates[0])

    def resolve_stall(self) -> CassetteMiss:
        """Return the miss for a client that waits for a response although it must send more messages first."""
        with self._lock:
            nearest = self._candidates[0]
            messages = count_noun(int(self._sent_count), "message")
            reason = f"the client waits for a response after {messages}; in {nearest}, more messages precede it"
            return self._add_divergence(self._redact_message(None), reason, ())

    def _choose(self, candidate: _CallCandidate) -> Replay:
        candidate.entry.played = True
        self._playing = candidate.entry
        self._candidates = [candidate]
        return self._play(candidate.entry.interaction)

    def _unplayed_candidates(self) -> list[_CallCandidate]:
        # another conversation may have replayed one in the meantime
        return [one for one in self._candidates if not one.entry.played or one.entry is self._playing]

    def _require_unplayed_candidates(self) -> list[_CallCandidate]:
        if not (candidates := self._unplayed_candidates()):
            reason = f"another call that began in the same way has replayed {self._candidates[0]} in the meantime"
            raise self._add_divergence(self._redact_message(None), reason, ())
        return candidates

    def _keep_candidates(
        self,
        fits: Callable[[_CallCandidate], bool],
        explain: Callable[[_CallCandidate], tuple[str, Sequence[Difference]]],
    ) -> None:
        fitting: list[_CallCandidate] = []
        reasons: list[tuple[str, Sequence[Difference]]] = []
        for candidate in self._require_unplayed_candidates():
            try:
                if fits(candidate):
                    fitting.append(candidate)
                else:
                    reasons.append(explain(candidate))
            except ValueError as error:
                reasons.append((candidate.explain_unreadable(error), ()))
        if fitting:
            self._candidates = fitting
            return
        raise self._add_divergence(self._redact_message(None), *min(reasons, key=lambda each: len(each[1])))

    def _redact_message(self, position: int | None) -> Request:
        """Return the request with only its message at ``position``, or without messages if that is `None`."""
        messages = self._request.messages or []
        content = b"[" + messages[position] + b"]" if position is not None else b"[]"
        request = replace(self._request, body=content, messages=None)
        self._redactor.learn_request(request)
        return self._redactor.redact_request(request)


class DroppedConversation:
    """Answers a streaming request to a host whose requests are dropped.

    The response is available once the client has sent everything, or has waited for a while.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._is_over = False

    def match_message(self) -> None:
        """Ignore the message."""

    def match_end(self) -> None:
        """Make the response available."""
        self._is_over = True

    def find_replay(self) -> Replay | None:
        """Return the response if it is available, `None` otherwise."""
        return self._replay if self._is_over else None

    def abandon(self) -> None:
        """Do nothing."""

    def resolve_stall(self) -> None:
        """Make the response available, because the client waits for it."""
        self._is_over = True


@dataclass(slots=True)
class _CallCandidate:
    """A recording that may answer a conversation."""

    entry: RecordedEntry
    _placeholders: Collection[str]
    _key: KeyFunction
    _messages: list[Any] | None = None
    _interleaving: Interleaving | None = None

    @property
    def messages(self) -> list[Any]:
        """The recorded messages of the client."""
        if self._messages is None:
            self._messages = jsontext.parse(self.entry.interaction.request.body)
        return self._messages

    @property
    def interleaving(self) -> Interleaving:
        if self._interleaving is None:
            self._interleaving = Interleaving.from_response(self.entry.interaction.response)
        return self._interleaving

    def has_message(self, position: int, key: MatchingKey) -> bool:
        """Return whether the message at ``position`` has ``key``, or whether the recorded call ended before it."""
        if position >= len(self.messages):
            return not self.interleaving.is_closed
        interaction = self.entry.interaction
        recorded = key_of_recording(
            self._recorded_request(position), interaction.provenance, self._placeholders, self._key
        )
        return RecordedEntry(self.entry.position, interaction, recorded).accepts(key)

    def explain_difference(self, position: int, sent: Request) -> tuple[str, Sequence[Difference]]:
        """Return why the message at ``position`` does not match, and the differences."""
        if position >= len(self.messages):
            return f"it sent message {position + 1}, but {self} has {len(self.messages)}", []
        [message] = jsontext.parse(sent.body)
        found = list(find_differences(self.messages[position], message))
        count = count_noun(len(found), "place")
        return f"changed: message {position + 1} differs from the recorded one ({self}) in {count}", found

    def _recorded_request(self, position: int) -> Request:
        message = jsontext.canonical(self.messages[position])
        return replace(self.entry.interaction.request, body=f"[{message}]".encode())

    def explain_unreadable(self, error: ValueError) -> str:
        """Return why the messages of this recording cannot be compared."""
        return f"{self} cannot be read: {error}"

    def __str__(self) -> str:
        return f"interaction {self.entry.position}"
