"""What the stand-in received, in order, for tests to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal
from urllib.parse import urlsplit

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A request.

    ``url`` is absolute, under the host that the client meant; ``grpc://host/package.Service/Method`` for a
    gRPC call. ``headers`` have lower-case names. ``body`` is the parsed JSON (of a gRPC call, the message as
    protobuf JSON), None where there is none; ``content`` the bytes, content encoding removed.
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
        """The path, with neither query nor decoding."""
        return urlsplit(self.url).path

    @property
    def query(self) -> str:
        """The query, with no decoding."""
        return urlsplit(self.url).query

    def header(self, name: str) -> str | None:
        """The first value of the header ``name`` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)


class Log:
    """The requests so far. Safe to use from many threads."""

    def __init__(self) -> None:
        self._requests: list[Received] = []
        self._lock = Lock()

    def add(self, request: Received) -> None:
        """Append ``request``."""
        with self._lock:
            self._requests.append(request)

    def requests(self) -> list[Received]:
        """A copy of the list."""
        with self._lock:
            return list(self._requests)


def is_loopback(host: str) -> bool:
    """Whether ``host`` names the machine itself, not a provider."""
    return host in ("127.0.0.1", "localhost", "::1", "")
