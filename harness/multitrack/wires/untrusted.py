"""Reading JSON whose shape nobody vouches for: a value of the wrong kind reads as an absent one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The JSON objects in ``value`` if it is an array, else none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, (list, tuple)) else []


def word(value: object) -> str | None:
    """``value`` if it is text with something in it, else None."""
    return value if isinstance(value, str) and value else None


def compact(value: object) -> str:
    """``value`` as JSON without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def error_text(error: object) -> str | None:
    """What an ``error`` of a provider says, None if there is none: its message, else the whole of it."""
    if not error:
        return None
    if isinstance(error, dict):
        return word(error.get("message")) or compact(error)
    return str(error)
