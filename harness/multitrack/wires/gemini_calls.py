"""The calls in a message of the assistant, in OpenAI's form, and the answers to them, as Gemini's ``parts``.

Gemini tells which answer is to which call by the function's name and the order of the parts, newer versions of its
API by ids, too. It takes one answer for each call of a turn, and all of them in the next one:
https://ai.google.dev/gemini-api/docs/function-calling#parallel_function_calling
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from multitrack.wires.gemini_parts import convert_content
from multitrack.wires.lenient_json import as_object, as_text


@dataclass(eq=False)
class GeminiCall:
    """A call that the assistant made, and what was answered to it, None until something was.

    ``id`` is that of OpenAI's form, ``told_id`` the one that Gemini is told, if any.
    """

    place: str
    name: str
    args: dict[str, Any]
    id: str | None
    signature: str | None
    told_id: str | None = None
    response: dict[str, Any] | None = None

    def part(self) -> dict[str, Any]:
        """The call."""
        signed = {"thoughtSignature": self.signature} if self.signature else {}
        return {"functionCall": {**self._identified(), "args": self.args}, **signed}

    def answer_part(self) -> dict[str, Any]:
        """The answer to it."""
        return {"functionResponse": {**self._identified(), "response": self.response}}

    def _identified(self) -> dict[str, Any]:
        return {"id": self.told_id, "name": self.name} if self.told_id else {"name": self.name}

    def __str__(self) -> str:
        return f"{self.id!r} ({self.name})" if self.id else self.name


def read_calls(message: Mapping[str, Any], place: str) -> list[GeminiCall]:
    """The calls in ``message``. Raises ValueError, naming the call, for what is no call of a function."""
    tool_calls = message.get("tool_calls") or []
    if not isinstance(tool_calls, list):
        raise ValueError(f"{place}.tool_calls is a {type(tool_calls).__name__}; write a list of calls")
    calls = []
    for number, call in enumerate(tool_calls):
        where = f"{place}.tool_calls[{number}]"
        kind = call.get("type", "function") if isinstance(call, dict) else type(call).__name__
        if kind not in ("function", None):
            raise ValueError(f"{where} is of the type {kind!r}, and Gemini knows calls of functions only; leave it out")
        name, args = _called(call.get("function"), f"{where}.function")
        calls.append(GeminiCall(where, name, args, as_text(call.get("id")), read_signature(call)))
    if legacy := message.get("function_call"):
        where = f"{place}.function_call"
        calls.append(GeminiCall(where, *_called(legacy, where), id=None, signature=None))
    return calls


def read_signature(holder: Mapping[str, Any]) -> str | None:
    """The signature of the thought before a call, or a text, from Gemini's own endpoint in OpenAI's form:
    https://ai.google.dev/gemini-api/docs/thought-signatures#openai"""
    return as_text(as_object(as_object(holder.get("extra_content")).get("google")).get("thought_signature"))


def _called(function: object, where: str) -> tuple[str, dict[str, Any]]:
    name = as_text(as_object(function).get("name"))
    if not name:
        raise ValueError(f"{where} has no name; write which function was called")
    args = as_object(function).get("arguments") or "{}"
    if isinstance(args, str):
        try:
            args = json.loads(args)
        except (ValueError, RecursionError):
            args = None
    if not isinstance(args, dict):
        raise ValueError(f"{where}.arguments is no JSON object, and Gemini can be told of no other; write one")
    if unfit := _unfit(args):
        raise ValueError(f"{where}.arguments holds {unfit}, which Gemini cannot be told exactly; write it as a string")
    return name, args


def attach_response(message: Mapping[str, Any], place: str, unanswered: list[GeminiCall]) -> None:
    """Give the one of the ``unanswered`` calls that ``message``, of a tool, answers its response, and take it out.

    An id that several calls have is the first one's of them, and so is a name where there is no id. Raises
    ValueError, naming the message, where none of them is meant.
    """
    call_id, name = as_text(message.get("tool_call_id")), as_text(message.get("name"))
    if not call_id and not name:
        raise ValueError(f"{place} has no tool_call_id; write the id of the call that it answers")
    meant = (call for call in unanswered if (call.id == call_id if call_id else call.name == name))
    call = next(meant, None)
    if call is None:
        waiting = f"open here: {', '.join(map(str, unanswered))}" if unanswered else "no call is open here"
        raise ValueError(
            f"{place} answers the call {call_id or name!r}, but {waiting}; "
            f"put it behind the message of the assistant that makes the call, once for each call"
        )
    if name and name != call.name:
        raise ValueError(
            f"{place} has the name {name!r}, and the call that it answers is of {call.name!r}; write that, or no name"
        )
    call.response = _response(message.get("content"), place)
    unanswered.remove(call)


def _response(content: object, place: str) -> dict[str, Any]:
    """What a tool answered. JSON is told as such; as the text that it is where Gemini could not hold it exactly.

    https://ai.google.dev/api/caching#FunctionResponse: of an object with the key "output" or "error", Gemini reads
    the values of these alone.
    """
    if content is None or content == []:
        raise ValueError(f"{place} has no content; write what the tool answered, which may be ''")
    texts = [part["text"] for part in convert_content(content, place, "tool")]
    if len(texts) > 1:
        return {"output": texts}
    text = "".join(texts)
    try:
        response = json.loads(text)
    except (ValueError, RecursionError):
        return {"output": text}
    if _unfit(response):
        return {"output": text}
    if isinstance(response, dict) and (response.keys() == {"error"} or not response.keys() & {"output", "error"}):
        return response
    return {"output": response}


_LEVELS = 30


def _unfit(value: object, level: int = 0) -> str | None:
    """What in the JSON ``value`` a protobuf ``Struct`` cannot hold, None if all is well."""
    match value:
        case dict() | list() if level == _LEVELS:
            # a message of protobuf may hold others a hundred levels deep, and each level here takes up to three
            return f"more than {_LEVELS} levels of nesting"
        case dict():
            return next((unfit for item in value.values() if (unfit := _unfit(item, level + 1))), None)
        case list():
            return next((unfit for item in value if (unfit := _unfit(item, level + 1))), None)
        case bool() | str() | None:
            return None
        case int() if abs(value) < 2**1023 and int(float(value)) == value:
            return None
        case float() if isfinite(value):
            return None
        case int() | float():
            return f"the number {value}"
        case _:
            return f"a {type(value).__name__}"
