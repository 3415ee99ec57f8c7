"""HTTP/1.1 messages as bytes: parse a message as it arrives, and encode a recorded response.

See https://www.rfc-editor.org/rfc/rfc9112. The parser is as lenient as ``http.client``, which parses the same bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Container, Iterator
from enum import Enum, auto
from http import HTTPStatus

from multitrack.tape.exchange import Headers, Replay


class BodyFraming(Enum):
    """The way to find the end of a body whose length is unknown."""

    CHUNKED = auto()
    UNTIL_CLOSE = auto()
    INTERIM = auto()
    """The message has no body, and the head of the final response follows."""


class HttpMessageParser:
    """A parser for one HTTP message whose bytes arrive in pieces.

    Attributes:
        start_line: The first line, None until the head is complete.
        headers: The header fields, with lower-case names.
        trailers: The fields after a chunked body.
        is_complete: Whether the whole body was parsed.
        is_within_chunk: Whether only a part of the current chunk has been parsed.
    """

    def __init__(self, find_framing: Callable[[str, Headers], BodyFraming | int]) -> None:
        self._find_framing = find_framing
        self._unparsed = bytearray()
        self._parse_line: Callable[[str], None] = self._parse_start_line
        self._pending_start_line = ""
        self._fields: list[tuple[str, str]] = []
        self._remaining_bytes = 0
        self._is_until_close = False
        self.start_line: str | None = None
        self.headers: Headers = ()
        self.trailers: Headers = ()
        self.is_complete = False
        self.is_within_chunk = False

    @property
    def missing_bytes(self) -> int:
        """The number of body bytes that are still missing, according to the message's ``content-length``."""
        if self.start_line is None or self._is_until_close or self._parse_line == self._parse_chunk_end:
            return 0
        return self._remaining_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Return the parts of the body in ``data``, without framing. Raises ValueError if a chunk is malformed."""
        self._unparsed += data
        return list(self._parse())

    def close(self) -> None:
        """Signal that no more bytes follow. If the head announced no length, the body is now complete."""
        self.is_complete = self.is_complete or self._is_until_close

    def _parse(self) -> Iterator[bytes]:
        while not self.is_complete and self._unparsed:
            if self._remaining_bytes:
                part = bytes(self._unparsed[: self._remaining_bytes])
                del self._unparsed[: len(part)]
                self._remaining_bytes -= len(part)
                is_chunked = self._parse_line == self._parse_chunk_end
                self.is_within_chunk = is_chunked and self._remaining_bytes > 0
                yield part
                self.is_complete = not self._remaining_bytes and not is_chunked
                continue
            end = self._unparsed.find(b"\n")
            if end < 0:
                return
            line = self._unparsed[:end].removesuffix(b"\r").decode("iso-8859-1")
            del self._unparsed[: end + 1]
            self._parse_line(line)

    def _parse_start_line(self, line: str) -> None:
        self._pending_start_line = line
        self._parse_line = self._parse_header

    def _parse_header(self, line: str) -> None:
        if line:
            self._add_field(line)
            return
        headers = tuple(self._fields)
        self._fields.clear()
        framing = self._find_framing(self._pending_start_line, headers)
        if framing is BodyFraming.INTERIM:
            self._parse_line = self._parse_start_line
            return
        self.start_line, self.headers = self._pending_start_line, headers
        if framing is BodyFraming.CHUNKED:
            self._parse_line = self._parse_chunk_size
        elif framing is BodyFraming.UNTIL_CLOSE:
            self._is_until_close = True
            self._remaining_bytes = sys.maxsize
        else:
            self._remaining_bytes = framing
            self.is_complete = not framing

    def _parse_chunk_size(self, line: str) -> None:
        size = line.partition(";")[0].strip()
        if not re.fullmatch("[0-9a-fA-F]+", size):
            raise ValueError(f"{line!r} is not a valid chunk size")
        self._remaining_bytes = int(size, 16)
        self._parse_line = self._parse_chunk_end if self._remaining_bytes else self._parse_trailer

    def _parse_chunk_end(self, line: str) -> None:
        if line:
            raise ValueError(f"expected an empty line after a chunk, found {line!r}")
        self._parse_line = self._parse_chunk_size

    def _parse_trailer(self, line: str) -> None:
        if line:
            self._add_field(line)
            return
        self.trailers = tuple(self._fields)
        self.is_complete = True

    def _add_field(self, line: str) -> None:
        if line[0] in " \t" and self._fields:
            name, value = self._fields.pop()
            self._fields.append((name, f"{value} {line.strip()}"))
            return
        name, _, value = line.partition(":")
        self._fields.append((name.strip().lower(), value.strip()))


def request_parser() -> HttpMessageParser:
    """Return a parser for a request. A request has a body only if its headers announce a body."""
    return HttpMessageParser(lambda _, headers: _find_framing(headers, default=0))


def response_parser(method: str, interim: Container[int] = (HTTPStatus.CONTINUE,)) -> HttpMessageParser:
    """Return a parser for the response to a request.

    Args:
        method: The method of the request.
        interim: The status codes of interim responses, which the client and the parser skip.
    """

    def find_framing(start_line: str, headers: Headers) -> BodyFraming | int:
        code = parse_status_line(start_line)[0]
        if code in interim:
            return BodyFraming.INTERIM
        return 0 if has_no_body(code, method) else _find_framing(headers, default=BodyFraming.UNTIL_CLOSE)

    return HttpMessageParser(find_framing)


def parse_status_line(line: str) -> tuple[int, str]:
    """Return the code and the reason in a status line. The code is 0 if the line has none."""
    _, _, rest = line.partition(" ")
    code, _, reason = rest.strip().partition(" ")
    return (int(code) if code.isdecimal() else 0), reason.strip()


def has_no_body(code: int, method: str) -> bool:
    """Return whether the response to a ``method`` request has no body if its status is ``code``."""
    return method == "HEAD" or code < 200 or code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def _find_framing(headers: Headers, *, default: BodyFraming | int) -> BodyFraming | int:
    fields = dict(reversed(headers))
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return BodyFraming.CHUNKED
    length = fields.get("content-length", "")
    return int(length) if length.isdecimal() else default


# Headers that describe the recorded connection. The content encoding is not one of them: a cassette only has it if the
# body is still encoded, because it could not be decoded.
_CONNECTION_HEADERS = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-connection",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


def encode_response(replay: Replay, method: str) -> Iterator[tuple[float, bytes]]:
    """Encode a recorded response to a request with ``method``.

    An incomplete response is sent without its last chunk, or with a ``content-length`` that is one byte too large, so
    that the client notices the missing part when the connection ends.

    Returns:
        Pairs of a wait in seconds and the bytes to send after it: first the head, then each chunk.
    """
    recorded = replay.response
    is_complete = recorded.ending == "complete"
    is_short = recorded.failure is not None and recorded.failure.error == "IncompleteRead"
    chunks = [] if has_no_body(recorded.status, method) else list(replay.chunks())
    length = sum(len(chunk) for _, chunk in chunks)
    is_stream = is_streamed(replay)
    headers = [(name, value) for name, value in recorded.headers if name.lower() not in _CONNECTION_HEADERS]
    if not has_no_body(recorded.status, method):
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        if not is_short and (is_stream or not is_complete):
            headers.append(("transfer-encoding", "chunked"))
            chunks = [(wait, b"%x\r\n%b\r\n" % (len(chunk), chunk)) for wait, chunk in chunks]
            if is_complete:
                wait, last = chunks.pop() if chunks else (0.0, b"")
                chunks.append((wait, last + b"0\r\n\r\n"))
        else:
            headers.append(("content-length", str(length + is_short)))
    head = _encode_line(f"HTTP/1.1 {recorded.status} {recorded.reason}")
    head += b"".join(_encode_line(f"{name}: {value}") for name, value in headers)
    yield 0.0, head + b"\r\n"
    yield from chunks


def is_streamed(replay: Replay) -> bool:
    """Return whether the server seems to have streamed the body. A streamed body has no ``content-length``."""
    content_type = (replay.response.header("content-type") or "").lower()
    return content_type.startswith("text/event-stream") or len(list(replay.chunks())) > 1


def _encode_line(text: str) -> bytes:
    # a line break in a value, possible in an edited cassette, would end the head early
    return encode_text(" ".join(text.splitlines())) + b"\r\n"


def encode_text(text: str) -> bytes:
    """Encode ``text`` for a response head. Try several encodings, because clients decode heads in different ways."""
    for encoding, errors in (("iso-8859-1", "strict"), ("utf-8", "surrogateescape")):
        try:
            return text.encode(encoding, errors)
        except UnicodeEncodeError:
            continue
    return text.encode("utf-8", "surrogatepass")
