"""Read JSON without trusting its shape: treat a value of the wrong type as absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from multitrack.tool_call import ToolCall


def as_object(value: object) -> Mapping[str, Any]:
    """Return ``value`` as a JSON object if it is a dictionary or a Pydantic object. Otherwise, an empty object."""
    return value if type(value) is dict else _read_fields(value) or {}


def as_objects(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects in ``value`` if it is an array; otherwise an empty list."""
    if not isinstance(value, (list, tuple)):
        return []
    objects: list[Mapping[str, Any]] = []
    # not a comprehension, which would be one more function
    for item in value:
        if type(item) is dict:
            objects.append(item)
        # the same condition as in `_read_fields`, which would be one more function for each block of a response
        elif getattr(item, "__pydantic_extra__", _MISSING) == {}:
            objects.append(item.__dict__)
        elif (fields := _read_fields(item)) is not None:
            objects.append(fields)
    return objects


def _read_fields(value: object) -> Mapping[str, Any] | None:
    # Pydantic objects are recognized by an attribute that each of them has: isinstance() with BaseModel, an
    # abstract class, takes ten times as long.
    extra: Any = getattr(value, "__pydantic_extra__", _MISSING)
    if extra is _MISSING:
        return value if isinstance(value, dict) else None
    fields: Any = value.__dict__
    return {**fields, **extra} if extra else fields


_MISSING = object()


def as_text(value: object) -> str | None:
    """Return ``value`` if it is a string that is not empty; otherwise None."""
    return value if isinstance(value, str) and value else None


# `json.dumps` creates an encoder for each call
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def to_compact_json(value: object) -> str:
    """Return ``value`` as JSON without whitespace."""
    return _COMPACT.encode(value)


def format_arguments(arguments: object) -> str | None:
    """Return the arguments of a call as compact JSON, or None if there are none. A string is returned unchanged."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    try:
        # three times as fast as `json.dumps`, but it still takes most of the time that reading an answer needs
        return to_json(arguments).decode()
    except PydanticSerializationError:
        return to_compact_json(arguments)


def read_call(call_id: object, name: object, arguments: object, index: int) -> ToolCall:
    """Return a call from fields of any type. Arguments that are not a string are converted to JSON."""
    # as few function calls as possible: after a request, which fills the caches of the CPU, each of them is slow
    if type(arguments) is dict:
        try:
            arguments = to_json(arguments).decode()
        except PydanticSerializationError:
            arguments = to_compact_json(arguments)
    return ToolCall(
        call_id if isinstance(call_id, str) and call_id else None,
        name if isinstance(name, str) else "",
        arguments if isinstance(arguments, str) else format_arguments(arguments),
        index,
    )


def error_message(error: object) -> str | None:
    """Return the message of a provider's ``error``, or the whole error if it has none. None if there is no error."""
    if not error:
        return None
    fields = as_object(error)
    return as_text(fields.get("message")) or (to_compact_json(error) if isinstance(error, dict) else str(error))
