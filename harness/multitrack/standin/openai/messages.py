"""The messages of a chat: what they say, and whether calls and results belong together.

The shapes are those of https://platform.openai.com/docs/api-reference/chat/create#chat_create-messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.standin.openai.error import InvalidRequestError
from multitrack.standin.openai.tools import check_name

Message = Mapping[str, Any]

_LONGEST_ID = 40


def messages_of(body: Mapping[str, Any]) -> Sequence[Message]:
    """The messages in ``body``. Raises `InvalidRequestError` where OpenAI would not take them."""
    messages = body.get("messages")
    if not isinstance(messages, Sequence) or not messages or not all(isinstance(m, Mapping) for m in messages):
        raise InvalidRequestError("Missing required parameter: 'messages'.")
    _check(messages)
    return messages


def text_of(content: Any) -> str:
    """The text in the content of a message, which is a text or a list of parts."""
    if isinstance(content, Sequence) and not isinstance(content, str):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _check(messages: Sequence[Message]) -> None:
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
            answers = str(message.get("tool_call_id", ""))
            if answers not in open_calls:
                raise InvalidRequestError(
                    f"Invalid parameter: 'tool_call_id' of '{answers}' not found in 'tool_calls' of previous message.",
                    param=f"messages.[{number}].tool_call_id",
                )
            answered.add(answers)
            continue
        _check_answered(open_calls, answered)
        open_calls, answered = _calls(message, f"messages[{number}]"), set()
    _check_answered(open_calls, answered)


def _calls(message: Message, place: str) -> list[str] | None:
    """The ids of the calls in ``message``, None where it makes none."""
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not calls:
        return None
    for number, call in enumerate(calls):
        where = f"{place}.tool_calls[{number}]"
        check_name(call.get("function", {}).get("name"), f"{where}.function.name")
        call_id = str(call.get("id", ""))
        if len(call_id) > _LONGEST_ID:
            raise InvalidRequestError(
                f"Invalid '{where}.id': string too long. Expected a string with maximum length {_LONGEST_ID}, "
                f"but got a string with length {len(call_id)} instead.",
                param=f"{where}.id",
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
