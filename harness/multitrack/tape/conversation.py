"""A conversation: a request that streams, answered by the recording that goes the same way.

Which recording that is cannot be told when the call begins. Every one of its method may be, until a message is sent
that it does not have; what is given to the client comes from the first of those that are left by then.
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
from multitrack.tape.matching.difference import Difference, differences
from multitrack.tape.matching.index import Entry, Key, KeyOf, key_of
from multitrack.tape.redaction.redactor import Redactor
from multitrack.wording import count_noun

Strayed = Callable[[Request, str, Sequence[Difference]], CassetteMiss]
"""Makes the miss of a scrubbed request, for a reason, with the differences of its last message, and holds it against
the test."""


class RecordedConversation:
    """What a request that streams is answered with from a tape (see `exchange.Conversation`). ``entries`` are the
    recordings that it may be answered with, the first first, and ``placeholders`` the words on that tape that stand
    for names. Threads share it."""

    def __init__(
        self,
        request: Request,
        entries: Sequence[Entry],
        *,
        placeholders: Collection[str],
        redactor: Redactor,
        lock: AbstractContextManager[object],
        play: Callable[[Interaction], Replay],
        strayed: Strayed,
        key: KeyOf = Key.of,
    ) -> None:
        self._request = request
        self._key = key
        self._courses = [_Course(entry, placeholders, key) for entry in entries]
        self._redactor = redactor
        self._lock = lock
        self._play = play
        self._strayed = strayed
        self._sent: float = 0
        self._playing: Entry | None = None

    def match_message(self) -> None:
        """Another message was sent, the last of the request's. Raises `CassetteMiss` where no recording has it in
        this place."""
        with self._lock:
            position = int(self._sent)
            self._sent += 1
            sent = self._scrubbed(position)
            key = self._key(sent, self._redactor.placeholders)
            self._go_on(
                lambda course: course.goes_on(position, key),
                lambda nearest: nearest.difference(position, sent),
            )

    def match_end(self) -> None:
        """The client has no more messages. Raises `CassetteMiss` where every recording has."""
        with self._lock:
            count, self._sent = int(self._sent), CLOSED
            self._go_on(
                lambda course: len(course.messages) <= count,
                lambda nearest: (
                    f"it ended after {count_noun(count, 'message')}, and {nearest} holds {len(nearest.messages)}",
                    [],
                ),
            )

    def find_replay(self) -> Replay | None:
        """The recording, once enough was sent for its first response; None before. Raises `CassetteMiss` where an
        equal call took the last one."""
        with self._lock:
            for course in self._waiting():
                try:
                    needed = course.turns.requests_before(0)
                except ValueError as error:
                    raise self._strayed(self._scrubbed(None), course.unreadable(error), ()) from error
                if self._sent >= needed:
                    return self._take(course)
        return None

    def abandon(self) -> None:
        """The client went away: what it was about to get counts as played."""
        with self._lock:
            if self._playing is None and (courses := self._open()):
                self._take(courses[0])

    def resolve_stall(self) -> CassetteMiss:
        """The client neither sends nor closes, and waits for an answer that comes after more messages."""
        with self._lock:
            nearest = self._courses[0]
            messages = count_noun(int(self._sent), "message")
            reason = f"it waits for an answer after {messages}; in {nearest} more was sent before"
            return self._strayed(self._scrubbed(None), reason, ())

    def _take(self, course: _Course) -> Replay:
        course.entry.played = True
        self._playing = course.entry
        self._courses = [course]
        return self._play(course.entry.interaction)

    def _open(self) -> list[_Course]:
        # another conversation may have taken one since
        return [course for course in self._courses if not course.entry.played or course.entry is self._playing]

    def _waiting(self) -> list[_Course]:
        if not (courses := self._open()):
            reason = f"{self._courses[0]} was played meanwhile, for another call that began as this one"
            raise self._strayed(self._scrubbed(None), reason, ())
        return courses

    def _go_on(
        self, fits: Callable[[_Course], bool], explained: Callable[[_Course], tuple[str, Sequence[Difference]]]
    ) -> None:
        fitting: list[_Course] = []
        reasons: list[tuple[str, Sequence[Difference]]] = []
        for course in self._waiting():
            try:
                if fits(course):
                    fitting.append(course)
                else:
                    reasons.append(explained(course))
            except ValueError as error:
                reasons.append((course.unreadable(error), ()))
        if fitting:
            self._courses = fitting
            return
        raise self._strayed(self._scrubbed(None), *min(reasons, key=lambda each: len(each[1])))

    def _scrubbed(self, position: int | None) -> Request:
        """The request with its message at ``position`` alone; without any, for None."""
        messages = self._request.messages or []
        content = b"[" + messages[position] + b"]" if position is not None else b"[]"
        request = replace(self._request, body=content, messages=None)
        self._redactor.learn_request(request)
        return self._redactor.request(request)


class DroppedConversation:
    """What a request that streams is answered with where nobody is to hear it: ``answer``, when all was sent, or its
    caller waits for long."""

    def __init__(self, answer: Replay) -> None:
        self._answer = answer
        self._is_over = False

    def match_message(self) -> None:
        """Another message was sent, to nobody."""

    def match_end(self) -> None:
        """The client has no more messages."""
        self._is_over = True

    def find_replay(self) -> Replay | None:
        """The answer, once it is due; None before."""
        return self._answer if self._is_over else None

    def abandon(self) -> None:
        """The client went away."""

    def resolve_stall(self) -> None:
        """The client waits for an answer: the next time, there is one."""
        self._is_over = True


@dataclass(slots=True)
class _Course:
    """A recording that a conversation may be following."""

    entry: Entry
    _placeholders: Collection[str]
    _key: KeyOf
    _messages: list[Any] | None = None
    _turns: Interleaving | None = None

    @property
    def messages(self) -> list[Any]:
        """What the client sent."""
        if self._messages is None:
            self._messages = jsontext.parse(self.entry.interaction.request.body)
        return self._messages

    @property
    def turns(self) -> Interleaving:
        if self._turns is None:
            self._turns = Interleaving.from_response(self.entry.interaction.response)
        return self._turns

    def goes_on(self, position: int, sent: Key) -> bool:
        """Whether it has ``sent`` at ``position``, or its answer came before the client had sent all it had."""
        if position >= len(self.messages):
            return not self.turns.is_closed
        interaction = self.entry.interaction
        recorded = key_of(self._recorded(position), interaction.provenance, self._placeholders, self._key)
        return Entry(self.entry.position, interaction, recorded).takes(sent)

    def difference(self, position: int, sent: Request) -> tuple[str, Sequence[Difference]]:
        """Why not."""
        if position >= len(self.messages):
            return f"it sent message {position + 1}, and {self} holds {len(self.messages)}", []
        [message] = jsontext.parse(sent.body)
        found = list(differences(self.messages[position], message))
        places = "1 place" if len(found) == 1 else f"{len(found)} places"
        return f"changed: message {position + 1} differs from that of {self} in {places}", found

    def _recorded(self, position: int) -> Request:
        message = jsontext.canonical(self.messages[position])
        return replace(self.entry.interaction.request, body=f"[{message}]".encode())

    def unreadable(self, error: ValueError) -> str:
        """Why nobody knows where it went."""
        return f"{self} cannot be read: {error}"

    def __str__(self) -> str:
        return f"interaction {self.entry.position}"
