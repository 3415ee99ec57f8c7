"""Convert tool calls, and the answers to them, from OpenAI's form to Gemini's ``parts``.

Gemini matches answers to calls by the function's name and the order of the parts; newer versions of its API also use
ids. Gemini requires one answer for each call in a turn, and all answers in the next turn:
https://ai.google.dev/gemini-api/docs/function-calling#parallel_function_calling
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from multitrack.wires.gemini.gemini_parts import convert_content
from multitrack.wires.lenient_json import as_object, as_text


@dataclass(eq=False)
class GeminiCall:
    """A call that the assistant made, and its response.

    Attributes:
        location: Where the call is in the messages, such as ``messages[1].tool_calls[0]``.
        name: The name of the function.
        args: The arguments.
        id: The id in OpenAI's form.
        signature: The signature of the thought before the call.
        gemini_id: The id that Gemini receives. None if it receives none.
        response: The response that Gemini receives. None until the tool message for the call has been read.
    """

    location: str
    name: str
    args: dict[str, Any]
    id: str | None
    signature: str | None
    gemini_id: str | None = None
    response: dict[str, Any] | None = None

    def to_call_part(self) -> dict[str, Any]:
        signature = {"thoughtSignature": self.signature} if self.signature else {}
        return {"functionCall": {**self._write_identity(), "args": self.args}, **signature}

    def to_response_part(self) -> dict[str, Any]:
        return {"functionResponse": {**self._write_identity(), "response": self.response}}

    def _write_identity(self) -> dict[str, Any]:
        return {"id": self.gemini_id, "name": self.name} if self.gemini_id else {"name": self.name}

    def __str__(self) -> str:
        return f"{self.id!r} ({self.name})" if self.id else self.name


def read_calls(message: Mapping[str, Any], location: str) -> list[GeminiCall]:
    """Return the calls in an assistant message.

    Args:
        message: The message.
        location: Where the message is, such as ``messages[1]``; for error messages.

    Raises:
        ValueError: A call is not a function call. The error says which call.
    """
    tool_calls = message.get("tool_calls") or []
    if not isinstance(tool_calls, list):
        raise ValueError(f"{location}.tool_calls is a {type(tool_calls).__name__}; pass a list of tool calls")
    calls = []
    for number, call in enumerate(tool_calls):
        where = f"{location}.tool_calls[{number}]"
        kind = call.get("type", "function") if isinstance(call, dict) else type(call).__name__
        if kind not in ("function", None):
            raise ValueError(
                f"{where} has the type {kind!r}, but Gemini supports only function calls; remove this call"
            )
        name, args = _read_function(call.get("function"), f"{where}.function")
        calls.append(GeminiCall(where, name, args, as_text(call.get("id")), read_signature(call)))
    if legacy := message.get("function_call"):
        where = f"{location}.function_call"
        calls.append(GeminiCall(where, *_read_function(legacy, where), id=None, signature=None))
    return calls


def read_signature(message_or_call: Mapping[str, Any]) -> str | None:
    """Return the signature of the thought before a call or text, or None if there is none.

    Gemini's OpenAI-compatible endpoint sends it: https://ai.google.dev/gemini-api/docs/thought-signatures#openai
    """
    return as_text(as_object(as_object(message_or_call.get("extra_content")).get("google")).get("thought_signature"))


def _read_function(function: object, where: str) -> tuple[str, dict[str, Any]]:
    name = as_text(as_object(function).get("name"))
    if not name:
        raise ValueError(f"{where} has no name; add the name of the function that was called")
    args = as_object(function).get("arguments") or "{}"
    if isinstance(args, str):
        try:
            args = json.loads(args)
        except (ValueError, RecursionError):
            args = None
    if not isinstance(args, dict):
        raise ValueError(f"{where}.arguments is not a JSON object, and Gemini accepts nothing else; pass a JSON object")
    if unsupported := _find_unsupported_value(args):
        raise ValueError(
            f"{where}.arguments contains {unsupported}, which Gemini cannot represent exactly; pass a string"
        )
    return name, args


def attach_response(message: Mapping[str, Any], location: str, unanswered: list[GeminiCall]) -> None:
    """Set the response of the call that a tool message answers, and remove the call from ``unanswered``.

    If several calls have the id in the message, the first of them gets the response. If the message contains only the
    name of a function, the first call to that function gets the response.

    Raises:
        ValueError: No call in ``unanswered`` fits the message. The error contains ``location``.
    """
    call_id, name = as_text(message.get("tool_call_id")), as_text(message.get("name"))
    if not call_id and not name:
        raise ValueError(f"{location} has no tool_call_id; add the id of the tool call that it answers")
    candidates = (call for call in unanswered if (call.id == call_id if call_id else call.name == name))
    call = next(candidates, None)
    if call is None:
        waiting_calls = ", ".join(map(str, unanswered)) or "none"
        raise ValueError(
            f"{location} answers the call {call_id or name!r}, which is not waiting for an answer "
            f"(waiting calls: {waiting_calls}); put one tool message for each call "
            "right after the assistant message with the calls"
        )
    if name and name != call.name:
        raise ValueError(
            f"{location} has the name {name!r}, but it answers a call to {call.name!r}; correct the name, or remove it"
        )
    call.response = _convert_response(message.get("content"), location)
    unanswered.remove(call)


def _convert_response(content: object, location: str) -> dict[str, Any]:
    if content is None or content == []:
        raise ValueError(f"{location} has no content; add the tool's answer, which can be an empty string")
    texts = [part["text"] for part in convert_content(content, location, "tool")]
    if len(texts) > 1:
        return {"output": texts}
    return convert_response_text("".join(texts))


def convert_response_text(text: str) -> dict[str, Any]:
    """Convert the text that a tool returned. JSON that Gemini can represent is sent as JSON, anything else as text.

    If an object has an "output" or "error" key, Gemini reads only the values of these keys:
    https://ai.google.dev/api/caching#FunctionResponse
    """
    try:
        response = json.loads(text)
    except (ValueError, RecursionError):
        return {"output": text}
    if _find_unsupported_value(response):
        return {"output": text}
    if isinstance(response, dict) and (response.keys() == {"error"} or not response.keys() & {"output", "error"}):
        return response
    return {"output": response}


# A protobuf message may be nested a hundred levels deep, and each level of JSON takes up to three of them.
_MAX_DEPTH = 30


def _find_unsupported_value(value: object, depth: int = 0) -> str | None:
    """Return a description of the first part of ``value`` that a protobuf ``Struct`` cannot hold, otherwise None."""
    match value:
        case dict() | list() if depth == _MAX_DEPTH:
            return f"more than {_MAX_DEPTH} levels of nesting"
        case dict():
            items = iter(value.values())
        case list():
            items = iter(value)
        case bool() | str() | None:
            return None
        case int() if abs(value) < 2**1023 and int(float(value)) == value:
            return None
        case float() if isfinite(value):
            return None
        case int() | float():
            return f"the number {value}"
        case _:
            return f"a value of the type {type(value).__name__}"
    return next((found for item in items if (found := _find_unsupported_value(item, depth + 1))), None)
