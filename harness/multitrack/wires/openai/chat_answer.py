"""Decode chat completions from OpenAI and the many compatible providers.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer, select_finish_reason
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json

# Both sets contain OpenAI's own words, and words from other APIs, which some gateways pass on.
LENGTH_LIMITS = frozenset({"length", "max_output_tokens", "MAX_TOKENS"})
"""The finish reasons of an answer that a length limit cut off."""

NORMAL_REASONS = frozenset({"stop", "tool_calls", "function_call", "completed", "STOP"})
"""The finish reasons of an answer that the model ended by itself."""

RETURNED_FIELDS = ("refusal", "reasoning", "reasoning_content", "reasoning_details")
"""The fields of a message that are sent back to the provider in addition to content and calls.

Several providers refuse a conversation without its reasoning.
"""


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode the parsed body of an answer."""
    choices = as_objects(document.get("choices"))
    messages = [as_object(choice.get("message")) for choice in choices]
    calls = [call for message in messages for call in _read_calls(message)]
    finish_reason = select_finish_reason((as_text(choice.get("finish_reason")) for choice in choices), NORMAL_REASONS)
    return WireAnswer(
        calls=tuple(ToolCall(*call, index) for index, call in enumerate(calls)),
        text=next((text for message in messages if (text := read_text(message.get("content")))), None),
        finish_reason=finish_reason,
        refusal=find_refusal((message.get("refusal") for message in messages), finish_reason),
        error=_read_error(document) or find_failure(map(read_failure, choices), finish_reason),
        model=as_text(document.get("model")),
        usage=as_object(document.get("usage")) or None,
        is_truncated=finish_reason in LENGTH_LIMITS,
    )


def _read_error(document: Mapping[str, Any]) -> str | None:
    if (error := error_message(document.get("error"))) or "choices" in document:
        return error
    # Mistral and old releases of vLLM send the fields of the error without an `error` around them, and servers written
    # with FastAPI send a `detail`
    return as_text(document.get("message")) or error_message(document.get("detail"))


def _read_calls(message: Mapping[str, Any]) -> list[tuple[str | None, str, str | None]]:
    calls = []
    for entry in as_objects(message.get("tool_calls")):
        name, arguments = read_function(entry)
        calls.append((as_text(entry.get("id")), name or "", arguments))
    # Before tool calls existed there was a single function call. Some gateways still send an empty one.
    if legacy := as_object(message.get("function_call")):
        name, arguments = read_function({"function": legacy})
        if name or arguments:
            calls.append((None, name or "", arguments))
    return calls


def read_function(entry: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the name and the arguments in an entry of ``tool_calls``, each None if it is absent.

    The arguments of a custom tool are free text.
    """
    function, key = as_object(entry.get("function")), "arguments"
    if not function:
        function, key = as_object(entry.get("custom")), "input"
    arguments = function.get(key)
    if arguments is not None and not isinstance(arguments, str):
        arguments = to_compact_json(arguments)
    return as_text(function.get("name")), arguments


def read_text(content: object) -> str | None:
    """Return the text of ``content``, which is a string or a list of parts. Return None if ``content`` has no text."""
    if isinstance(content, str):
        return content or None
    return "".join(part["text"] for part in as_objects(content) if isinstance(part.get("text"), str)) or None


def find_refusal(refusals: Any, finish_reason: str | None) -> str | None:
    """Return the first refusal, otherwise ``content_filter`` if a filter ended the answer, otherwise None."""
    first = next((text for refusal in refusals if (text := as_text(refusal))), None)
    return first or ("content_filter" if finish_reason == "content_filter" else None)


# The finish reasons that report a failure. OpenAI has none; these come from gateways and servers with its wire format:
# https://openrouter.ai/docs/api-reference/errors, https://api-docs.deepseek.com/api/create-chat-completion and vLLM.
_FAILURE_REASONS = frozenset(
    {
        "error",
        "server_error",
        "abort",
        "aborted",
        "cancelled",
        "insufficient_system_resource",
        "malformed_function_call",
    }
)


def read_failure(choice: Mapping[str, Any]) -> str | None:
    """Return the error that a gateway put into a choice, or None.

    https://openrouter.ai/docs/api-reference/errors
    """
    return error_message(choice.get("error"))


def find_failure(errors: Iterable[str | None], finish_reason: str | None) -> str | None:
    """Return the first error in ``errors``, otherwise ``finish_reason`` if it indicates a failure, otherwise None."""
    is_failure = finish_reason is not None and finish_reason.lower() in _FAILURE_REASONS
    return next(filter(None, errors), f"finish reason {finish_reason!r}" if is_failure else None)
