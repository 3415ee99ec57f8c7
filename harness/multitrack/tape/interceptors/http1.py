"""HTTP/1.1 messages as bytes: read as they come in, and a recorded answer written out.

https://www.rfc-editor.org/rfc/rfc9112. As lenient as `http.client`, which reads the same bytes beside us.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Container, Iterator
from enum import Enum, auto
from http import HTTPStatus

from multitrack.tape.exchange import Headers, Replay


class Framing(Enum):
    """How a body is delimited that has no known length."""

    CHUNKED = auto()
    UNTIL_CLOSE = auto()
    INTERIM = auto()
    """There is no body, and another head follows."""


class Message:
    """One message, read as its bytes come in.

    ``start`` is its first line, None until its head is complete; ``headers`` are its fields, in lower case;
    ``trailers`` those after a chunked body; ``over`` is true once the body is complete. ``within_chunk`` is true while
    the rest of a chunk is awaited of which a part was given out.
    """

    def __init__(self, framing: Callable[[str, Headers], Framing | int]) -> None:
        self._framing = framing
        self._unread = bytearray()
        self._take: Callable[[str], None] = self._start_line
        self._started = ""
        self._fields: list[tuple[str, str]] = []
        self._left = 0
        self._until_close = False
        self.start: str | None = None
        self.headers: Headers = ()
        self.trailers: Headers = ()
        self.over = False
        self.within_chunk = False

    @property
    def missing(self) -> int:
        """How many bytes are missing of the length that the head announced."""
        return 0 if self.start is None or self._until_close or self._take == self._chunk_end else self._left

    def feed(self, data: bytes) -> list[bytes]:
        """The parts of the body in ``data``, out of their framing. Raises ValueError on a bad chunk size."""
        self._unread += data
        return list(self._read())

    def close(self) -> None:
        """No more bytes come; that ends a body without length."""
        self.over = self.over or self._until_close

    def _read(self) -> Iterator[bytes]:
        while not self.over and self._unread:
            if self._left:
                part = bytes(self._unread[: self._left])
                del self._unread[: len(part)]
                self._left -= len(part)
                is_chunked = self._take == self._chunk_end
                self.within_chunk = is_chunked and self._left > 0
                yield part
                self.over = not self._left and not is_chunked
                continue
            end = self._unread.find(b"\n")
            if end < 0:
                return
            line = self._unread[:end].removesuffix(b"\r").decode("iso-8859-1")
            del self._unread[: end + 1]
            self._take(line)

    def _start_line(self, line: str) -> None:
        self._started = line
        self._take = self._header

    def _header(self, line: str) -> None:
        if line:
            self._field(line)
            return
        headers = tuple(self._fields)
        self._fields.clear()
        framing = self._framing(self._started, headers)
        if framing is Framing.INTERIM:
            self._take = self._start_line
            return
        self.start, self.headers = self._started, headers
        if framing is Framing.CHUNKED:
            self._take = self._chunk_size
        elif framing is Framing.UNTIL_CLOSE:
            self._until_close = True
            self._left = sys.maxsize
        else:
            self._left = framing
            self.over = not framing

    def _chunk_size(self, line: str) -> None:
        size = line.partition(";")[0].strip()
        if not re.fullmatch("[0-9a-fA-F]+", size):
            raise ValueError(f"{line!r} is no chunk size")
        self._left = int(size, 16)
        self._take = self._chunk_end if self._left else self._trailer

    def _chunk_end(self, line: str) -> None:
        if line:
            raise ValueError(f"a chunk is followed by {line!r}")
        self._take = self._chunk_size

    def _trailer(self, line: str) -> None:
        if line:
            self._field(line)
            return
        self.trailers = tuple(self._fields)
        self.over = True

    def _field(self, line: str) -> None:
        if line[0] in " \t" and self._fields:
            name, value = self._fields.pop()
            self._fields.append((name, f"{value} {line.strip()}"))
            return
        name, _, value = line.partition(":")
        self._fields.append((name.strip().lower(), value.strip()))


def request() -> Message:
    """Reads a request; one that says nothing about a body has none."""
    return Message(lambda _, headers: _framing(headers, otherwise=0))


def response(method: str, interim: Container[int] = (HTTPStatus.CONTINUE,)) -> Message:
    """Reads the answer to a request of ``method``, left out those whose codes the client takes for ``interim``."""

    def framing(start: str, headers: Headers) -> Framing | int:
        code = status(start)[0]
        if code in interim:
            return Framing.INTERIM
        return 0 if _has_no_body(code, method) else _framing(headers, otherwise=Framing.UNTIL_CLOSE)

    return Message(framing)


def status(start: str) -> tuple[int, str]:
    """The code and the reason in a status line; 0 where it holds none."""
    _, _, rest = start.partition(" ")
    code, _, reason = rest.strip().partition(" ")
    return (int(code) if code.isdecimal() else 0), reason.strip()


def _has_no_body(code: int, method: str) -> bool:
    return method == "HEAD" or code < 200 or code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def _framing(headers: Headers, *, otherwise: Framing | int) -> Framing | int:
    fields = dict(reversed(headers))
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return Framing.CHUNKED
    length = fields.get("content-length", "")
    return int(length) if length.isdecimal() else otherwise


# True of the connection that the answer came by. Not so its content encoding: a tape names one only where the body
# is still in it, since it could not be decoded.
_OF_THE_TRANSPORT = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-connection",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


def pieces(replay: Replay, method: str) -> Iterator[tuple[float, bytes]]:
    """The answer to a request of ``method`` in pieces, each with the seconds to wait before it: its head, and then
    chunk by chunk. One that was not recorded to its end lacks the last chunk, or one byte of the length that it
    announces: there, the connection breaks."""
    recorded = replay.response
    whole = recorded.ending == "complete"
    is_short = recorded.failure is not None and recorded.failure.error == "IncompleteRead"
    chunks = [] if _has_no_body(recorded.status, method) else list(replay.chunks())
    is_stream = len(chunks) > 1 or (recorded.header("content-type") or "").lower().startswith("text/event-stream")
    headers = [(name, value) for name, value in recorded.headers if name.lower() not in _OF_THE_TRANSPORT]
    if not _has_no_body(recorded.status, method):
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        if not is_short and (is_stream or not whole):
            headers.append(("transfer-encoding", "chunked"))
            chunks = [(wait, b"%x\r\n%b\r\n" % (len(chunk), chunk)) for wait, chunk in chunks]
            if whole:
                wait, last = chunks.pop() if chunks else (0.0, b"")
                chunks.append((wait, last + b"0\r\n\r\n"))
        else:
            headers.append(("content-length", str(len(recorded.body) + is_short)))
    head = _line(f"HTTP/1.1 {recorded.status} {recorded.reason}")
    head += b"".join(_line(f"{name}: {value}") for name, value in headers)
    yield 0.0, head + b"\r\n"
    yield from chunks


def _line(text: str) -> bytes:
    # a line end inside of a value, as an edited tape may hold it, would end the head early
    text = " ".join(text.splitlines())
    try:
        return text.encode("iso-8859-1") + b"\r\n"
    except UnicodeEncodeError:
        return text.encode() + b"\r\n"
