"""JSON as text: laid out for reading without changing the document, and one canonical form for comparing."""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(r'\s*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+)', re.DOTALL)
# line breaks of Unicode: inside a YAML block they would be read as the end of a line
_BREAKS = {ord(char): f"\\u{ord(char):04x}" for char in "\x7f\x85\u2028\u2029\ufeff"}
_MAX_DEPTH = 200


def parse(text: str | bytes) -> Any:
    """The JSON document ``text``; an object with a repeated key becomes a list of pairs, so that nothing is
    lost. Raises ValueError where it is no JSON, or is nested too deep to be walked."""
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if is_deep(document):
        raise ValueError("nested too deep")
    return document


def is_deep(document: Any) -> bool:
    """Whether ``document`` is nested too deep to be walked by functions that call themselves."""
    level = [document]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> Any:
    document = dict(pairs)
    return document if len(document) == len(pairs) else [["__pair__", key, value] for key, value in pairs]


def indented(text: str) -> str | None:
    """``text`` with two spaces of indent, every number and string written as it was, repeated keys kept.

    None where ``text`` is no JSON object or array, or nested too deep to be read so.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        json.loads(text)
        return _lay_out(_TOKEN.findall(text))
    except (ValueError, RecursionError):
        return None


def _lay_out(tokens: list[str]) -> str:
    pieces: list[str] = []
    line, is_empty = "\n", False
    deepest = "\n" + "  " * _MAX_DEPTH
    for token in tokens:
        if token in "}]":
            line = line[:-2]
            pieces.append(token if is_empty else line + token)
            is_empty = False
            continue
        if is_empty:
            pieces.append(line)
            is_empty = False
        if token in "{[":
            if line == deepest:
                raise ValueError("nested too deep")
            line += "  "
            is_empty = True
            pieces.append(token)
        elif token == ",":
            pieces.append("," + line)
        elif token == ":":
            pieces.append(": ")
        else:
            pieces.append(token if token.isascii() and "\x7f" not in token else token.translate(_BREAKS))
    return "".join(pieces)


def canonical(document: Any) -> str:
    """One text for all JSON documents that mean the same: keys sorted, no white space, ``1.0`` as ``1``.

    The order of arrays counts, and null is not absence.
    """
    return json.dumps(_plain(document), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
