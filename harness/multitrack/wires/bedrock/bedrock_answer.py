"""Decode an answer from Amazon Bedrock's Converse API.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, format_arguments, read_call

LENGTH_LIMITS = frozenset({"max_tokens", "model_context_window_exceeded"})
"""The stop reasons of an answer that was cut off."""

# The API reference does not list "refusal", which is the word of Anthropic's models.
FILTERS = frozenset({"guardrail_intervened", "content_filtered", "refusal"})
"""The stop reasons of an answer that a filter withheld or changed, or that the model refused."""

FAILURES = frozenset({"malformed_model_output", "malformed_tool_use"})
"""The stop reasons of an answer that Bedrock could not parse."""


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode the parsed body of an answer."""
    calls: list[ToolCall] = []
    texts: list[str] = []
    use = None
    # one loop for calls and text, because two loops would take twice as long for a short answer
    for block in read_blocks(document):
        use = find_call(block) if "toolUse" in block else None
        if use is not None:
            calls.append(read_call(use.get("toolUseId"), use.get("name"), use.get("input"), len(calls)))
        elif "citationsContent" in block:
            texts += [part["text"] for part in find_texts(block)]
        elif text := as_text(block.get("text")):
            texts.append(text)
    stop_reason = as_text(document.get("stopReason"))
    is_truncated = stop_reason in LENGTH_LIMITS
    return WireAnswer(
        tuple(calls),
        "".join(texts) or None,
        stop_reason,
        stop_reason if stop_reason in FILTERS else None,
        (None if "output" in document else _read_error(document)) or (stop_reason if stop_reason in FAILURES else None),
        read_model(document) if "trace" in document else None,
        as_object(document.get("usage")) or None,
        is_truncated=is_truncated,
        # a cut-off input is sent as valid JSON, so the JSON does not show that it was cut off
        has_cut_off_call=is_truncated and use is not None,
    )


def read_blocks(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the content blocks of an answer."""
    try:
        return as_objects(document["output"]["message"]["content"])
    except (KeyError, TypeError):
        # a value on the way is missing, or has the wrong type
        return []


def find_call(block: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the fields of a call that the client executes, or None if the content block is not such a call.

    A ``toolUse`` whose type is ``server_tool_use`` is a call that Bedrock itself executes.
    """
    use = block.get("toolUse")
    return use if isinstance(use, dict) and use.get("type") != "server_tool_use" else None


def read_input(use: Mapping[str, Any]) -> str | None:
    """Return a call's ``input`` as compact JSON, or None if it is absent. A string is returned unchanged."""
    return format_arguments(use.get("input"))


def find_texts(block: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the objects that contain the text of a content block.

    Text with citations is split into several objects.
    """
    parts = [block]
    if "citationsContent" in block:
        parts += as_objects(as_object(block["citationsContent"]).get("content"))
    return [part for part in parts if as_text(part.get("text"))]


def join_text(blocks: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the text of all blocks, or None if there is none."""
    return "".join(part["text"] for block in blocks for part in find_texts(block)) or None


def read_model(fields: Mapping[str, Any]) -> str | None:
    """Return the name of the model if a prompt router chose it. Other answers do not contain this name."""
    return as_text(as_object(as_object(fields.get("trace")).get("promptRouter")).get("invokedModelId"))


def _read_error(document: Mapping[str, Any]) -> str | None:
    # an error has only a message; the `x-amzn-ErrorType` header names its type
    return error_message(document.get("error")) or as_text(document.get("message")) or as_text(document.get("Message"))
