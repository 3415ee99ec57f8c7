"""Write values as YAML, on one line or as a literal block, in PyYAML's style.

PyYAML reads every character, and takes twenty seconds for a body of 20 MB. This module uses PyYAML only for short
strings, and only once for each of these strings.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

# half of a surrogate pair: clients decode a byte that is not UTF-8 to one, and no YAML loader accepts it
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_OFTEN_ESCAPED = '\\"\n\r\t'  # the backslash first, because the other escapes contain it
_LONG = 1000
_LARGE = 1 << 20
_BASE64_PART = 57 * 10_000
"""A number of bytes that fills whole lines in base64."""
# a longer key can only be read after a question mark
_LONGEST_KEY = 127
_LINE = re.compile(r"\n(?=[^\n])")


# imported and compiled when they are first needed, because a replay does not write, and both take milliseconds
@cache
def _escapes() -> Mapping[str, str]:
    """Return a dictionary from characters to PyYAML's escape sequences for them."""
    import yaml

    return {char: f"\\{name}" for char, name in yaml.emitter.Emitter.ESCAPE_REPLACEMENTS.items()}


@cache
def _escaped() -> re.Pattern[str]:
    """Return a pattern for the characters that PyYAML escapes.

    These are tabs, line breaks, and everything that is not printable in YAML 1.1:
    https://yaml.org/spec/1.1/#c-printable.
    """
    return re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffe]")


@cache
def _escaped_in_quotes() -> re.Pattern[str]:
    """Return a pattern for the characters that PyYAML escapes in double quotes: those of ``_escaped``, and those beyond
    U+FFFF.
    """
    return re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")


def format_line(value: Any, *, bracketed: bool = False) -> str:
    """Return ``value`` as YAML on one line.

    Args:
        value: The value.
        bracketed: Whether the result is inserted between the brackets of a list or mapping.
    """
    match value:
        case str():
            return _format_text(value, bracketed)
        case list() | tuple():
            return f"[{', '.join(format_line(item, bracketed=True) for item in value)}]"
        case Mapping():
            return f"{{{', '.join(_format_pair(key, item) for key, item in value.items())}}}"
        case int() if not isinstance(value, bool):
            # a long stream has a number for each event, and PyYAML takes a tenth of a millisecond for each
            return str(value)
    return _dump(value, bracketed=True)


def _format_pair(key: Any, item: Any) -> str:
    written = format_line(key, bracketed=True)
    mark = ("", "") if key != "" and len(written) <= _LONGEST_KEY else ("? ", " ")
    return f"{mark[0]}{written}{mark[1]}: {format_line(item, bracketed=True)}"


def _format_text(text: str, bracketed: bool) -> str:
    if _SURROGATE.search(text):
        return f"!!binary '{base64.b64encode(text.encode(errors='surrogatepass')).decode()}'"
    if _escaped().search(text):
        return f'"{_escape_text(text)}"'
    if len(text) > _LONG:
        return "'" + text.replace("'", "''") + "'"
    return _format_short(text, bracketed)


def _escape_text(text: str) -> str:
    for char in _OFTEN_ESCAPED:
        text = text.replace(char, _escapes()[char])
    return _escaped_in_quotes().sub(_escape, text)


@lru_cache(maxsize=4096)
def _format_short(text: str, bracketed: bool) -> str:
    return _dump(text, bracketed)


def _dump(value: Any, bracketed: bool) -> str:
    import yaml

    written: str = yaml.dump(
        [value], Dumper=yaml.SafeDumper, default_flow_style=bracketed, allow_unicode=True, width=10**9
    )
    return written[1:-2] if bracketed else written[2:-1]


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char in _escapes():
        return _escapes()[char]
    code = ord(char)
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def restore_text(value: Any) -> Any:
    """Convert bytes in ``value`` back to strings.

    Undoes ``format_line`` for values that originally contained no bytes.
    """
    match value:
        case bytes():
            return value.decode(errors="surrogatepass")
        case list():
            return [restore_text(item) for item in value]
        case dict():
            return {restore_text(key): restore_text(item) for key, item in value.items()}
    return value


def encode_body(body: bytes, indent: int) -> bytes | bytearray:
    """Return ``body`` as YAML, encoded in UTF-8: a string on one line, or a literal block.

    A body that is not UTF-8 is written in base64. A large body is encoded part by part, so that memory holds only one
    extra copy of it.

    Args:
        body: The body.
        indent: The number of spaces before each line of a literal block.
    """
    try:
        if len(body) < _LARGE:
            text = body.decode()
            return (_format_block(text, indent) if _fits_block([text]) else format_line(text)).encode()
        if _fits_block(_decode_parts(body)):
            return _encode_block(body, indent)
        return _encode_line(body)
    except UnicodeDecodeError:
        return _encode_binary(body, indent)


def _decode_parts(body: bytes) -> Iterator[str]:
    """Yield the text of ``body`` in parts. Only the last part can end with a line break."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = 0
    while start < len(body):
        end = body.find(b"\n", start + _LARGE)
        end = len(body) if end < 0 else end
        if end - start > 2 * _LARGE:
            # a very long line
            end = start + _LARGE
            end += body[end - 1 : end] == b"\n"
        yield decoder.decode(body[start:end], end == len(body))
        start = end


def _fits_block(parts: Iterable[str]) -> bool:
    """Return whether YAML parsers and editors keep the text in ``parts`` unchanged in a literal block."""
    has_lines = False
    for number, part in enumerate(parts):
        if not number and part.startswith((" ", "\n")):
            return False
        # YAML 1.1 and 1.2 disagree on U+0085, U+2028 and U+2029; editors remove trailing spaces and tabs
        lines = part.split("\n")
        if not all(line == line.rstrip() and line.isprintable() for line in lines):
            return False
        has_lines = has_lines or len(lines) > 1
    return has_lines


def _format_block(text: str, indent: int) -> str:
    chomping = "+" if text.endswith("\n\n") else "" if text.endswith("\n") else "-"
    return f"|{chomping}" + _LINE.sub("\n" + " " * indent, "\n" + text.removesuffix("\n"))


def _encode_block(body: bytes, indent: int) -> bytearray:
    chomping = b"+" if body.endswith(b"\n\n") else b"" if body.endswith(b"\n") else b"-"
    new_line = "\n" + " " * indent
    encoded = bytearray(b"|%b%b" % (chomping, new_line.encode()))
    for part in _decode_parts(body):
        encoded += _LINE.sub(new_line, part).encode()
    if chomping != b"-":
        # the writer ends the line
        del encoded[-1]
    return encoded


def _encode_line(body: bytes) -> bytearray:
    is_escaped = any(map(_escaped().search, _decode_parts(body)))
    encoded = bytearray(b'"' if is_escaped else b"'")
    for part in _decode_parts(body):
        encoded += (_escape_text(part) if is_escaped else part.replace("'", "''")).encode()
    encoded += encoded[:1]
    return encoded


def _encode_binary(content: bytes, indent: int) -> bytearray:
    encoded = bytearray(b"!!binary |")
    new_line = b"\n" + b" " * indent
    for start in range(0, len(content), _BASE64_PART):
        lines = base64.encodebytes(content[start : start + _BASE64_PART]).splitlines()
        encoded += b"".join(new_line + line for line in lines)
    return encoded
