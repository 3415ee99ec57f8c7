"""The objects that interceptors and the tape pass to each other: requests, responses, and decisions about requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Literal, Protocol, runtime_checkable

from multitrack.errors import CassetteMiss, TapeViolation
from multitrack.tape.chunks import Chunks
from multitrack.tape.failure import During, Failure
from multitrack.tape.reencoding import encode_chunks, is_accepted, keep_framing, without_framing

Headers = tuple[tuple[str, str], ...]

Ending = Literal["complete", "left", "broken", "unanswered"]
"""The way a response ended.

``complete``: the body was read to its end. ``left``: the caller stopped reading early. ``broken``: the connection
broke. ``unanswered``: no response arrived, because the connection failed or the caller went away first.
"""

# https://github.com/openai/openai-python#retries: the statuses after which clients retry
_TIMEOUT, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 408, 409, 429, 500


@dataclass(frozen=True, slots=True)
class UnknownParts:
    """The parts of a URL that the client does not know, because it was created without them.

    An unknown part matches any recorded value.
    """

    origin: bool = False
    """True if the scheme, the host and the port are unknown."""
    parameters: tuple[str, ...] = ()
    """The names of parameters in the query."""
    collections: tuple[str, ...] = ()
    """Segments of the path, such as ``locations``. The segment after each of them is unknown."""

    def __bool__(self) -> bool:
        """Return whether any part of the URL is unknown."""
        return self.origin or bool(self.parameters or self.collections)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as an interceptor received it from a client."""

    method: str
    """The HTTP method in upper case. ``POST`` for a gRPC call."""
    url: str
    """The absolute URL. ``grpc://host[:port]/package.Service/Method`` for a gRPC call."""
    headers: Headers
    """The headers in the order sent, with lower-case names. A header that was sent twice appears twice."""
    body: bytes
    """The body. For a gRPC call, the message as protobuf JSON.

    An interceptor passes the body as it was sent. ``normalize.request_body`` removes its content encoding.
    """
    messages: list[bytes] | None = field(default=None, compare=False)
    """The messages of a gRPC call that streams its requests. The interceptor appends each one when it is sent, and
    ``body`` is an empty JSON array. ``None`` for all other requests."""
    decoding_error: str = field(default="", compare=False)
    """Why the body could not be decoded. Empty if decoding did not fail."""
    unknown_parts: UnknownParts = field(default=UnknownParts(), compare=False)
    """The parts of the URL that match any recorded value."""

    @property
    def is_grpc(self) -> bool:
        """True for a gRPC call."""
        return self.url.startswith("grpc:")

    @property
    def streams_messages(self) -> bool:
        """True for a gRPC call that streams its requests."""
        # the request of a method is a JSON object, and an array only if the method streams its requests
        return self.is_grpc and self.body.lstrip()[:1] == b"["

    @property
    def without_messages(self) -> Request:
        """A copy of a streaming request without its messages. For any other request, the request itself."""
        return replace(self, body=b"[]") if self.streams_messages else self

    @property
    def with_sent_messages(self) -> Request:
        """A copy of the request, with the messages sent so far in its body."""
        if self.messages is None:
            return self
        return replace(self, body=b"[" + b", ".join(self.messages) + b"]", messages=None)

    def header(self, name: str) -> str | None:
        """Return the first value of the header ``name``, or ``None``. ``name`` must be in lower case."""
        return _find_header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """A response, or the fact that no response arrived."""

    status: int
    """The HTTP status. 599 if no response arrived."""
    reason: str
    headers: Headers
    """The headers, with lower-case names. For a gRPC call, they include ``grpc-status`` and other trailers."""
    body: bytes
    """The body without its content encoding. For a gRPC call, the message as protobuf JSON, or a JSON array of messages
    if the method streams its responses."""
    ending: Ending = "complete"
    chunks: Chunks = Chunks()  # noqa: RUF009 - it is frozen
    """The places where the chunks of the body ended."""
    failure: Failure | None = None
    """The error that ended a ``broken`` or ``unanswered`` response. ``None`` if the connection was closed, or if
    the caller went away."""
    encoding: str = ""
    """The ``content-encoding`` header of the received body.

    Empty if the body was not encoded. Also empty if the body could not be decoded; ``headers`` then contains the
    header. For an AWS event stream, this text begins with the framing, which is not part of the header (see
    ``event_framing``).
    """
    is_encoding_requested: bool = True
    """True if the request accepted the ``encoding``."""
    is_raw_deflate: bool = False
    """True if the ``encoding`` is ``deflate`` without the zlib wrapper."""
    encoded_body: bytes | None = field(default=None, compare=False, repr=False)
    """The body in its ``encoding``, from another recorder's cassette. ``None`` if only the decoded body is known."""

    def header(self, name: str) -> str | None:
        """Return the first value of the header ``name``, or ``None``. ``name`` must be in lower case."""
        return _find_header(self.headers, name)

    def with_body(self, body: bytes) -> Response:
        """Return a copy of this response with a different body."""
        return replace(self, body=body, encoded_body=None)


def _find_header(headers: Headers, name: str) -> str | None:
    for key, value in headers:
        if key == name:
            return value
    return None


@dataclass(frozen=True, slots=True)
class Replay:
    """The decision to answer with ``response``, without opening a connection."""

    response: Response
    """The response, with the ``content-encoding`` header if the body is encoded for the client."""
    paced: bool = False
    """True if the replay takes as long as the recorded response took."""

    @classmethod
    def at_pace(cls, recorded: Response, pace: str, accept_encoding: str | None = None) -> Replay:
        """Return the replay of ``recorded`` at a ``pace``, one of ``settings.PACES``.

        If the recorded status makes clients retry, the replay's headers ask them to wait for only one millisecond.
        With the pace ``recorded``, the headers are replayed unchanged.

        The body is sent in the encoding in which it was received. There is one exception: if the recorded request
        accepted this encoding, and the replaying client does not, the body is sent unencoded, because the client
        might have no library for the encoding. ``accept_encoding`` is the header that the replaying client sends.
        """
        recorded = _negotiate_encoding(recorded, accept_encoding)
        if pace == "recorded":
            return cls(recorded, paced=True)
        return cls(_without_retry_delay(recorded) if _is_retried(recorded) else recorded)

    @property
    def length(self) -> int:
        """The length of the body as the client receives it, in bytes."""
        response = self.response
        return sum(map(len, self._encoded_chunks())) if response.encoding else len(response.body)

    def chunks(self) -> Iterator[tuple[float, bytes]]:
        """Yield the chunks of the body, each with the seconds to wait before it.

        After the last chunk, the interceptor raises the error that the response's ``ending`` and ``failure`` describe.
        """
        response = self.response
        gaps = response.chunks.gaps if self.paced else ()
        pieces = self._encoded_chunks()
        return zip(chain((gap / 1000 for gap in gaps), repeat(0.0)), pieces, strict=False)

    def _encoded_chunks(self) -> list[bytes]:
        response = self.response
        if response.encoding and response.encoded_body is not None:
            return [response.encoded_body]
        chunks = response.chunks.split(response.body, response.header("content-type"))
        if not response.encoding:
            return chunks
        return encode_chunks(
            chunks,
            response.encoding,
            is_complete=response.ending == "complete",
            is_raw_deflate=response.is_raw_deflate,
        )


def _negotiate_encoding(response: Response, accept_encoding: str | None) -> Response:
    if not response.encoding:
        return response
    if response.is_encoding_requested and not is_accepted(response.encoding, accept_encoding):
        return replace(response, encoding=keep_framing(response.encoding), encoded_body=None)
    header = without_framing(response.encoding)
    return replace(response, headers=(*response.headers, ("content-encoding", header))) if header else response


def _is_retried(response: Response) -> bool:
    if (should_retry := response.header("x-should-retry")) is not None:
        return should_retry == "true"
    return response.status in (_TIMEOUT, _CONFLICT, _TOO_MANY) or response.status >= _SERVER_ERROR


def _without_retry_delay(response: Response) -> Response:
    delays = {"retry-after-ms": "1", "retry-after": "0"}
    headers = tuple((name, delays.get(name, value)) for name, value in response.headers)
    if response.header("retry-after-ms") is None:
        headers += (("retry-after-ms", "1"),)
    return replace(response, headers=headers)


@dataclass(frozen=True, slots=True)
class Passthrough:
    """The decision to send the request to the network, and to report nothing to the tape."""


class ResponseRecorder(Protocol):
    """A recorder for the response to one request that the interceptor sends to the network.

    The interceptor calls ``record_head`` once, ``record_chunk`` each time bytes arrive, and finally either
    ``record_end`` or ``record_failure``. Any further calls are ignored. If the caller goes away before the head
    arrives (for example, because its task is cancelled), the interceptor only calls ``record_end("left")``.
    """

    def record_head(self, status: int, reason: str, headers: Headers) -> None:
        """Record the status and the headers. Header names can have any case."""

    def record_chunk(self, chunk: bytes, *, continued: bool = False) -> None:
        """Record a part of the body as it arrived, without decoding it.

        Args:
            chunk: The bytes that arrived.
            continued: Whether these bytes continue the previous part, because the network split a chunk.
        """

    def record_end(
        self, ending: Ending = "complete", *, trailers: Headers = (), error: BaseException | None = None
    ) -> None:
        """Record the end of the body.

        Args:
            ending: How the response ended.
            trailers: The headers that arrived after the body.
            error: The error that broke the response. None if all that is known is that the connection was closed.
        """

    def record_failure(self, error: BaseException, *, during: During | None = None) -> None:
        """Record that no response arrived, because the connection failed or timed out first.

        Args:
            error: The error that the caller received.
            during: The phase of the request, if the interceptor can raise ``error`` again on replay. If ``during`` is
                None, the recording stays pending.
        """


@runtime_checkable
class Conversation(Protocol):
    """The decision to answer a streaming request from a recording, provided that the client sends the recorded
    messages.

    The interceptor opens no connection. It appends each message of the client to the request, and then calls
    ``match_message``.
    """

    def match_message(self) -> None:
        """Search the recordings for the latest message from the client.

        Raises ``CassetteMiss`` if no recording has this message at the same position.
        """

    def match_end(self) -> None:
        """Drop the recordings with more messages than the client sent.

        Raises ``CassetteMiss`` if no recording is left.
        """

    def find_replay(self) -> Replay | None:
        """Return the replay of the matching recording. ``None`` if the client must first send more messages.

        Raises ``CassetteMiss`` if every matching recording was already replayed.
        """

    def abandon(self) -> None:
        """Handle a client that has gone away."""

    def resolve_stall(self) -> CassetteMiss | None:
        """Handle a client that is waiting for a response although it must send more messages first.

        Returns the miss for the interceptor to raise, or ``None`` if a response is already available.
        """


Route = Replay | Passthrough | ResponseRecorder
StreamRoute = Conversation | Passthrough | ResponseRecorder


class Router(Protocol):
    """The methods of a tape that interceptors call."""

    @property
    def mode(self) -> str:
        """The tape's mode, one of ``settings.MODES``."""

    def route(self, request: Request) -> Route:
        """Decide how to proceed with ``request``. Raises ``CassetteMiss`` if no recording matches."""

    def route_stream(self, request: Request) -> StreamRoute:
        """Decide how to proceed with a streaming ``request`` before its first message is sent.

        Raises ``CassetteMiss`` if no recording of this gRPC method can be replayed.
        """

    def allows_connection(self, host: str, port: int) -> bool:
        """Return whether a raw socket is allowed to connect to ``host:port``.

        Interceptors need not ask about loopback addresses, which are always allowed.
        """

    def add_violation(self, violation: TapeViolation) -> None:
        """Fail the test because of ``violation``, even if the code under test catches it.

        An interceptor calls this before it raises ``violation``.
        """
