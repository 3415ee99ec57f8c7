"""The requests that the stand-in received, in order, for tests to inspect."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal
from urllib.parse import urlsplit

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request that the stand-in received.

    Attributes:
        transport: ``http`` or ``grpc``.
        method: The HTTP method; ``POST`` for a gRPC call.
        url: The absolute URL, with the host that the client addressed; ``grpc://host/package.Service/Method`` for a
            gRPC call.
        headers: The headers or the gRPC metadata, with lower-case names.
        body: The parsed JSON body, or the message of a gRPC call as protobuf JSON; None if there is none.
        content: The bytes of the body, after removal of the content encoding.
    """

    transport: Literal["http", "grpc"]
    method: str
    url: str
    headers: Headers
    body: Any
    content: bytes = field(repr=False)

    @property
    def host(self) -> str:
        """The host without its port."""
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        """The path of the URL, without the query, as the client encoded it."""
        return urlsplit(self.url).path

    @property
    def query(self) -> str:
        """The query string of the URL, as the client encoded it."""
        return urlsplit(self.url).query

    def header(self, name: str) -> str | None:
        """Return the first value of the header ``name``, or None if it is absent. ``name`` must be in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class RequestLog:
    """A list of requests. Thread-safe."""

    def __init__(self) -> None:
        self._requests: list[ReceivedRequest] = []
        self._lock = Lock()

    def add(self, request: ReceivedRequest) -> None:
        """Append ``request``."""
        with self._lock:
            self._requests.append(request)

    def copy(self) -> list[ReceivedRequest]:
        """Return a copy of the list."""
        with self._lock:
            return list(self._requests)
