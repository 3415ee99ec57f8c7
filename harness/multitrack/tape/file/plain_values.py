"""Parse simple YAML values without PyYAML.

Importing PyYAML takes as long as reading 100 small cassettes, so PyYAML is imported only for values that this module
cannot parse. Everything that this module accepts has the same value in PyYAML.
"""

from __future__ import annotations

import re
from typing import Any, Final

UNKNOWN: Final = object()
"""The result of ``parse_value`` for a value that is not simple."""

# words that YAML 1.1 does not read as strings: https://yaml.org/type/
_OTHER_TYPES = frozenset({"true", "false", "yes", "no", "on", "off", "null"})
_ITEM = re.compile(
    r"'[^'\n]*'"
    # a string, without the characters that have a meaning in a list or a mapping
    r"|[A-Za-z][\w./+=;()-]*(?: [\w./+=;()-]+)*"
    # with two dots, it cannot be a number
    r"|\d+\.\d+\.\d[\w.+]*"
    r"|0|[1-9]\d{0,8}",
    re.ASCII,
)
_KEY = re.compile(r"([A-Za-z][\w.-]*): ", re.ASCII)
# a string that is not in a list or a mapping, such as a URL
_LINE = re.compile(r"[A-Za-z](?:[\w./+=;()?&%,~@-]|:(?=[\w/]))*", re.ASCII)


def parse_value(text: str) -> Any:
    """Parse ``text``, the part of a line after a key and its colon. ``UNKNOWN`` if only PyYAML can parse it."""
    match text[:1], text[-1:]:
        case "[", "]":
            return _parse_list(text, 0)[0] if text.find("]") == len(text) - 1 else UNKNOWN
        case "{", "}":
            return _parse_mapping(text)
    if _LINE.fullmatch(text) or _ITEM.fullmatch(text):
        return _convert(text)
    return UNKNOWN


def _parse_list(text: str, start: int) -> tuple[Any, int]:
    """Return the list that begins at ``start``, and the position after it."""
    items: list[Any] = []
    position = start + 1
    if text.startswith("]", position):
        return items, position + 1
    while (found := _ITEM.match(text, position)) and (item := _convert(found[0])) is not UNKNOWN:
        items.append(item)
        position = found.end()
        if text.startswith("]", position):
            return items, position + 1
        if not text.startswith(", ", position):
            break
        position += 2
    return UNKNOWN, position


def _parse_mapping(text: str) -> Any:
    pairs: dict[str, Any] = {}
    position = 1
    if text == "{}":
        return pairs
    while (key := _KEY.match(text, position)) and key[1] not in pairs and key[1].lower() not in _OTHER_TYPES:
        position = key.end()
        if text.startswith("[", position):
            value, position = _parse_list(text, position)
        elif (item := _ITEM.match(text, position)) is not None:
            value, position = _convert(item[0]), item.end()
        else:
            break
        if value is UNKNOWN:
            break
        pairs[key[1]] = value
        if position == len(text) - 1:
            return pairs
        if not text.startswith(", ", position):
            break
        position += 2
    return UNKNOWN


def _convert(item: str) -> Any:
    if item.startswith("'"):
        return item[1:-1]
    if item.isdecimal():
        return int(item)
    return UNKNOWN if item.lower() in _OTHER_TYPES else item
