"""A gRPC call in the tape's terms: messages to `Request` and `Response` and back, status to headers and back.

Works on wire bytes at both ends and knows nothing of how calls are made, synchronously or not. The one call for
which a client streams its requests is told message by message.
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

# The codes a client's own library gives a call that got no answer, or lost it on the way:
# https://grpc.io/docs/guides/status-codes/
_LOST = (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


class Call(Protocol):
    """What a call that is over tells of itself; `grpc.Call` has it."""

    def code(self) -> grpc.StatusCode | None: ...
    def details(self) -> str | None: ...
    def initial_metadata(self) -> Pairs | None: ...
    def trailing_metadata(self) -> Pairs | None: ...


@dataclass(frozen=True, slots=True)
class Method:
    """A remote method as one client calls it; the message class is None where the client does not tell it."""

    url: str
    response_type: type[Message] | None
    streams_responses: bool

    def request(self, wire: bytes, kind: type[Message] | None, metadata: Pairs | None) -> Request:
        """The request that sends one message of class ``kind``, which has these bytes on the wire."""
        message = wire_to_json(wire, kind)
        # as it is, an array would be taken for a stream of messages
        body = f'{{"value": {message}}}' if message.startswith("[") else message
        return Request("POST", self.url, to_headers(metadata), body.encode())

    def opening(self, metadata: Pairs | None) -> Request:
        """The request that streams its messages, before the first."""
        return Request("POST", self.url, to_headers(metadata), b"[]", [])

    def messages(self, response: Response) -> list[bytes]:
        """The wire bytes of each message of a recorded answer. Raises ValueError if it cannot be read."""
        if not response.body:
            return []
        if not self.streams_responses:
            return [json_to_wire(response.body, self.response_type)]
        # a stream that was still open when the tape ended has no bracket behind its last message
        unclosed = response.ending == "left" and not response.body.endswith(b"]")
        elements = json.loads(response.body + b"]" if unclosed else response.body)
        if not isinstance(elements, list):
            raise ValueError("the method streams its responses, and the body is no JSON array")
        return [json_to_wire(json.dumps(element), self.response_type) for element in elements]


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended, with the metadata around its messages."""

    code: grpc.StatusCode
    details: str = ""
    initial: Metadata = ()
    trailing: Metadata = ()

    @classmethod
    def of(cls, call: Call) -> Status:
        """The status of a call that is over."""
        return cls(
            code=call.code() or grpc.StatusCode.UNKNOWN,
            details=call.details() or "",
            initial=_pairs(call.initial_metadata()),
            trailing=_pairs(call.trailing_metadata()),
        )

    @classmethod
    def numbered(cls, code: int, details: str, initial: Pairs, trailing: Pairs) -> Status:
        """The status with the number ``code``."""
        return cls(_CODES.get(code, grpc.StatusCode.UNKNOWN), details, _pairs(initial), _pairs(trailing))

    @classmethod
    def recorded(cls, response: Response) -> Status:
        """The status that the headers of an answer hold: ``grpc-status`` parts initial from trailing metadata."""
        names = [name for name, _ in response.headers]
        head = names.index("grpc-status") if "grpc-status" in names else len(names)
        # only an answer that was read to its end may lack a status: hand-written ones do, and mean OK
        number = response.header("grpc-status") or ("0" if response.ending == "complete" else "2")
        code = _CODES.get(int(number)) if number.isdecimal() else None
        return cls(
            code=code or grpc.StatusCode.UNKNOWN,
            details=response.header("grpc-message") or "",
            initial=_from_headers(response.headers[:head]),
            trailing=_from_headers(response.headers[head:]),
        )

    def trailers(self) -> Headers:
        """The status as the headers that close an answer."""
        message = (("grpc-message", self.details),) if self.details else ()
        return (("grpc-status", str(self.code.value[0])), *message, *to_headers(self.trailing))


class Take:
    """One live call, told to the tape while it goes on. What arrives after its end is not told."""

    def __init__(self, recording: ResponseRecorder, method: Method, request: Request) -> None:
        self._recording = recording
        self._method = method
        self._request = request
        self._sent: float = CLOSED if request.messages is None else 0
        self._turns: list[float] = []
        self._arrived: deque[bytes] = deque()
        self._told = 0
        self._began = False
        self._over = False
        # grpc's thread and the caller's may both find a future done
        self._lock = RLock()

    def sent(self, message: bytes) -> None:
        """Another message of a request that streams, as protobuf JSON, is about to be sent."""
        with self._lock:
            if self._request.messages is not None and not self._over:
                self._request.messages.append(message)
                self._sent += 1

    def closed(self) -> None:
        """The client has no more messages."""
        self._sent = CLOSED

    def arrived(self, wire: bytes) -> None:
        """A message came off the wire; it is told with the next call of another method here."""
        self._arrived.append(wire)

    def head(self, metadata: Pairs | None) -> None:
        """The initial metadata is known; tells it once, and the messages that arrived since."""
        with self._lock:
            if self._over:
                return
            if not self._began:
                self._began = True
                self._recording.record_head(200, "OK", (("content-type", GRPC), *to_headers(metadata)))
                if self._method.streams_responses:
                    self._recording.record_chunk(b"[")
            while self._arrived:
                message = wire_to_json(self._arrived.popleft(), self._method.response_type)
                self._recording.record_chunk((", " + message if self._told else message).encode())
                self._told += 1
                self._turns.append(self._sent)

    def ended(self, call: Call) -> None:
        """The call is over. Its status is the answer, whether the server made it or the client's own library.

        Nothing in a call says who did: one of `_LOST` that came without metadata of the server's is taken to be the
        client's, for an answer that never came or broke off.
        """
        self.over(Status.of(call))

    def over(self, status: Status) -> None:
        """The same, for a call that ended with ``status``."""
        with self._lock:
            if not self._over:
                lost = status.code in _LOST and not status.trailing
                self._end(status.initial, "broken" if lost else "complete", status.trailers())

    def left(self) -> None:
        """The caller went away before the call was over."""
        with self._lock:
            if self._over:
                return
            if self._method.streams_responses or self._began or self._arrived:
                self._end((), "left", ())
            else:
                self._over = True
                self._recording.record_end("left")

    def failed(self, error: BaseException) -> None:
        """There was no call."""
        with self._lock:
            if not self._over:
                self._over = True
                self._recording.record_failure(error)

    def _end(self, initial: Metadata, ending: Ending, trailers: Headers) -> None:
        self.head(initial)
        if self._method.streams_responses:
            self._recording.record_chunk(b"]")
        self._over = True
        if self._request.messages is not None:
            trailers += Interleaving.from_counts([*self._turns, self._sent]).to_headers(ending)
        self._recording.record_end(ending, trailers=trailers)


def method_url(target: str, method: str) -> str:
    """``grpc://host[:port]/package.Service/Method`` for the method of a channel opened to ``target``.

    The port of TLS, which gRPC takes where none is given, is left out; a socket's path is percent-encoded.
    """
    scheme = _SCHEME.match(target)
    endpoint = target[scheme.end() :] if scheme else target
    if scheme and scheme[1].lower().startswith("unix"):
        return f"grpc://{quote(endpoint.removeprefix('//'), safe='')}{method}"
    if endpoint.startswith("//"):
        endpoint = endpoint[2:].partition("/")[2]
    host, _, port = endpoint.rpartition(":")
    # a bare IPv6 address ends in ":443" without meaning a port
    if port == "443" and (":" not in host or host.endswith("]")):
        endpoint = host
    return f"grpc://{endpoint.lower()}{method}"


def to_headers(metadata: Pairs | None) -> Headers:
    """Metadata as headers: names in lower case, the values of ``-bin`` names in base64."""
    return tuple((name.lower(), _printed(name, value)) for name, value in metadata or ())


def _printed(name: str, value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    return base64.b64encode(value).decode() if name.lower().endswith("-bin") else value.decode("latin-1")


def _from_headers(headers: Headers) -> Metadata:
    hidden = ("content-type", "grpc-status", "grpc-message", HEADER)  # a live call does not show them as metadata
    return tuple(
        (name, base64.b64decode(value + "=" * (-len(value) % 4)) if name.endswith("-bin") else value)
        for name, value in headers
        if name not in hidden
    )


def _pairs(metadata: Pairs | None) -> Metadata:
    return tuple((name, value) for name, value in metadata or ())
