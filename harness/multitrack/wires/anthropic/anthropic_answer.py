"""Decode an answer from Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, format_arguments, read_call

LENGTH_LIMITS = frozenset({"max_tokens", "model_context_window_exceeded"})
"""The stop reasons of an answer that was cut off."""


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode the parsed body of an answer."""
    calls: list[ToolCall] = []
    texts: list[str] = []
    kind = None
    for block in as_objects(document.get("content")):
        kind = block.get("type")
        if kind == "tool_use":
            calls.append(read_call(block.get("id"), block.get("name"), block.get("input"), len(calls)))
        elif kind == "text" and (text := as_text(block.get("text"))):
            texts.append(text)
    finish_reason = as_text(document.get("stop_reason"))
    stop_details = document.get("stop_details")
    is_truncated = finish_reason in LENGTH_LIMITS
    # the functions are called only if they can find anything, because every call to `create` decodes an answer
    return WireAnswer(
        tuple(calls),
        "".join(texts) or None,
        finish_reason,
        read_refusal(finish_reason, stop_details) if finish_reason == "refusal" or stop_details is not None else None,
        _read_error(document) if "error" in document or "content" not in document else None,
        as_text(document.get("model")),
        as_object(document.get("usage")) or None,
        is_truncated=is_truncated,
        # a cut-off input is sent as valid JSON, so the JSON does not show that it was cut off
        has_cut_off_call=is_truncated and kind == "tool_use",
    )


def _read_error(document: Mapping[str, Any]) -> str | None:
    if (error := document.get("error")) and (message := error_message(error)):
        return message
    # a Bedrock error has only a message; the `x-amzn-ErrorType` header names its type
    return None if "content" in document else as_text(document.get("message")) or as_text(document.get("Message"))


def is_call(block: Mapping[str, Any]) -> bool:
    """Return whether a content block is a call that the client executes.

    ``server_tool_use`` and ``mcp_tool_use`` blocks are not such calls: Anthropic or an MCP server executes them.
    """
    return block.get("type") == "tool_use"


def read_input(block: Mapping[str, Any]) -> str | None:
    """Return a block's ``input`` as compact JSON, or None if it is absent. A string is returned unchanged."""
    return format_arguments(block.get("input"))


def join_text(blocks: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the text of all blocks, or ``None`` if they contain no text.

    A text with citations is split into several blocks.
    """
    texts = (block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str))
    return "".join(texts) or None


def read_refusal(stop_reason: str | None, stop_details: object) -> str | None:
    """Return the explanation or the category of a refusal, or the word "refusal" if neither is given.

    Returns:
        None if the answer is not a refusal.
    """
    if stop_reason != "refusal" and stop_details is None:
        return None
    details = as_object(stop_details)
    if "refusal" not in (stop_reason, details.get("type")):
        return None
    return as_text(details.get("explanation")) or as_text(details.get("category")) or "refusal"
