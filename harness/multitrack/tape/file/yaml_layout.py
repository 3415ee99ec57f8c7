"""Parse cassettes by their indentation. This takes a quarter of the time and a third of the memory of a YAML parser.

The parser only reads the layout that ``cassette_writer`` writes. The lines of a block are indented more than its key,
so no text in a body is mistaken for a key. A value on one line is parsed as YAML; PyYAML is only imported if the
value is not simple.

If any line of a cassette differs from the layout, or is invalid, the YAML parser reads the whole cassette.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

from multitrack.tape.file import plain_values

_HEAD = re.compile(rb"(?:#.*\n)*version: 1\ninteractions:\n(?=- request:\n)")
_START = b"\n- request:\n"
_METADATA = b"\nmetadata:\n"
# the parts of an interaction around the two bodies
_REQUEST = re.compile(
    rb"- request:\n"
    rb"    method: (?P<method>.*)\n"
    rb"    uri: (?P<uri>.*)\n"
    rb"    headers: (?P<headers>.*)\n"
    rb"    body: "
)
_RESPONSE = re.compile(
    rb"  response:\n"
    rb"    status: (?P<status>.*)\n"
    rb"    headers: (?P<headers>.*)\n"
    rb"    body:\n"
    rb"      string: "
)
_REST = re.compile(
    rb"(?P<response>(?:    (?:layout|encoding|chunks|ending|failure): .*\n)*)"
    rb"(?P<interaction>(?:  (?:provenance|source|tests|models|results|rebound): .*\n)*)"
)
# where the indentation of a block ends
_BLOCK_END = {indent: re.compile(rb"\n(?![ ]{%d}|\n)" % indent) for indent in (6, 8)}
# each key with its value on one line; a long value has several lines and does not match
_METADATA_LINES = re.compile(r"\nmetadata:\n((?:[ ]{2}(?!true:|null:|false:)[a-z_]{4,}:[ ][^ |>&*!\n].*\n)+)")
_TEXTS = re.compile(r"\[(?:'[^'\n]*'(?:, (?=')|(?=\])))*\]")
# the chunks of a stream, with a number for each event
_LISTS = re.compile(r"\{(?:(?:cut|gaps_ms|joined): \[[0-9+, ]+\](?:, (?=[a-z])|(?=\})))+\}")
_LIST = re.compile(r"([a-z_]+): \[([0-9+, ]+)\]")
_SUM = re.compile(r"[0-9]+\+[0-9]+")
_PLAIN = bytes([0x0A, *range(0x20, 0x7F)])
_SHORT = 1000
_PART = 1 << 20


class UnknownLayout(ValueError):
    """The text is not laid out as Multitrack writes it, so it must be parsed as YAML."""


def read_metadata(content: bytes) -> Any:
    """Return the metadata in the cassette ``content``. Raises ``UnknownLayout``."""
    start = content.rfind(_METADATA)
    if start < 0:
        raise UnknownLayout
    metadata = content[start:]
    require_printable(metadata)
    if (lines := _METADATA_LINES.fullmatch(metadata.decode())) is not None:
        return _parse_lines(lines[1])
    found = _load_yaml(metadata)
    if list(found) != ["metadata"]:
        raise UnknownLayout
    return found["metadata"]


def find_interactions(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each interaction in ``content``, the printable text of a cassette.

    Raises:
        UnknownLayout: The text is not laid out as Multitrack writes it.
    """
    head = _HEAD.match(content)
    if not head:
        raise UnknownLayout
    start, end = head.end(), content.rindex(_METADATA) + 1
    while start < end:
        following = content.find(_START, start, end) + 1 or end
        yield start, following
        start = following


def parse_interaction(content: bytes, start: int, end: int) -> dict[str, Any]:
    """Parse the interaction from ``start`` to ``end``, and return the same values as the YAML parser.

    A long string is returned as UTF-8. The interaction's text is not copied, because it can be large. The text must
    be printable, see ``require_printable``.

    Raises:
        UnknownLayout: The interaction does not have Multitrack's layout, or is not valid YAML.
    """
    request = _match(_REQUEST, content, start, end)
    request_body, position = _read_body(content, request.end(), end, 6)
    response = _match(_RESPONSE, content, position, end)
    response_body, position = _read_body(content, response.end(), end, 8)
    rest = _match(_REST, content, position, end)
    if rest.end() != end:
        raise UnknownLayout
    return {
        "request": {
            "method": _parse_value(request["method"].decode()),
            "uri": _parse_value(request["uri"].decode()),
            "headers": _parse_value(request["headers"].decode()),
            "body": request_body,
        },
        "response": {
            "status": _parse_value(response["status"].decode()),
            "headers": _parse_value(response["headers"].decode()),
            "body": {"string": response_body},
            **_parse_lines(rest["response"].decode()),
        },
        **_parse_lines(rest["interaction"].decode()),
    }


def _match(pattern: re.Pattern[bytes], content: bytes, start: int, end: int) -> re.Match[bytes]:
    if (found := pattern.match(content, start, end)) is None:
        raise UnknownLayout
    return found


def _read_body(content: bytes, start: int, end: int, indent: int) -> tuple[Any, int]:
    """Return the body that begins at ``start``, and the position after its last line."""
    line_end = content.find(b"\n", start, end)
    if (found := _BLOCK_END[indent].search(content, line_end, end)) is None:
        raise UnknownLayout
    body_end = found.start() + 1
    if body_end > line_end + 1:
        return _read_block(content, content[start:line_end], line_end + 1, body_end, indent), body_end
    if line_end - start >= _SHORT and content[start : start + 1] == content[line_end - 1 : line_end] == b"'":
        return _read_quoted(content[start + 1 : line_end - 1]), body_end
    return _parse_value(content[start:line_end].decode()), body_end


def _read_block(content: bytes, style: bytes, start: int, end: int, indent: int) -> bytes:
    # more spaces before the first line would be read as the indentation
    if not content.startswith(b" " * indent, start) or content[start + indent : start + indent + 1] in (b" ", b"\n"):
        raise UnknownLayout
    text_end = end
    while content[text_end - 1 : text_end] == b"\n":
        text_end -= 1
    match style:
        case b"|-":
            end = text_end
        case b"|":
            end = text_end + 1
        case b"|+" | b"!!binary |":
            pass
        case _:
            raise UnknownLayout
    text = _remove_indentation(content, start + indent, end, b"\n" + b" " * indent)
    return base64.decodebytes(text) if style == b"!!binary |" else text


def _remove_indentation(content: bytes, start: int, end: int, line_start: bytes) -> bytes:
    if end - start <= _PART:
        return content[start:end].replace(line_start, b"\n")
    # a buffer that becomes the result, because a large body must not be copied several times
    lines = BytesIO()
    while start < end:
        part_end = content.find(b"\n", start + _PART, end)
        part_end = end if part_end < 0 else part_end
        lines.write(content[start:part_end].replace(line_start, b"\n"))
        start = part_end
    return lines.getvalue()


def _read_quoted(text: bytes) -> bytes:
    if b"'" in text.replace(b"''", b""):
        raise UnknownLayout
    return text.replace(b"''", b"'")


# compiled when it is first needed, because most cassettes are ASCII, and compiling takes milliseconds
@cache
def _odd() -> re.Pattern[str]:
    """Return a pattern for characters that PyYAML rejects or reads as line breaks.

    See https://yaml.org/spec/1.1/#c-printable.
    """
    return re.compile(r"[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def require_printable(content: bytes) -> None:
    """Check that the text of a cassette is UTF-8, without characters that PyYAML rejects or reads as line breaks.

    Raises:
        UnknownLayout: The text contains such a character.
        UnicodeDecodeError: The text is not UTF-8.
    """
    # in most cassettes, only the comments at the beginning are not ASCII, which takes much longer to check
    head = _HEAD.match(content)
    start = head.end() if head is not None else 0
    _require_printable(content, 0, start)
    _require_printable(content, start, len(content))


def _require_printable(content: bytes, start: int, end: int) -> None:
    # part by part, because text with emoji needs four times as much memory as its bytes
    decoder = codecs.getincrementaldecoder("utf-8")()
    for part_start in range(start, end, _PART):
        part = content[part_start : min(part_start + _PART, end)]
        if part.isascii() and not decoder.getstate()[0]:
            if part.translate(None, _PLAIN):
                raise UnknownLayout
            continue
        text = decoder.decode(part)
        # all characters that Python calls printable are valid, and the comments of most cassettes have no others
        if not text.replace("\n", "").isprintable() and _odd().search(text):
            raise UnknownLayout
    decoder.decode(b"", final=True)


def _parse_lines(lines: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines.splitlines():
        key, _, value = line.strip().partition(": ")
        if key in found:
            raise UnknownLayout
        found[key] = _parse_value(value)
    return found


def _parse_value(text: str) -> Any:
    return _parse_short(text) if len(text) < _SHORT else _load(text)


@lru_cache(maxsize=4096)
def _parse_short(text: str) -> Any:
    value = plain_values.parse_value(text)
    return _load(text) if value is plain_values.UNKNOWN else value


def _load(text: str) -> Any:
    if _TEXTS.fullmatch(text):
        return text[2:-2].split("', '") if len(text) > 2 else []
    if text[:1] == text[-1:] == "'" and len(text) > 1:
        inner = text[1:-1]
        if "'" not in inner.replace("''", ""):
            return inner.replace("''", "'")
    if _LISTS.fullmatch(text) and (lists := _parse_lists(text)) is not None:
        return lists
    # parse the text after a key, as in the cassette, because the text alone may mean something else
    return _load_yaml(f"key: {text}")["key"]


def _load_yaml(text: str | bytes) -> Any:
    import yaml

    from multitrack.tape.file.yaml_loader import Loader

    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        # the line in the error is not the line in the file, so the caller parses the whole file
        raise UnknownLayout from error


def _parse_lists(text: str) -> dict[str, list[int] | list[str]] | None:
    """Parse the lists in ``text`` whose items are integers, or strings such as ``3+17``.

    Returns ``None`` if a YAML parser might read ``text`` differently. libyaml itself is not used, because it takes
    ten microseconds per number.
    """
    lists: dict[str, list[int] | list[str]] = {}
    for name, items in _LIST.findall(text):
        if name in lists:
            return None
        texts = items.split(", ")
        if all(map(_SUM.fullmatch, texts)):
            lists[name] = texts
        elif all(map(str.isdecimal, texts)):
            lists[name] = list(map(int, texts))
            # YAML 1.1 reads a number that begins with 0 as octal
            if list(map(str, lists[name])) != texts:
                return None
        else:
            return None
    return lists
