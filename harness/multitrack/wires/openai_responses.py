"""The wire format ``openai.responses``: OpenAI's Responses API.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires import openai_schema
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json
from multitrack.wires.openai_continuation import assign_distinct_ids, sanitize_name
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult

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
    )


# The reasons of an incomplete answer that other fields of `WireAnswer` report.
_REPORTED_REASONS = frozenset({"max_output_tokens", "content_filter"})


def _find_failure(document: Mapping[str, Any], finish_reason: str | None) -> str | None:
    """Return the status, and its reason, if it reports a failure.

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
    """Return the id, name and arguments of an output item, or None if it is not a call that the client executes.

    Searches, code interpreters and MCP servers run at the provider, so their items are reports and not calls.
    """
    kind = item.get("type")
    if kind not in ("function_call", "custom_tool_call"):
        return None
    arguments = item.get("arguments" if kind == "function_call" else "input")
    if arguments is not None and not isinstance(arguments, str):
        arguments = to_compact_json(arguments)
    return as_text(item.get("call_id")), as_text(item.get("name")) or "", arguments


def write_tools(tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
    """Return the value of ``tools`` in a request.

    Raises:
        TypeError: If a strict schema cannot express the parameters of a tool.
    """
    return [_write_function(tool, strict) for tool in tools]


def _write_function(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    # This API treats an absent `strict` as true, and then refuses a schema that is not in the strict subset.
    named = {"type": "function", "name": tool.name, **description}
    parameters = openai_schema.write_strict_parameters(tool) if strict else openai_schema.write_parameters(tool)
    return {**named, "parameters": parameters, "strict": strict}


def read_request(document: Mapping[str, Any]) -> RequestSummary:
    """Summarize the parsed body of a request."""
    names = [as_text(entry.get("name")) for entry in as_objects(document.get("tools"))]
    return RequestSummary(as_text(document.get("model")), tuple(name for name in names if name))


def continue_conversation(
    document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
) -> list[dict[str, Any]]:
    """Return the items of ``input`` that continue a conversation: the answer, the results, and the remark.

    https://platform.openai.com/docs/guides/function-calling
    """
    ids = iter(assign_distinct_ids([result.call for result in results]))
    items: list[dict[str, Any]] = []
    for item in as_objects(document.get("output")):
        if item.get("type") == "reasoning" and document.get("store") is False and not item.get("encrypted_content"):
            # The item refers to reasoning by an id, but the provider has not stored it.
            continue
        written = {key: value for key, value in item.items() if value is not None}
        if read_call(item) is not None:
            written["call_id"] = next(ids)
            written["name"] = sanitize_name(as_text(item.get("name")) or "")
        items.append(written)
    call_ids = [item["call_id"] for item in items if read_call(item) is not None]
    outputs = [
        {"type": "function_call_output", "call_id": call_id, "output": result.text}
        for call_id, result in zip(call_ids, results, strict=True)
    ]
    return [*items, *outputs, *([{"role": "user", "content": remark}] if remark else [])]
