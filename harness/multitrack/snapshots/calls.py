"""Whatever holds parallel tool calls, as call expressions. The calls' ids take no part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel

from multitrack.snapshots.literals import Call, Scrub, UnwritableValue, model_call, unchanged_text
from multitrack.toolcall import ToolCall

_ACCEPTED = (
    "a call is a Pydantic model, a dataclass, a ToolCall, a tool call of an SDK, or a dict with 'name' and 'arguments'"
)


def calls_of(value: object, *, scrub: Scrub = unchanged_text) -> tuple[Call, ...]:
    """The calls of an iterable: an ``Extraction``, a list of models, raw dicts, ``ToolCall`` or an SDK's calls.

    Every text in the arguments passes through ``scrub``. Raises `UnwritableValue`, a `TypeError`, for a value that
    is no iterable of calls, or that holds something which cannot be written; it names the path: ``[1].payload``.
    """
    if isinstance(value, (BaseModel, Mapping, ToolCall)) or (is_dataclass(value) and not isinstance(value, type)):
        raise UnwritableValue(
            "", f"expected an iterable of calls, got one {type(value).__name__}; put it in a list: [call]"
        )
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise UnwritableValue("", f"expected an iterable of calls, got {type(value).__name__}; {_ACCEPTED}")
    return tuple(call_of(item, path=f"[{index}]", scrub=scrub) for index, item in enumerate(value))


def call_of(value: object, *, path: str = "", scrub: Scrub = unchanged_text) -> Call:
    """One call. Raises `UnwritableValue` as `calls_of` does."""
    named = _name_and_arguments(value)
    if named is not None:
        return _named_call(*named, path=path, scrub=scrub)
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        return model_call(value, path=path, scrub=scrub)
    raise UnwritableValue(path, f"{type(value).__name__} is no tool call; {_ACCEPTED}")


def _name_and_arguments(value: Any) -> tuple[str, object] | None:
    if isinstance(value, ToolCall):
        return value.name, value.arguments
    if isinstance(value, Mapping):
        # OpenAI's chat completions nest the two below "function"; Gemini says "args"
        fields = value["function"] if isinstance(value.get("function"), Mapping) else value
        name, arguments = fields.get("name"), fields.get("arguments", fields.get("args"))
    elif hasattr(value, "function"):
        name = getattr(value.function, "name", None)
        arguments = getattr(value.function, "arguments", None)
        if not isinstance(arguments, str):
            return None
    elif getattr(value, "type", None) == "function_call":  # OpenAI's responses
        name, arguments = getattr(value, "name", None), getattr(value, "arguments", None)
    else:
        return None
    if isinstance(name, str) and (arguments is None or isinstance(arguments, (str, Mapping))):
        return name, arguments
    return None


def _named_call(name: str, arguments: object, *, path: str, scrub: Scrub) -> Call:
    if arguments is None:
        return Call(name)
    if isinstance(arguments, str):
        try:
            decoded = json.loads(arguments)
        except (ValueError, RecursionError):
            decoded = None
        if not isinstance(decoded, dict):
            return Call(name, (scrub(arguments),))
        arguments = decoded
    assert isinstance(arguments, Mapping)
    return model_call(dict(arguments), name, path=path, scrub=scrub)
