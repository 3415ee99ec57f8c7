"""The input of a response: its items, what they say, and whether calls and outputs belong together.

The shapes are those of https://platform.openai.com/docs/api-reference/responses/create#responses_create-input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.standin.openai.error import InvalidRequestError
from multitrack.standin.openai.messages import text_of
from multitrack.standin.openai.tools import check_name

Item = Mapping[str, Any]

OUTPUTS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
"""The kind of item that answers each kind of call."""


def items_of(body: Mapping[str, Any]) -> list[Item]:
    """The input in ``body`` as items. Raises `InvalidRequestError` where it has none."""
    if "messages" in body:
        raise InvalidRequestError(
            "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. "
            "Try again with the new parameter.",
            param="messages",
            code="unsupported_parameter",
        )
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, Sequence) or not all(isinstance(item, Mapping) for item in given):
        raise InvalidRequestError(
            "Missing required parameter: 'input'.", param="input", code="missing_required_parameter"
        )
    return list(given)


def check(items: Sequence[Item]) -> None:
    """Raises `InvalidRequestError` for a call without output, and for an output without call."""
    called: dict[str, str] = {}
    for number, item in enumerate(items):
        kind, call_id = item.get("type"), str(item.get("call_id", ""))
        if kind in OUTPUTS:
            check_name(item.get("name"), f"input[{number}].name")
            called[call_id] = OUTPUTS[str(kind)]
        elif kind in OUTPUTS.values() and called.pop(call_id, None) != kind:
            raise InvalidRequestError(
                f"No tool call found for function call output with call_id {call_id}.", param="input"
            )
    for call_id in called:
        raise InvalidRequestError(f"No tool output found for function call {call_id}.", param="input")


def text_of_item(item: Item) -> str:
    """What ``item`` says."""
    return text_of(item.get("output" if item.get("type") in OUTPUTS.values() else "content"))


def is_the_models(item: Item) -> bool:
    """Whether the model made ``item``."""
    if item.get("type", "message") == "message":
        return item.get("role") == "assistant"
    return item.get("type") not in (*OUTPUTS.values(), "item_reference")
