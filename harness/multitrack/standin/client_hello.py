"""A look at the ClientHello that begins a TLS connection, to see which protocols the client offers.

Only as much is read as tells a gRPC client from another: the record and handshake headers, and the ALPN
extension (https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2, https://www.rfc-editor.org/rfc/rfc7301).
"""

from __future__ import annotations

import socket
import time

_RECORD_HEADER = 5
_LARGEST_RECORD = 16_384
_ALPN = 16
_SECONDS = 10


def wants_only_h2(connection: socket.socket) -> bool:
    """Whether the client on ``connection`` offers HTTP/2 and no HTTP/1.1, as gRPC does; consumes nothing."""
    protocols = offered_protocols(_peeked(connection))
    return b"h2" in protocols and b"http/1.1" not in protocols


def offered_protocols(record: bytes) -> tuple[bytes, ...]:
    """The protocols in the ALPN extension of a ClientHello; () where it has none, or is no ClientHello."""
    try:
        return _protocols(record)
    except IndexError:
        return ()


def _peeked(connection: socket.socket) -> bytes:
    """The first TLS record, left unread; what there is of it when the client ends or stalls."""
    header = _peek(connection, _RECORD_HEADER)
    return _peek(connection, _RECORD_HEADER + min(int.from_bytes(header[3:5], "big"), _LARGEST_RECORD))


def _peek(connection: socket.socket, size: int) -> bytes:
    deadline = time.monotonic() + _SECONDS
    while True:
        seen = connection.recv(size, socket.MSG_PEEK)
        if not seen or len(seen) == size or time.monotonic() > deadline:
            return seen
        # A peek gives what is there at once: without a pause a client that stalls would keep a core busy.
        time.sleep(0.001)


class _Bytes:
    """Bytes, read from the front; `IndexError` where there are not enough."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __bool__(self) -> bool:
        return bool(self._content)

    def take(self, count: int) -> bytes:
        if len(self._content) < count:
            raise IndexError
        taken, self._content = self._content[:count], self._content[count:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Bytes:
        return _Bytes(self.take(self.number(size)))


def _protocols(record: bytes) -> tuple[bytes, ...]:
    reader = _Bytes(record)
    handshake_record, client_hello = b"\x16", b"\x01"
    if reader.take(1) != handshake_record:
        return ()
    reader.take(4)
    if reader.take(1) != client_hello:
        return ()
    reader.take(3 + 2 + 32)
    for length_size in (1, 2, 1):
        reader.vector(length_size)
    extensions = reader.vector(2)
    while extensions:
        kind, extension = extensions.number(2), extensions.vector(2)
        if kind == _ALPN:
            names = extension.vector(2)
            found = []
            while names:
                found.append(names.take(names.number(1)))
            return tuple(found)
    return ()
