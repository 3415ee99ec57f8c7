"""What a tape gives to a gRPC call, step by step: the messages of the recorded answer, then its status.

Knows nothing of how calls are made: who waits for the next step, waits in its own way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import grpc

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Conversation, Ending, Replay, Request, Router
from multitrack.tape.interceptors import abandoned
from multitrack.tape.interceptors.grpc.grpc_call import Method, Status
from multitrack.tape.interleaving import CLOSED, Interleaving

PATIENCE = 10.0
"""For so many seconds nothing is sent that the recording has before its next response: then, nothing will be."""

Step = tuple[float, bytes | Status | None]
"""Seconds to wait, and then a message, as its bytes on the wire, or the end; None for nothing at all, since when it was
recorded, the caller went away."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded answer. ``waits`` are the seconds before each message, ``patience`` those for which a caller may wait
    who got no answer, and ``miss`` makes the error for who stays where it ends without an end."""

    messages: list[bytes]
    status: Status
    ending: Ending
    waits: list[float]
    patience: float
    turns: Interleaving
    miss: Callable[[], CassetteMiss]

    @classmethod
    def of(cls, method: Method, replay: Replay, tape: Router) -> Recorded:
        """The answer of ``method`` in ``replay``. Raises `CassetteMiss` where it cannot be read."""
        response = replay.response
        try:
            messages = [] if response.ending == "unanswered" else method.messages(response)
            status, turns = Status.recorded(response), Interleaving.from_response(response)
        except ValueError as error:
            violation = CassetteMiss(
                f"the recorded answer to POST {method.url} cannot be read: {error}\n"
                "  restore the tape, or record it again (pytest --record)"
            )
            tape.add_violation(violation)
            raise violation from error

        def miss() -> CassetteMiss:
            if response.ending == "unanswered":
                return abandoned.report_miss(tape)
            violation = CassetteMiss(
                f"the answer to POST {method.url} was left early when it was recorded, and is now read on: "
                "the tape holds no more of it\n  record it again (pytest --record)"
            )
            tape.add_violation(violation)
            return violation

        if status.code is grpc.StatusCode.OK and not (messages or method.streams_responses):
            # nothing is said of a message that is empty where an answer was made up
            messages = [b""]
        return cls(
            messages,
            status,
            response.ending,
            _waits(replay, len(messages)),
            abandoned.seconds_to_wait(response),
            turns,
            miss,
        )

    @property
    def is_failure(self) -> bool:
        """Whether it ends with an error."""
        return self.ending in ("complete", "broken") and self.status.code is not grpc.StatusCode.OK

    def step(self, position: int) -> Step:
        """What comes at ``position``."""
        if position < len(self.messages):
            return self.waits[position], self.messages[position]
        if self.ending == "left":
            return 0.0, None
        if self.ending == "unanswered":
            return self.patience, None
        return self.waits[0] if not self.messages else 0.0, self.status


def _waits(replay: Replay, count: int) -> list[float]:
    chunks = replay.response.chunks
    gaps = iter(chunks.gaps if replay.paced else ())
    # the messages count from 1, and one that came together with the one before was not waited for
    return [0.0 if position in chunks.joined else next(gaps, 0) / 1000 for position in range(max(count, 1))]


class Script(Protocol):
    """What one call is given."""

    @property
    def recorded(self) -> Recorded | None:
        """The recorded answer; None while nobody knows which that is."""

    @property
    def status(self) -> Status | None:
        """How the call ends; None if more has to be sent before."""

    def next(self) -> Step | None:
        """The next step; None if more has to be sent before. Raises `CassetteMiss` where it cannot be read."""

    def left(self) -> None:
        """The caller went away."""

    def stalled(self) -> CassetteMiss | None:
        """What is to be raised for a caller who waits, and gets no step, or none that has anything in it; None if there
        is a step now."""


class Answer:
    """The recorded answer to a call that sent one message."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.status = recorded.status
        self._given = 0

    def next(self) -> Step:
        step = self.recorded.step(self._given)
        self._given += 1
        return step

    def left(self) -> None:
        pass

    def stalled(self) -> CassetteMiss:
        return self.recorded.miss()


class Dialogue:
    """A call that streams its requests, and is answered as the recorded one that sent the same."""

    def __init__(self, method: Method, request: Request, conversation: Conversation, tape: Router) -> None:
        self.recorded: Recorded | None = None
        self._method = method
        self._request = request
        self._conversation = conversation
        self._tape = tape
        self._sent: float = 0
        self._given = 0
        self._since = time.monotonic()

    def sent(self, message: bytes) -> None:
        """Another message was sent, as protobuf JSON. Raises `CassetteMiss` where no recording has it here."""
        assert self._request.messages is not None
        self._request.messages.append(message)
        self._sent += 1
        self._conversation.match_message()

    def closed(self) -> None:
        """The client has no more messages. Raises `CassetteMiss` where every recording has."""
        self._sent = CLOSED
        self._conversation.match_end()

    @property
    def status(self) -> Status | None:
        recorded = self._found()
        return recorded.status if recorded and self._may_have(recorded, len(recorded.messages)) else None

    def next(self) -> Step | None:
        recorded = self._found()
        if recorded is None or not self._may_have(recorded, self._given):
            return None
        seconds, given = recorded.step(self._given)
        self._given += 1
        # the wait for an answer began with the one before, and not with what was sent since
        now = time.monotonic()
        self._since = max(now, self._since + seconds)
        return self._since - now, given

    def left(self) -> None:
        self._conversation.abandon()

    def stalled(self) -> CassetteMiss | None:
        recorded = self._found()
        if recorded is not None and self._may_have(recorded, self._given):
            return recorded.miss()
        return self._conversation.resolve_stall()

    def _found(self) -> Recorded | None:
        if self.recorded is None and (replay := self._conversation.find_replay()) is not None:
            self.recorded = Recorded.of(self._method, replay, self._tape)
        return self.recorded

    def _may_have(self, recorded: Recorded, position: int) -> bool:
        return self._sent >= recorded.turns.requests_before(position)
