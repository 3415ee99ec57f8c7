"""Read the text in the input items of a Responses API request, and check that its calls and outputs match.

The format is described at https://platform.openai.com/docs/api-reference/responses/create#responses_create-input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.standin.openai.chat_messages import extract_text
from multitrack.standin.openai.error_objects import InvalidRequestError
from multitrack.standin.openai.offered_tools import check_function_name

Item = Mapping[str, Any]

OUTPUT_TYPES = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
"""The type of the output item that belongs to each type of call."""


def read_items(body: Mapping[str, Any]) -> list[Item]:
    """Return the input in ``body`` as a list of items. Raises ``InvalidRequestError`` if there is no valid input."""
    if "messages" in body:
        raise InvalidRequestError(
            "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. "
            "Try again with the new parameter.",
            param="messages",
            code="unsupported_parameter",
        )
    items = body.get("input")
    if isinstance(items, str):
        return [{"type": "message", "role": "user", "content": items}]
    if not isinstance(items, Sequence) or not all(isinstance(item, Mapping) for item in items):
        raise InvalidRequestError(
            "Missing required parameter: 'input'.", param="input", code="missing_required_parameter"
        )
    return list(items)


def check_calls_and_outputs(items: Sequence[Item]) -> None:
    """Raise ``InvalidRequestError`` if a call has no output or an output has no call."""
    expected_outputs: dict[str, str] = {}
    for number, item in enumerate(items):
        kind, call_id = item.get("type"), str(item.get("call_id", ""))
        if kind in OUTPUT_TYPES:
            check_function_name(item.get("name"), f"input[{number}].name")
            expected_outputs[call_id] = OUTPUT_TYPES[str(kind)]
        elif kind in OUTPUT_TYPES.values() and expected_outputs.pop(call_id, None) != kind:
            raise InvalidRequestError(
                f"No tool call found for function call output with call_id {call_id}.", param="input"
            )
    for call_id in expected_outputs:
        raise InvalidRequestError(f"No tool output found for function call {call_id}.", param="input")


def extract_item_text(item: Item) -> str:
    """Return the text of ``item``."""
    return extract_text(item.get("output" if item.get("type") in OUTPUT_TYPES.values() else "content"))


def is_from_model(item: Item) -> bool:
    """Return whether ``item`` comes from the model."""
    if item.get("type", "message") == "message":
        return item.get("role") == "assistant"
    return item.get("type") not in (*OUTPUT_TYPES.values(), "item_reference")
