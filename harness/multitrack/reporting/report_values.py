"""Convert values from a run for a report, which must be valid JSON and not too long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

_LONGEST_TEXT = 20_000
_DEEPEST = 40


def cut_text(text: str) -> str:
    """Return ``text`` truncated to a limit and without lone surrogates, which cannot be written to a file."""
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}… ({len(text) - _LONGEST_TEXT} more characters)"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def to_json_value(value: Any, depth: int = 0) -> JsonValue:
    """Return parsed JSON with its long text truncated. A value that JSON cannot represent is replaced by its text."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return cut_text(value)
        case _ if depth >= _DEEPEST:
            return "…"
        case Mapping():
            return {cut_text(str(key)): to_json_value(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [to_json_value(item, depth + 1) for item in value]
    return cut_text(str(value))
