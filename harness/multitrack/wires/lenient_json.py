"""Reading JSON whose shape nobody vouches for: a value of the wrong kind reads as an absent one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def as_object(value: object) -> Mapping[str, Any]:
    """``value`` if it is a JSON object, or a Pydantic object made from one, else an empty one."""
    return _fields(value) or {}


def as_objects(value: object) -> list[Mapping[str, Any]]:
    """The JSON objects in ``value`` if it is an array, else none."""
    if not isinstance(value, (list, tuple)):
        return []
    return [fields for item in value if (fields := _fields(item)) is not None]


def _fields(value: object) -> Mapping[str, Any] | None:
    if isinstance(value, dict):
        return value
    # a Pydantic object, told by what each has: to ask for its class, an abstract one, takes ten times as long
    extra: Any = getattr(value, "__pydantic_extra__", _NONE)
    if extra is _NONE:
        return None
    return {**vars(value), **extra} if extra else vars(value)


_NONE = object()


def as_text(value: object) -> str | None:
    """``value`` if it is text with something in it, else None."""
    return value if isinstance(value, str) and value else None


def to_compact_json(value: object) -> str:
    """``value`` as JSON without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def error_message(error: object) -> str | None:
    """What an ``error`` of a provider says, None if there is none: its message, else the whole of it."""
    if not error:
        return None
    fields = as_object(error)
    return as_text(fields.get("message")) or (to_compact_json(error) if isinstance(error, dict) else str(error))
