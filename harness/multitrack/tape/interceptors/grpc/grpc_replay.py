"""The replay of a gRPC call, step by step: the messages of the recorded response, then its status.

This module does not depend on how calls are made; each kind of call waits for the next step in its own way.
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
from multitrack.tape.interceptors.grpc.grpc_call import GrpcMethod, GrpcStatus
from multitrack.tape.interleaving import CLOSED, Interleaving

STALL_SECONDS = 10.0
"""A client gets a miss if it sends nothing for this many seconds although the next response requires more requests."""

Step = tuple[float, bytes | GrpcStatus | None]
"""The seconds to wait, and then a serialized message or the final status.

The second item is None if the recording ends there because its caller gave up.
"""


@dataclass(frozen=True, slots=True)
class RecordedGrpcResponse:
    """A recorded response.

    Attributes:
        messages: The messages, serialized.
        status: The final status.
        ending: How the recording ended.
        delays: The seconds to wait before each message.
        seconds_to_wait: How many seconds a caller waits before it gets a miss, if no response was recorded.
        interleaving: How many requests were sent before each message.
        report_miss: Returns the error for a caller that keeps waiting after the end of the recording.
    """

    messages: list[bytes]
    status: GrpcStatus
    ending: Ending
    delays: list[float]
    seconds_to_wait: float
    interleaving: Interleaving
    report_miss: Callable[[], CassetteMiss]

    @classmethod
    def from_replay(cls, method: GrpcMethod, replay: Replay, tape: Router) -> RecordedGrpcResponse:
        """Return the response of ``method`` in ``replay``. Raises ``CassetteMiss`` if the response cannot be read."""
        response = replay.response
        try:
            messages = [] if response.ending == "unanswered" else method.serialize_messages(response)
            status, interleaving = GrpcStatus.from_response(response), Interleaving.from_response(response)
        except ValueError as error:
            violation = CassetteMiss(
                f"the recorded response to POST {method.url} cannot be read: {error}\n"
                f"  restore the cassette, or record it again: {abandoned.find_record_hint(tape)}"
            )
            tape.add_violation(violation)
            raise violation from error

        def report_miss() -> CassetteMiss:
            if response.ending == "unanswered":
                return abandoned.report_miss(tape)
            violation = CassetteMiss(
                f"the recorded response to POST {method.url} ends early, "
                "because the recorded client stopped reading; now the client reads more\n"
                f"  to record all of it: {abandoned.find_record_hint(tape)}"
            )
            tape.add_violation(violation)
            return violation

        if status.code is grpc.StatusCode.OK and not (messages or method.streams_responses):
            # a hand-written response has no body if its message is empty
            messages = [b""]
        return cls(
            messages,
            status,
            response.ending,
            _find_delays(replay, len(messages)),
            abandoned.seconds_to_wait(response),
            interleaving,
            report_miss,
        )

    @property
    def is_failure(self) -> bool:
        """True if the recorded call ended with an error."""
        return self.ending in ("complete", "broken") and self.status.code is not grpc.StatusCode.OK

    def find_step(self, position: int) -> Step:
        """Return the step at ``position``: a message, or the end after the last message."""
        if position < len(self.messages):
            return self.delays[position], self.messages[position]
        if self.ending == "left":
            return 0.0, None
        if self.ending == "unanswered":
            return self.seconds_to_wait, None
        return self.delays[0] if not self.messages else 0.0, self.status


def _find_delays(replay: Replay, count: int) -> list[float]:
    chunks = replay.response.chunks
    gaps = iter(chunks.gaps if replay.paced else ())
    # message numbers start at 1; a message that arrived together with the previous one has no delay
    return [0.0 if position in chunks.joined else next(gaps, 0) / 1000 for position in range(max(count, 1))]


class GrpcReplay(Protocol):
    """The replay of one gRPC call."""

    @property
    def response(self) -> RecordedGrpcResponse | None:
        """The recorded response. None while the matching recording is unknown."""

    @property
    def status(self) -> GrpcStatus | None:
        """The final status of the call. None if the client must first send more messages."""

    def next_step(self) -> Step | None:
        """Return the next step of the replay. None if the client must first send more messages.

        Raises ``CassetteMiss`` if no recording matches.
        """

    def abandon(self) -> None:
        """Signal that the caller gave up."""

    def resolve_stall(self) -> CassetteMiss | None:
        """Return the error for a caller that is waiting in vain for another step.

        None if another step has become available.
        """


class UnaryRequestReplay:
    """The replay of a call in which the client sends a single message."""

    def __init__(self, response: RecordedGrpcResponse) -> None:
        self.response = response
        self.status = response.status
        self._position = 0

    def next_step(self) -> Step:
        step = self.response.find_step(self._position)
        self._position += 1
        return step

    def abandon(self) -> None:
        pass

    def resolve_stall(self) -> CassetteMiss:
        return self.response.report_miss()


class StreamRequestReplay:
    """The replay of a call that streams its requests. The requests select the recording."""

    def __init__(self, method: GrpcMethod, request: Request, conversation: Conversation, tape: Router) -> None:
        self.response: RecordedGrpcResponse | None = None
        self._method = method
        self._request = request
        self._conversation = conversation
        self._tape = tape
        self._sent_count: float = 0
        self._position = 0
        self._last_step_time = time.monotonic()

    def match_message(self, message: bytes) -> None:
        """Match the next message, which is protobuf JSON.

        Raises ``CassetteMiss`` if no recording has this message at the same position.
        """
        assert self._request.messages is not None
        self._request.messages.append(message)
        self._sent_count += 1
        self._conversation.match_message()

    def match_end(self) -> None:
        """Match the end of the requests. Raises ``CassetteMiss`` if every recording has more messages."""
        self._sent_count = CLOSED
        self._conversation.match_end()

    @property
    def status(self) -> GrpcStatus | None:
        response = self._find_response()
        return response.status if response and self._has_sent_enough(response, len(response.messages)) else None

    def next_step(self) -> Step | None:
        response = self._find_response()
        if response is None or not self._has_sent_enough(response, self._position):
            return None
        seconds, content = response.find_step(self._position)
        self._position += 1
        # the delay starts at the previous response, not at the last request
        now = time.monotonic()
        self._last_step_time = max(now, self._last_step_time + seconds)
        return self._last_step_time - now, content

    def abandon(self) -> None:
        self._conversation.abandon()

    def resolve_stall(self) -> CassetteMiss | None:
        response = self._find_response()
        if response is not None and self._has_sent_enough(response, self._position):
            return response.report_miss()
        return self._conversation.resolve_stall()

    def _find_response(self) -> RecordedGrpcResponse | None:
        if self.response is None and (replay := self._conversation.find_replay()) is not None:
            self.response = RecordedGrpcResponse.from_replay(self._method, replay, self._tape)
        return self.response

    def _has_sent_enough(self, response: RecordedGrpcResponse, position: int) -> bool:
        return self._sent_count >= response.interleaving.requests_before(position)
