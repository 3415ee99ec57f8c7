"""Convert gRPC calls to ``Request`` and ``Response``, and back.

The functions convert the bytes that gRPC sends, the status and the metadata. They can be used for synchronous and for
asyncio calls. ``GrpcCallRecording`` records one live call, message by message.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import grpc

from multitrack.tape.exchange import Ending, Headers, Request, Response, ResponseRecorder
from multitrack.tape.google.protobuf import json_to_wire, wire_to_json
from multitrack.tape.interleaving import CLOSED, HEADER, Interleaving

if TYPE_CHECKING:
    from google.protobuf.message import Message

Pairs = Iterable[tuple[str, str | bytes]]
Metadata = tuple[tuple[str, str | bytes], ...]

GRPC = "application/grpc"

_CODES = {code.value[0]: code for code in grpc.StatusCode}

# https://github.com/grpc/grpc/blob/master/doc/naming.md
_SCHEME = re.compile(r"(dns|passthrough|ipv4|ipv6|unix|unix-abstract|vsock|xds|google-c2p):", re.IGNORECASE)

# The codes that the client library itself uses if a call gets no response, or loses it on the way:
# https://grpc.io/docs/guides/status-codes/
_CLIENT_CODES = (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


class GrpcCall(Protocol):
    """The methods of ``grpc.Call`` that return the status and the metadata of a finished call."""

    def code(self) -> grpc.StatusCode | None: ...
    def details(self) -> str | None: ...
    def initial_metadata(self) -> Pairs | None: ...
    def trailing_metadata(self) -> Pairs | None: ...


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """A gRPC method, with what Multitrack learned about it from the client that calls it.

    Attributes:
        url: The URL of the method, see ``method_url``.
        response_type: The class of the response messages. None if it is unknown.
        streams_responses: Whether the method returns a stream of messages.
    """

    url: str
    response_type: type[Message] | None
    streams_responses: bool

    def create_request(self, wire: bytes, kind: type[Message] | None, metadata: Pairs | None) -> Request:
        """Return a request with one message. ``wire`` is the serialized message, and ``kind`` is its class."""
        message = wire_to_json(wire, kind)
        # an array would look like a stream of messages
        body = f'{{"value": {message}}}' if message.startswith("[") else message
        return Request("POST", self.url, to_headers(metadata), body.encode())

    def create_stream_request(self, metadata: Pairs | None) -> Request:
        """Return a streaming request that has no messages yet."""
        return Request("POST", self.url, to_headers(metadata), b"[]", [])

    def serialize_messages(self, response: Response) -> list[bytes]:
        """Return the messages of a recorded response as wire bytes. Raises ValueError if they cannot be read."""
        if not response.body:
            return []
        if not self.streams_responses:
            return [json_to_wire(response.body, self.response_type)]
        # a stream that was still open when the tape was closed has no closing bracket after its last message
        unclosed = response.ending == "left" and not response.body.endswith(b"]")
        elements = json.loads(response.body + b"]" if unclosed else response.body)
        if not isinstance(elements, list):
            raise ValueError("the responses of this method are a stream, so the body must be a JSON array")
        return [json_to_wire(json.dumps(element), self.response_type) for element in elements]


@dataclass(frozen=True, slots=True)
class GrpcStatus:
    """The final status of a call, with the metadata before and after its messages."""

    code: grpc.StatusCode
    details: str = ""
    initial_metadata: Metadata = ()
    trailing_metadata: Metadata = ()

    @classmethod
    def from_call(cls, call: GrpcCall) -> GrpcStatus:
        """Return the status of a finished call."""
        return cls(
            code=call.code() or grpc.StatusCode.UNKNOWN,
            details=call.details() or "",
            initial_metadata=_copy_pairs(call.initial_metadata()),
            trailing_metadata=_copy_pairs(call.trailing_metadata()),
        )

    @classmethod
    def from_code(cls, code: int, details: str, initial: Pairs, trailing: Pairs) -> GrpcStatus:
        """Return the status for gRPC's status number ``code``, or ``UNKNOWN`` if gRPC does not define that number."""
        return cls(_CODES.get(code, grpc.StatusCode.UNKNOWN), details, _copy_pairs(initial), _copy_pairs(trailing))

    @classmethod
    def from_response(cls, response: Response) -> GrpcStatus:
        """Return the status and the metadata in the headers of a response.

        The headers before ``grpc-status`` are initial metadata, and those after it are trailing metadata.
        """
        names = [name for name, _ in response.headers]
        head = names.index("grpc-status") if "grpc-status" in names else len(names)
        # only a complete response may lack a status: hand-written responses do, and mean OK
        number = response.header("grpc-status") or ("0" if response.ending == "complete" else "2")
        code = _CODES.get(int(number)) if number.isdecimal() else None
        return cls(
            code=code or grpc.StatusCode.UNKNOWN,
            details=response.header("grpc-message") or "",
            initial_metadata=_from_headers(response.headers[:head]),
            trailing_metadata=_from_headers(response.headers[head:]),
        )

    def to_trailers(self) -> Headers:
        """Return the status as the trailers of a response."""
        message = (("grpc-message", self.details),) if self.details else ()
        return (("grpc-status", str(self.code.value[0])), *message, *to_headers(self.trailing_metadata))


class GrpcCallRecording:
    """The recording of a live call that is in progress. Data that arrives after the end of the call is ignored."""

    def __init__(self, recording: ResponseRecorder, method: GrpcMethod, request: Request) -> None:
        self._recording = recording
        self._method = method
        self._request = request
        self._sent_count: float = CLOSED if request.messages is None else 0
        self._sent_counts: list[float] = []
        self._unrecorded: deque[bytes] = deque()
        self._recorded_count = 0
        self._has_started = False
        self._has_ended = False
        # grpc's thread and the caller's may both notice that a future is done
        self._lock = RLock()

    def record_request_message(self, message: bytes) -> None:
        """Record another message of a streaming request, as protobuf JSON, before the message is sent."""
        with self._lock:
            if self._request.messages is not None and not self._has_ended:
                self._request.messages.append(message)
                self._sent_count += 1

    def end_requests(self) -> None:
        """Record that the client has no more messages."""
        self._sent_count = CLOSED

    def fail_requests(self) -> None:
        """Record that the call ended because the client failed to produce its next message."""
        with self._lock:
            # the end comes after the failure, so a replayed caller has to wait for it
            self._sent_count += 1
            self.abandon()

    def add_message(self, wire: bytes) -> None:
        """Keep a serialized response message until ``record_messages`` or the end of the call records it."""
        self._unrecorded.append(wire)

    def record_messages(self, initial_metadata: Pairs | None) -> None:
        """Record the messages that were added since this method last ran.

        The first time, also record the initial metadata.
        """
        with self._lock:
            if self._has_ended:
                return
            if not self._has_started:
                self._has_started = True
                headers = (("content-type", GRPC), *to_headers(initial_metadata))
                self._recording.record_head(200, "OK", headers)
                if self._method.streams_responses:
                    self._recording.record_chunk(b"[")
            while self._unrecorded:
                message = wire_to_json(self._unrecorded.popleft(), self._method.response_type)
                self._recording.record_chunk((", " + message if self._recorded_count else message).encode())
                self._recorded_count += 1
                self._sent_counts.append(self._sent_count)

    def record_call(self, call: GrpcCall) -> None:
        """Record the status of a finished call.

        Either the server or the client library set the status, but the call does not show which of them. If the
        status is one of ``_CLIENT_CODES`` and has no metadata from the server, it is assumed to come from the client
        library. In that case, the response never arrived or was cut off.
        """
        self.record_status(GrpcStatus.from_call(call))

    def record_status(self, status: GrpcStatus) -> None:
        """Record that the call ended with ``status``. See ``record_call``."""
        with self._lock:
            if not self._has_ended:
                is_lost = status.code in _CLIENT_CODES and not status.trailing_metadata
                self._end(status.initial_metadata, "broken" if is_lost else "complete", status.to_trailers())

    def abandon(self) -> None:
        """Record that the caller gave up before the call ended."""
        with self._lock:
            if self._has_ended:
                return
            if self._method.streams_responses or self._has_started or self._unrecorded:
                self._end((), "left", ())
            else:
                self._has_ended = True
                self._recording.record_end("left")

    def record_failure(self, error: BaseException) -> None:
        """Record that ``error`` prevented the call."""
        with self._lock:
            if not self._has_ended:
                self._has_ended = True
                self._recording.record_failure(error)

    def _end(self, initial_metadata: Metadata, ending: Ending, trailers: Headers) -> None:
        self.record_messages(initial_metadata)
        if self._method.streams_responses:
            self._recording.record_chunk(b"]")
        self._has_ended = True
        if self._request.messages is not None:
            trailers += Interleaving.from_counts([*self._sent_counts, self._sent_count]).to_headers(ending)
        self._recording.record_end(ending, trailers=trailers)


def method_url(target: str, method: str) -> str:
    """Return ``grpc://host[:port]/package.Service/Method`` for a method that is called on a channel to ``target``.

    Port 443 is omitted, because gRPC uses it by default. The path of a unix socket is percent-encoded.
    """
    scheme = _SCHEME.match(target)
    endpoint = target[scheme.end() :] if scheme else target
    if scheme and scheme[1].lower().startswith("unix"):
        return f"grpc://{quote(endpoint.removeprefix('//'), safe='')}{method}"
    if endpoint.startswith("//"):
        endpoint = endpoint[2:].partition("/")[2]
    host, _, port = endpoint.rpartition(":")
    # an IPv6 address without brackets may end in ":443", which is not a port
    if port == "443" and (":" not in host or host.endswith("]")):
        endpoint = host
    return f"grpc://{endpoint.lower()}{method}"


def to_headers(metadata: Pairs | None) -> Headers:
    """Return metadata as headers: names in lower case, and values of ``-bin`` names in base64."""
    return tuple((name.lower(), _encode_value(name, value)) for name, value in metadata or ())


def _encode_value(name: str, value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    return base64.b64encode(value).decode() if name.lower().endswith("-bin") else value.decode("latin-1")


def _from_headers(headers: Headers) -> Metadata:
    # a live call does not show these as metadata
    hidden = ("content-type", "grpc-status", "grpc-message", HEADER)
    return tuple(
        (name, base64.b64decode(value + "=" * (-len(value) % 4)) if name.endswith("-bin") else value)
        for name, value in headers
        if name not in hidden
    )


def _copy_pairs(metadata: Pairs | None) -> Metadata:
    return tuple((name, value) for name, value in metadata or ())
