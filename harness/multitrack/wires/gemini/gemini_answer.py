"""Decode ``generateContent`` answers from the Gemini API and from Vertex AI, over REST or as protobuf JSON.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer, select_finish_reason
from multitrack.wires.lenient_json import (
    as_object,
    as_objects,
    as_text,
    error_message,
    format_arguments,
    read_call,
    to_compact_json,
)

LENGTH_LIMITS = frozenset({"MAX_TOKENS", "CONTINUATION"})
"""The finish reasons of an answer that a length limit cut off."""

NORMAL_REASONS = frozenset({"STOP"})
"""The finish reasons of an answer that the model ended by itself."""

# The finish reasons of an answer that a filter withheld: https://ai.google.dev/api/generate-content#FinishReason
_FILTER_REASONS = frozenset(
    {
        "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
    }
)  # fmt: skip


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode the parsed body of an answer."""
    calls: list[ToolCall] = []
    text: str | None = None
    finish_reasons: list[str | None] = []
    messages: list[str | None] = []
    for candidate in as_objects(document.get("candidates")):
        parts = as_objects(as_object(candidate.get("content")).get("parts"))
        for part in parts:
            if "functionCall" in part and (function := read_function_call(part)) is not None:
                arguments = read_arguments(function)
                calls.append(read_call(function.get("id"), function.get("name"), arguments, len(calls)))
        text = text or join_text(parts)
        finish_reasons.append(read_finish_reason(candidate))
        messages.append(as_text(candidate.get("finishMessage")))
    finish_reason = select_finish_reason(finish_reasons, NORMAL_REASONS)
    return WireAnswer(
        tuple(calls),
        text or next(filter(None, messages), None),
        finish_reason,
        read_filter_reason(document, finish_reason),
        error_message(document.get("error")) or find_failure(finish_reason, messages),
        as_text(document.get("modelVersion")),
        as_object(document.get("usageMetadata")) or None,
        is_truncated=finish_reason in LENGTH_LIMITS,
    )


def read_function_call(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the function call in ``part``, or None if there is none.

    ``toolCall`` and ``executableCode`` do not count, because the server itself runs them.
    """
    call = part.get("functionCall")
    return call if isinstance(call, (dict, Mapping)) else None


def read_arguments(function: Mapping[str, Any]) -> str | None:
    """Return ``args`` as compact JSON, or None if they are absent.

    Whole numbers are written as integers, because a protobuf ``Struct`` stores every number as a double, and turns
    ``3`` into ``3.0``.
    """
    args = function.get("args")
    if args is None:
        return None
    if isinstance(args, str):
        return to_compact_json(args)
    try:
        return format_arguments(_floats_to_integers(args))
    except RecursionError:
        # the answer must stay readable even if its arguments are too deeply nested
        return to_compact_json(args)


def _floats_to_integers(value: Any) -> Any:
    # the usual types come first, because a comparison with Mapping, an abstract class, is slow
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, (dict, Mapping)):
        return {key: _floats_to_integers(item) for key, item in value.items()}
    return [_floats_to_integers(item) for item in value] if isinstance(value, list) else value


def join_text(parts: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the text in ``parts``, or ``None`` if they contain no text. The model's thoughts do not count as text."""
    texts = (part["text"] for part in parts if isinstance(part.get("text"), str) and not part.get("thought"))
    return "".join(texts) or None


def read_finish_reason(candidate: Mapping[str, Any]) -> str | None:
    """Return the finish reason of a candidate, or None if it has none yet."""
    reason = as_text(candidate.get("finishReason"))
    return None if reason == "FINISH_REASON_UNSPECIFIED" else reason


def read_filter_reason(document: Mapping[str, Any], finish_reason: str | None) -> str | None:
    """Return the provider's word for the filter that withheld the answer or blocked the prompt.

    None if no filter did.
    """
    if feedback := as_object(document.get("promptFeedback")):
        block_reason = as_text(feedback.get("blockReason"))
        if block_reason and block_reason != "BLOCKED_REASON_UNSPECIFIED":
            return as_text(feedback.get("blockReasonMessage")) or block_reason
    return finish_reason if finish_reason in _FILTER_REASONS else None


# The finish reasons that other fields of `WireAnswer` report, or that report nothing.
_REPORTED_REASONS = _FILTER_REASONS | NORMAL_REASONS | LENGTH_LIMITS | {None}


def find_failure(finish_reason: str | None, messages: Sequence[str | None]) -> str | None:
    """Return a message if ``finish_reason`` says that the answer failed, otherwise None.

    STOP is not a failure, and filters and length limits are reported in other fields. Every other reason is a
    failure, including reasons that Google may add later: https://ai.google.dev/api/generate-content#FinishReason
    """
    if finish_reason in _REPORTED_REASONS:
        return None
    message = next(filter(None, messages), None)
    return f"finish reason {finish_reason!r}: {message}" if message else f"finish reason {finish_reason!r}"
