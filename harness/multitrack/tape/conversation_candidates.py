"""The recordings that could answer a streaming request. Each message that the client sends can exclude some of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multitrack.tape import jsontext
from multitrack.tape.exchange import Request
from multitrack.tape.interleaving import Interleaving
from multitrack.tape.matching.difference import Difference, find_differences
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import KeyFunction, MatchingKey, key_of_recording
from multitrack.tape.matching.replay_state import ReplayState
from multitrack.wording import count_noun

Mismatch = tuple[str, Sequence[Difference]]
"""Why no recording is left: the reason, and how the last message differs from the nearest recorded one."""


class ConversationCandidates:
    """The candidates for one streaming request.

    At first, all recordings of the method are candidates. A recording stops being a candidate when the client sends a
    message that is not in the recording.
    """

    def __init__(self, entries: Sequence[RecordedEntry], state: ReplayState, make_key: KeyFunction) -> None:
        """Create the candidates.

        Args:
            entries: The recordings, in order of preference. At least one. Recordings that were already replayed can
                be replayed again.
            state: The tape's replayed recordings.
            make_key: Returns the matching key of a recorded request.
        """
        self._candidates = [
            ConversationCandidate(entry, state.index.pseudonyms, make_key, is_repeat=state.is_played(entry))
            for entry in entries
        ]
        self._state = state
        self._chosen: RecordedEntry | None = None

    @property
    def nearest(self) -> ConversationCandidate:
        """The preferred candidate: the first in the list, even if another conversation has already replayed it."""
        return self._candidates[0]

    @property
    def is_decided(self) -> bool:
        """True if a candidate was chosen (see ``choose``)."""
        return self._chosen is not None

    @property
    def unplayed(self) -> Sequence[ConversationCandidate]:
        """The candidates that no other conversation has replayed since this conversation began."""
        return [
            one
            for one in self._candidates
            if one.is_repeat or one.entry is self._chosen or not self._state.is_played(one.entry)
        ]

    def explain_played(self) -> Mismatch:
        """Return the reason for a miss that occurs because other conversations have replayed all candidates."""
        return f"another call has already replayed {self.nearest}", ()

    def keep_with_message(self, position: int, key: MatchingKey, sent: Request) -> Mismatch | None:
        """Keep the candidates that have the message ``sent`` at ``position``.

        If no candidate remains, return the reason.

        Args:
            position: The position of the message, from 0.
            key: The matching key of ``sent``.
            sent: The redacted request with this message only.
        """
        return self._keep(
            lambda candidate: candidate.has_message(position, key),
            lambda candidate: candidate.explain_difference(position, sent),
        )

    def keep_with_end(self, count: int) -> Mismatch | None:
        """Drop the candidates with more than ``count`` messages. If no candidate is left, return the reason."""
        return self._keep(
            lambda candidate: len(candidate.messages) <= count,
            lambda candidate: (
                f"the client stopped after {count_noun(count, 'message')}, but {candidate} has "
                f"{count_noun(len(candidate.messages), 'message')}",
                [],
            ),
        )

    def choose(self, candidate: ConversationCandidate) -> RecordedEntry:
        """Mark the recording of ``candidate`` as replayed, drop the other candidates, and return the recording."""
        self._state.mark_played(candidate.entry)
        self._chosen = candidate.entry
        self._candidates = [candidate]
        return candidate.entry

    def _keep(
        self,
        fits: Callable[[ConversationCandidate], bool],
        explain: Callable[[ConversationCandidate], Mismatch],
    ) -> Mismatch | None:
        if not (unplayed := self.unplayed):
            return self.explain_played()
        fitting: list[ConversationCandidate] = []
        mismatches: list[Mismatch] = []
        for candidate in unplayed:
            try:
                if fits(candidate):
                    fitting.append(candidate)
                else:
                    mismatches.append(explain(candidate))
            except ValueError as error:
                mismatches.append((candidate.explain_unreadable(error), ()))
        if not fitting:
            return min(mismatches, key=lambda mismatch: len(mismatch[1]))
        self._candidates = fitting
        return None


@dataclass(slots=True)
class ConversationCandidate:
    """A recording that could answer the streaming request."""

    entry: RecordedEntry
    _pseudonyms: Collection[str]
    _make_key: KeyFunction
    is_repeat: bool
    """True if the recording was already replayed when the conversation began."""
    _messages: list[Any] | None = None
    _interleaving: Interleaving | None = None

    @property
    def messages(self) -> list[Any]:
        """The client's recorded messages."""
        if self._messages is None:
            self._messages = jsontext.parse(self.entry.interaction.request.body)
        return self._messages

    @property
    def interleaving(self) -> Interleaving:
        """The recorded order of requests and responses. Raises ValueError if it cannot be read."""
        if self._interleaving is None:
            self._interleaving = Interleaving.from_response(self.entry.interaction.response)
        return self._interleaving

    def has_message(self, position: int, key: MatchingKey) -> bool:
        """Return whether the message at ``position`` has the matching key ``key``.

        Also true if the recorded call ended before that message.
        """
        if position >= len(self.messages):
            return not self.interleaving.is_closed
        interaction = self.entry.interaction
        message = create_message_request(interaction.request, self.messages[position])
        recorded = key_of_recording(message, interaction.provenance, self._pseudonyms, self._make_key)
        return RecordedEntry(self.entry.position, interaction, recorded).accepts(key)

    def explain_difference(self, position: int, sent: Request) -> Mismatch:
        """Return why the message at ``position`` does not match, and the differences."""
        if position >= len(self.messages):
            return (
                f"the client sent message {position + 1}, but {self} has {count_noun(len(self.messages), 'message')}",
                [],
            )
        [message] = jsontext.parse(sent.body)
        found = list(find_differences(self.messages[position], message))
        count = count_noun(len(found), "place")
        return f"changed: message {position + 1} differs from the recorded message ({self}) in {count}", found

    def explain_unreadable(self, error: ValueError) -> str:
        """Return why the messages of this recording cannot be compared."""
        return f"{self} cannot be read: {error}"

    def __str__(self) -> str:
        return f"interaction {self.entry.position}"


def create_message_request(request: Request, message: Any) -> Request:
    """Return ``request`` with ``message``, a JSON document, as its only message."""
    return replace(request, body=f"[{jsontext.canonical(message)}]".encode())
