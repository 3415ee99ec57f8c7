"""Read tool calls from the objects of Google's libraries: google-genai, vertexai, proto-plus and protobuf."""

from __future__ import annotations

import json
from typing import Any
from warnings import catch_warnings, simplefilter

from multitrack.wires.gemini.gemini_answer import read_arguments


def find_call(value: Any) -> tuple[str, str | None] | None:
    """Return the name and the arguments of a ``Part`` or a ``FunctionCall``, or None if ``value`` is not a call."""
    kind = type(value)
    if kind.__name__ not in ("Part", "FunctionCall") or not _is_from_google(kind):
        return None
    if kind.__name__ == "Part":
        # for a part of a different kind, vertexai raises, and protobuf returns an empty call
        value = getattr(value, "function_call", None)
        if not getattr(value, "name", None):
            return None
    return value.name, _read_arguments(value)


def _is_from_google(kind: type) -> bool:
    return hasattr(kind, "DESCRIPTOR") or kind.__module__.startswith(("google.", "vertexai."))


def _read_arguments(value: Any) -> str | None:
    # not isinstance(value, BaseModel): a program that only decodes answers does not import Pydantic
    if hasattr(value, "__pydantic_fields_set__"):
        return read_arguments({"args": getattr(value, "args", None)})
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # reading vertexai's own property `args` emits a warning
        args = value.args
    if not isinstance(args, dict):
        from google.protobuf.json_format import MessageToDict

        args = MessageToDict(type(value).pb(value) if hasattr(type(value), "pb") else value).get("args")
    text = read_arguments({"args": args})
    # a protobuf map has no order, and iterates differently each time
    return text and json.dumps(json.loads(text), sort_keys=True)
