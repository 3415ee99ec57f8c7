"""The layout in which `yaml_format` writes, read by its indents: four times as fast as YAML, in a third of the memory.

What stands in a block is deeper than the key of the block, so that no text of a body is taken for a key. What stands on
one line is YAML. A tape that is not of this layout in every line is left to YAML as a whole, and so is what is wrong.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
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
    [ ]{4}headers:[ ](?P<sent>.*)\n
    [ ]{4}body:[ ](?P<asked>.*\n(?:(?:[ ]{6}.*)?\n)*)
    [ ]{2}response:\n
    [ ]{4}status:[ ](?P<status>.*)\n
    [ ]{4}headers:[ ](?P<headers>.*)\n
    [ ]{4}body:\n
    [ ]{6}string:[ ](?P<answered>.*\n(?:(?:[ ]{8}.*)?\n)*)
    (?P<told>(?:[ ]{4}(?:chunks|ending|failure):[ ].*\n)*)
    (?P<known>(?:[ ]{2}(?:provenance|tests|models|results):[ ].*\n)*)
    """,
    re.VERBOSE,
)
_TEXTS = re.compile(r"\[(?:'[^'\n]*'(?:, (?=')|(?=\])))*\]")
_PLAIN = bytes([0x0A, *range(0x20, 0x7F)])
# the reader of YAML takes them for line breaks or for damage: https://yaml.org/spec/1.1/#c-printable
_ODD = re.compile(r"[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_SHORT = 1000


class UnknownLayout(ValueError):
    """It is not our layout; what it is, YAML knows."""


def read_metadata(content: bytes) -> Any:
    """What stands on the tape ``content`` under ``metadata``. Raises `UnknownLayout`, or an error of YAML's."""
    place = content.rfind(_METADATA)
    if place < 0:
        raise UnknownLayout
    found = yaml.load(content[place:], Loader=Loader)
    if list(found) != ["metadata"]:
        raise UnknownLayout
    return found["metadata"]


def read_interactions(content: bytes) -> Iterator[dict[str, Any]]:
    """The interactions on the tape ``content``, one after the other, as YAML would give them. Raises `UnknownLayout` at
    the first of another layout, or an error of YAML's."""
    head = _HEAD.match(content)
    if not head:
        raise UnknownLayout
    _text(head[0])
    start, end = head.end(), content.rindex(_METADATA) + 1
    while start < end:
        following = content.find(_START, start, end) + 1 or end
        yield _interaction(content[start:following])
        start = following


def _interaction(content: bytes) -> dict[str, Any]:
    found = _INTERACTION.fullmatch(_text(content))
    if not found:
        raise UnknownLayout
    return {
        "request": {
            "method": _value(found["method"]),
            "uri": _value(found["uri"]),
            "headers": _value(found["sent"]),
            "body": _body(found["asked"], 6),
        },
        "response": {
            "status": _value(found["status"]),
            "headers": _value(found["headers"]),
            "body": {"string": _body(found["answered"], 8)},
            **_values(found["told"]),
        },
        **_values(found["known"]),
    }


def _text(content: bytes) -> str:
    text = content.decode()
    if content.translate(None, _PLAIN) if content.isascii() else _ODD.search(text):
        raise UnknownLayout
    return text


def _values(lines: str) -> dict[str, Any]:
    pairs = [line.strip().split(": ", 1) for line in lines.splitlines()]
    if len({key for key, _ in pairs}) < len(pairs):
        raise UnknownLayout
    return {key: _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    if _TEXTS.fullmatch(text):
        return text[2:-2].split("', '") if len(text) > 2 else []
    return _short(text) if len(text) < _SHORT else _by_yaml(text)


@lru_cache(maxsize=4096)
def _short(text: str) -> Any:
    return _by_yaml(text)


def _by_yaml(text: str) -> Any:
    # behind a key, as on the tape: by itself, a text may mean something else
    return yaml.load(f"key: {text}", Loader=Loader)["key"]


def _body(text: str, indent: int) -> Any:
    style, _, lines = text.partition("\n")
    if not lines:
        return _value(style)
    # more spaces before the first line would be taken for the indent
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
