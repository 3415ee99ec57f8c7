"""What passes between a client seam and the tape: a request, and one of the ways to go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Literal, Protocol, runtime_checkable

from multitrack.errors import CassetteMiss, TapeViolation
from multitrack.tape.chunks import Chunks
from multitrack.tape.failure import During, Failure

Headers = tuple[tuple[str, str], ...]

Ending = Literal["complete", "left", "broken", "unanswered"]
"""How an answer came to its end: its body was read whole, the caller left it early, or the connection broke;
``unanswered``: none came, since the connection failed or the caller went away before."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a seam caught it.

    ``method`` is upper case. ``url`` is absolute; a gRPC call has ``grpc://host[:port]/package.Service/Method``
    and the method ``POST``. ``headers`` have lower-case names, in order, repeated where sent repeatedly.
    ``body`` is what was sent, decoded from any content encoding; of a gRPC call, the message as protobuf JSON.
    ``messages`` are those of a gRPC call that streams its requests, to which the seam adds while they are sent; its
    ``body`` is the empty JSON array that they belong into. None for all other requests.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    messages: list[bytes] | None = field(default=None, compare=False)

    @property
    def with_sent_messages(self) -> Request:
        """The same request with what it streamed so far in its body."""
        if self.messages is None:
            return self
        return replace(self, body=b"[" + b", ".join(self.messages) + b"]", messages=None)

    def header(self, name: str) -> str | None:
        """The first value of the header ``name`` (lower case), or None."""
        return _first(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``body`` is decoded; of a gRPC call, the message as protobuf JSON, a JSON array of the
    messages where the method streams its responses; ``headers`` then hold ``grpc-status`` and its kin.

    ``chunks`` tell in which parts the body came. ``failure`` is what ended an answer that is broken or unanswered;
    None where the connection was closed, or the caller went away. An answer that never came has the status 599.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    ending: Ending = "complete"
    chunks: Chunks = Chunks()  # noqa: RUF009 - it is frozen
    failure: Failure | None = None

    def header(self, name: str) -> str | None:
        """The first value of the header ``name`` (lower case), or None."""
        return _first(self.headers, name)

    def with_body(self, body: bytes) -> Response:
        """The same answer with another body."""
        return replace(self, body=body)


def _first(headers: Headers, name: str) -> str | None:
    return next((value for key, value in headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Replay:
    """Answer with ``response``; open no connection. ``paced``: take as long for it as the recorded one took."""

    response: Response
    paced: bool = False

    def chunks(self) -> Iterator[tuple[float, bytes]]:
        """The chunks of the body, each with the seconds to wait before it. What is to be raised behind them, the
        response's ``ending`` and ``failure`` tell."""
        response = self.response
        gaps = response.chunks.gaps if self.paced else ()
        pieces = response.chunks.split(response.body, response.header("content-type"))
        return zip(chain((gap / 1000 for gap in gaps), repeat(0.0)), pieces, strict=False)


@dataclass(frozen=True, slots=True)
class Passthrough:
    """Go live and tell the tape nothing."""


class ResponseRecorder(Protocol):
    """Go live, and tell the tape what comes back, in this order: `began`, `received` as often as bytes
    arrive, and exactly one of `ended` and `failed`. Calls after the last are ignored.

    A caller that goes away before `began`, by a cancelled task for one, is told by ``ended("left")`` alone.
    """

    def record_head(self, status: int, reason: str, headers: Headers) -> None:
        """The head of the answer arrived. Header names in any case."""

    def record_chunk(self, chunk: bytes, *, continued: bool = False) -> None:
        """A part of the body arrived, still in its content encoding; ``continued`` if it belongs to the chunk of the
        part before, which was cut on the way."""

    def record_end(
        self, ending: Ending = "complete", *, trailers: Headers = (), error: BaseException | None = None
    ) -> None:
        """The body is over; ``trailers`` are added to the headers, ``error`` is by what it broke, if the caller was
        told more than that the connection was closed."""

    def record_failure(self, error: BaseException, *, during: During | None = None) -> None:
        """No answer came: the connection failed or timed out before `began`. A seam that can raise ``error`` again on
        replay says ``during`` what it came; else the recording waits to be accepted."""


@runtime_checkable
class Conversation(Protocol):
    """Answer a request that streams with the recording that went the same way; open no connection. Which one that is,
    the messages tell as they come, each of which the seam adds to the request and then tells here."""

    def match_message(self) -> None:
        """Another message was sent. Raises `CassetteMiss` where no recording has it in this place."""

    def match_end(self) -> None:
        """The client has no more messages. Raises `CassetteMiss` where every recording has."""

    def find_replay(self) -> Replay | None:
        """The recording, once enough was sent for its first response; None before. Raises `CassetteMiss` where an
        equal call took the last one."""

    def abandon(self) -> None:
        """The client went away."""

    def resolve_stall(self) -> CassetteMiss | None:
        """The client neither sends nor closes, and waits for an answer that comes after more messages: why that is a
        miss, for the seam to raise; None if there is an answer now."""


Route = Replay | Passthrough | ResponseRecorder


class Router(Protocol):
    """The tape as a seam sees it."""

    @property
    def mode(self) -> str:
        """One of `settings.MODES`."""

    def route(self, request: Request) -> Route:
        """Which way ``request`` goes. Raises `CassetteMiss` where the tape has no answer."""

    def route_stream(self, request: Request) -> Conversation | Passthrough | ResponseRecorder:
        """Which way ``request`` goes, which streams, and of which nothing was sent yet. Raises `CassetteMiss` where
        the tape has no conversation with this method."""

    def allows_connection(self, host: str, port: int) -> bool:
        """Whether a raw socket may connect to ``host:port``, outside of the interceptors. Loopback is not asked for."""

    def add_violation(self, violation: TapeViolation) -> None:
        """Hold ``violation`` against the test, which fails by it whatever the code under test catches. Called by a
        seam that is about to raise it."""
