"""Decode answers from OpenAI's Responses API.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json

LENGTH_LIMITS = frozenset({"max_output_tokens", "length"})
"""The reasons in an answer that a length limit cut off. Other servers send ``length``, as in chat completions."""

_UNFINISHED = frozenset({"queued", "in_progress"})


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode the parsed body of an answer."""
    items = as_objects(document.get("output"))
    contents = [part for item in items if item.get("type") == "message" for part in as_objects(item.get("content"))]
    calls = [fields for item in items if (fields := read_call(item)) is not None]
    status = as_text(document.get("status"))
    finish_reason = as_text(as_object(document.get("incomplete_details")).get("reason")) or status
    refusal = next((text for part in contents if (text := as_text(part.get("refusal")))), None)
    return WireAnswer(
        calls=tuple(ToolCall(*fields, index) for index, fields in enumerate(calls)),
        text="".join(text for part in contents if (text := as_text(part.get("text")))) or None,
        finish_reason=finish_reason,
        refusal=refusal or ("content_filter" if finish_reason == "content_filter" else None),
        error=error_message(document.get("error")) or _find_failure(document, finish_reason),
        model=as_text(document.get("model")),
        usage=as_object(document.get("usage")) or None,
        is_complete=status not in _UNFINISHED,
        is_truncated=finish_reason in LENGTH_LIMITS,
    )


# The reasons of an incomplete answer that other fields of `WireAnswer` report.
_REPORTED_REASONS = frozenset({"max_output_tokens", "content_filter"})


def _find_failure(document: Mapping[str, Any], finish_reason: str | None) -> str | None:
    """Return the status and its reason if the status is a failure. Otherwise, return None.

    https://platform.openai.com/docs/api-reference/responses/object#responses/object-status
    """
    match document.get("status"):
        case "failed" | "cancelled" as status:
            return f"status {status!r}"
        case "incomplete" if finish_reason not in _REPORTED_REASONS:
            return (
                f"status 'incomplete', reason {finish_reason!r}"
                if finish_reason != "incomplete"
                else "status 'incomplete'"
            )
    return None


def read_call(item: Mapping[str, Any]) -> tuple[str | None, str, str | None] | None:
    """Return the id, name and arguments of the call in an output item. None if the client does not execute the call.

    The provider itself executes searches, code interpreters and MCP servers, so None is returned for their items.
    """
    kind = item.get("type")
    if kind not in ("function_call", "custom_tool_call"):
        return None
    arguments = item.get("arguments" if kind == "function_call" else "input")
    if arguments is not None and not isinstance(arguments, str):
        arguments = to_compact_json(arguments)
    return as_text(item.get("call_id")), as_text(item.get("name")) or "", arguments
