"""Read cassettes in the layout of ``cassette_writer`` by their indentation.

This is four times as fast as parsing YAML, and needs a third of the memory.

The lines of a block are indented more than its key, so no text of a body is mistaken for a key. A value on one
line is parsed as YAML. If any line of a cassette differs from the layout, or is invalid, the YAML parser reads the
whole cassette.
"""

from __future__ import annotations

import base64
import re
from functools import cache, lru_cache
from typing import Any

import yaml

from multitrack.tape.file.yaml_loader import Loader

_HEAD = re.compile(rb"(?:#.*\n)*version: 1\ninteractions:\n(?=- request:\n)")
_START = b"\n- request:\n"
_METADATA = b"\nmetadata:\n"
_INTERACTION = re.compile(
    r"""
    -[ ]request:\n
    [ ]{4}method:[ ](?P<method>.*)\n
    [ ]{4}uri:[ ](?P<uri>.*)\n
    [ ]{4}headers:[ ](?P<request_headers>.*)\n
    [ ]{4}body:[ ](?P<request_body>.*\n(?:(?:[ ]{6}.*)?\n)*)
    [ ]{2}response:\n
    [ ]{4}status:[ ](?P<status>.*)\n
    [ ]{4}headers:[ ](?P<response_headers>.*)\n
    [ ]{4}body:\n
    [ ]{6}string:[ ](?P<response_body>.*\n(?:(?:[ ]{8}.*)?\n)*)
    (?P<response_rest>(?:[ ]{4}(?:layout|encoding|chunks|ending|failure):[ ].*\n)*)
    (?P<rest>(?:[ ]{2}(?:provenance|source|tests|models|results|rebound):[ ].*\n)*)
    """,
    re.VERBOSE,
)
# each key with its value on one line; a long value has several lines and does not match
_METADATA_LINES = re.compile(r"\nmetadata:\n((?:[ ]{2}(?!true:|null:|false:)[a-z_]{4,}:[ ][^ |>&*!\n].*\n)+)")
_QUOTED = re.compile(r"'[^'\n]*'")
_TEXTS = re.compile(r"\[(?:'[^'\n]*'(?:, (?=')|(?=\])))*\]")
_PLAIN = bytes([0x0A, *range(0x20, 0x7F)])
_SHORT = 1000


class UnknownLayout(ValueError):
    """The text has a different layout and must be read as YAML."""


def read_metadata(content: bytes) -> Any:
    """Return the metadata in the cassette ``content``. Raises ``UnknownLayout``, or an error of PyYAML."""
    start = content.rfind(_METADATA)
    if start < 0:
        raise UnknownLayout
    if (lines := _METADATA_LINES.fullmatch(_decode(content[start:]))) is not None:
        return _parse_lines(lines[1])
    found = yaml.load(content[start:], Loader=Loader)
    if list(found) != ["metadata"]:
        raise UnknownLayout
    return found["metadata"]


def split_interactions(content: bytes) -> list[bytes]:
    """Return the text of each interaction in the cassette ``content``. Raises ``UnknownLayout``."""
    head = _HEAD.match(content)
    if not head:
        raise UnknownLayout
    _decode(head[0])
    texts: list[bytes] = []
    start, end = head.end(), content.rindex(_METADATA) + 1
    while start < end:
        following = content.find(_START, start, end) + 1 or end
        texts.append(content[start:following])
        start = following
    return texts


def parse_interaction(content: bytes) -> dict[str, Any]:
    """Parse ``content``, the YAML of one interaction. The values are the same as those of the YAML parser.

    Raises ``UnknownLayout`` if the text has another layout, or an error of PyYAML.
    """
    found = _INTERACTION.fullmatch(_decode(content))
    if not found:
        raise UnknownLayout
    return {
        "request": {
            "method": _parse_value(found["method"]),
            "uri": _parse_value(found["uri"]),
            "headers": _parse_value(found["request_headers"]),
            "body": _parse_body(found["request_body"], 6),
        },
        "response": {
            "status": _parse_value(found["status"]),
            "headers": _parse_value(found["response_headers"]),
            "body": {"string": _parse_body(found["response_body"], 8)},
            **_parse_lines(found["response_rest"]),
        },
        **_parse_lines(found["rest"]),
    }


# compiled when it is first needed, because most cassettes are ASCII, and compiling takes milliseconds
@cache
def _odd() -> re.Pattern[str]:
    """Match characters that PyYAML reads as line breaks, or refuses: https://yaml.org/spec/1.1/#c-printable."""
    return re.compile(r"[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def _decode(content: bytes) -> str:
    text = content.decode()
    if content.translate(None, _PLAIN) if content.isascii() else _odd().search(text):
        raise UnknownLayout
    return text


def _parse_lines(lines: str) -> dict[str, Any]:
    pairs = [line.strip().split(": ", 1) for line in lines.splitlines()]
    if len({key for key, _ in pairs}) < len(pairs):
        raise UnknownLayout
    return {key: _parse_value(value) for key, value in pairs}


def _parse_value(text: str) -> Any:
    if _TEXTS.fullmatch(text):
        return text[2:-2].split("', '") if len(text) > 2 else []
    return _parse_short(text) if len(text) < _SHORT else _load(text)


@lru_cache(maxsize=4096)
def _parse_short(text: str) -> Any:
    return _load(text)


def _load(text: str) -> Any:
    if _QUOTED.fullmatch(text):
        return text[1:-1]
    # parse the text after a key, as in the cassette, because the text alone may mean something else
    return yaml.load(f"key: {text}", Loader=Loader)["key"]


def _parse_body(text: str, indent: int) -> Any:
    style, _, lines = text.partition("\n")
    if not lines:
        return _parse_value(style)
    # more spaces before the first line would be read as the indentation
    if not lines.startswith(" " * indent) or lines[indent] in " \n":
        raise UnknownLayout
    block = f"\n{lines}".replace("\n" + " " * indent, "\n")[1:]
    match style:
        case "|-":
            return block.rstrip("\n")
        case "|":
            return block.rstrip("\n") + "\n"
        case "|+":
            return block
        case "!!binary |":
            return base64.decodebytes(block.encode())
    raise UnknownLayout
