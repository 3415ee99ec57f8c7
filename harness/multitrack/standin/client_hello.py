"""Read which protocols a TLS client offers in its ClientHello, to distinguish gRPC clients from HTTP clients.

Only the record header, the handshake header and the ALPN extension are parsed
(https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2, https://www.rfc-editor.org/rfc/rfc7301).
"""

from __future__ import annotations

import socket
import time

_RECORD_HEADER = 5
_LARGEST_RECORD = 16_384
_ALPN = 16
_TIMEOUT_SECONDS = 10


def offers_only_h2(connection: socket.socket) -> bool:
    """Return whether the client offers HTTP/2 but not HTTP/1.1, as gRPC clients do. Does not consume any data."""
    protocols = parse_protocols(_peek_record(connection))
    return b"h2" in protocols and b"http/1.1" not in protocols


def parse_protocols(record: bytes) -> tuple[bytes, ...]:
    """Return the protocols in the ALPN extension; () if there is none, or if ``record`` is not a ClientHello."""
    try:
        return _parse_alpn(record)
    except IndexError:
        return ()


def _peek_record(connection: socket.socket) -> bytes:
    """Return the first TLS record without consuming it. If the client closes or stalls, return what has arrived."""
    header = _peek(connection, _RECORD_HEADER)
    return _peek(connection, _RECORD_HEADER + min(int.from_bytes(header[3:5], "big"), _LARGEST_RECORD))


def _peek(connection: socket.socket, size: int) -> bytes:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        peeked = connection.recv(size, socket.MSG_PEEK)
        if not peeked or len(peeked) == size or time.monotonic() > deadline:
            return peeked
        # A peek returns at once with what has arrived. Without a pause, a stalled client would keep a core busy.
        time.sleep(0.001)


class _ByteReader:
    """A reader of a byte string, starting at its beginning. Raises ``IndexError`` if too few bytes are left."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __bool__(self) -> bool:
        return bool(self._content)

    def read(self, count: int) -> bytes:
        if len(self._content) < count:
            raise IndexError
        content, self._content = self._content[:count], self._content[count:]
        return content

    def read_number(self, size: int) -> int:
        return int.from_bytes(self.read(size), "big")

    def read_vector(self, length_size: int) -> _ByteReader:
        return _ByteReader(self.read(self.read_number(length_size)))


def _parse_alpn(record: bytes) -> tuple[bytes, ...]:
    reader = _ByteReader(record)
    handshake_record, client_hello = b"\x16", b"\x01"
    if reader.read(1) != handshake_record:
        return ()
    reader.read(4)
    if reader.read(1) != client_hello:
        return ()
    reader.read(3 + 2 + 32)
    for length_size in (1, 2, 1):
        reader.read_vector(length_size)
    extensions = reader.read_vector(2)
    while extensions:
        kind, extension = extensions.read_number(2), extensions.read_vector(2)
        if kind == _ALPN:
            names = extension.read_vector(2)
            protocols = []
            while names:
                protocols.append(names.read(names.read_number(1)))
            return tuple(protocols)
    return ()
