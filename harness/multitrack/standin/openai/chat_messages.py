"""Read the text in the messages of a chat completion request, and check that the tool results match the tool calls.

The format is described at https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.standin.openai.error_objects import InvalidRequestError
from multitrack.standin.openai.offered_tools import check_function_name

Message = Mapping[str, Any]

_MAX_ID_LENGTH = 40


def read_messages(body: Mapping[str, Any]) -> Sequence[Message]:
    """Return the messages in ``body``. Raises ``InvalidRequestError`` if OpenAI would reject them."""
    messages = body.get("messages")
    if not isinstance(messages, Sequence) or not messages or not all(isinstance(m, Mapping) for m in messages):
        raise InvalidRequestError("Missing required parameter: 'messages'.")
    _check_calls_and_results(messages)
    return messages


def extract_text(content: Any) -> str:
    """Return the text of a message. ``content`` is a string or a list of parts."""
    if isinstance(content, Sequence) and not isinstance(content, str):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _check_calls_and_results(messages: Sequence[Message]) -> None:
    open_calls: list[str] | None = None
    answered: set[str] = set()
    for number, message in enumerate(messages):
        if message.get("role") == "tool":
            if open_calls is None:
                raise InvalidRequestError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
                    "with 'tool_calls'.",
                    param=f"messages.[{number}].role",
                )
            call_id = str(message.get("tool_call_id", ""))
            if call_id not in open_calls:
                raise InvalidRequestError(
                    f"Invalid parameter: 'tool_call_id' of '{call_id}' not found in 'tool_calls' of previous message.",
                    param=f"messages.[{number}].tool_call_id",
                )
            answered.add(call_id)
            continue
        _check_answered(open_calls, answered)
        open_calls, answered = _read_call_ids(message, f"messages[{number}]"), set()
    _check_answered(open_calls, answered)


def _read_call_ids(message: Message, location: str) -> list[str] | None:
    """Return the ids of the calls in ``message``, or None if it has no calls."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not calls:
        return None
    for number, call in enumerate(calls):
        call_location = f"{location}.tool_calls[{number}]"
        check_function_name(call.get("function", {}).get("name"), f"{call_location}.function.name")
        call_id = str(call.get("id", ""))
        if len(call_id) > _MAX_ID_LENGTH:
            raise InvalidRequestError(
                f"Invalid '{call_location}.id': string too long. "
                f"Expected a string with maximum length {_MAX_ID_LENGTH}, "
                f"but got a string with length {len(call_id)} instead.",
                param=f"{call_location}.id",
                code="string_above_max_length",
            )
    return [str(call.get("id", "")) for call in calls]


def _check_answered(calls: Sequence[str] | None, answered: set[str]) -> None:
    unanswered = [call for call in calls or () if call not in answered]
    if unanswered:
        raise InvalidRequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(unanswered)}",
            param="messages",
        )
