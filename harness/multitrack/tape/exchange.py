"""What passes between a client seam and the tape: a request, and one of three ways to go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from multitrack.errors import TapeViolation

Headers = tuple[tuple[str, str], ...]

Ending = Literal["complete", "left", "broken"]
"""How a response body came to its end: it was read whole, the caller left it early, or the connection broke."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a seam caught it.

    ``method`` is upper case. ``url`` is absolute; a gRPC call has ``grpc://host[:port]/package.Service/Method``
    and the method ``POST``. ``headers`` have lower-case names, in order, repeated where sent repeatedly.
    ``body`` is what was sent, decoded from any content encoding; of a gRPC call, the message as protobuf JSON.
    """

    method: str
    url: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of the header ``name`` (lower case), or None."""
        return _first(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``body`` is decoded; of a gRPC call, the message as protobuf JSON, a JSON array of the
    messages where the method streams its responses; ``headers`` then hold ``grpc-status`` and its kin."""

    status: int
    reason: str
    headers: Headers
    body: bytes
    ending: Ending = "complete"

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
    """Answer with ``response``; open no connection."""

    response: Response


@dataclass(frozen=True, slots=True)
class Passthrough:
    """Go live and tell the tape nothing."""


class Recording(Protocol):
    """Go live, and tell the tape what comes back, in this order: `began`, `received` as often as bytes
    arrive, and exactly one of `ended` and `failed`. Calls after the last are ignored."""

    def began(self, status: int, reason: str, headers: Headers) -> None:
        """The head of the answer arrived. Header names in any case."""

    def received(self, chunk: bytes) -> None:
        """A part of the body arrived, still in its content encoding."""

    def ended(self, ending: Ending = "complete", *, trailers: Headers = ()) -> None:
        """The body is over; ``trailers`` are added to the headers."""

    def failed(self, error: BaseException) -> None:
        """No answer came: the connection failed or timed out before `began`."""


Route = Replay | Passthrough | Recording


class Router(Protocol):
    """The tape as a seam sees it."""

    def route(self, request: Request) -> Route:
        """Which way ``request`` goes. Raises `CassetteMiss` where the tape has no answer."""

    def allows(self, host: str, port: int) -> bool:
        """Whether a raw socket may connect to ``host:port``, outside of the seams. Loopback is not asked for."""

    def refuse(self, violation: TapeViolation) -> None:
        """Hold ``violation`` against the test, which fails by it whatever the code under test catches. Called by a
        seam that is about to raise it."""
