"""The wire ``openai.responses``: OpenAI's Responses API.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.toolcall import ToolCall
from multitrack.wires import openai_schema
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json
from multitrack.wires.openai_continuation import assign_distinct_ids, sanitize_name
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult

_UNFINISHED = frozenset({"queued", "in_progress"})


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """The answer that the parsed body ``document`` holds."""
    items = as_objects(document.get("output"))
    contents = [part for item in items if item.get("type") == "message" for part in as_objects(item.get("content"))]
    calls = [parts for item in items if (parts := read_call(item)) is not None]
    status = as_text(document.get("status"))
    finish = as_text(as_object(document.get("incomplete_details")).get("reason")) or status
    refused = next((text for part in contents if (text := as_text(part.get("refusal")))), None)
    return WireAnswer(
        calls=tuple(ToolCall(*parts, index) for index, parts in enumerate(calls)),
        text="".join(text for part in contents if (text := as_text(part.get("text")))) or None,
        finish_reason=finish,
        refusal=refused or ("content_filter" if finish == "content_filter" else None),
        error=error_message(document.get("error")),
        model=as_text(document.get("model")),
        usage=as_object(document.get("usage")) or None,
        is_complete=status not in _UNFINISHED,
    )


def read_call(item: Mapping[str, Any]) -> tuple[str | None, str, str | None] | None:
    """Id, name and arguments of an output item, None if it is no call for the client to carry out.

    Searches, code interpreters and MCP servers run at the provider; their items are reports, not calls.
    """
    kind = item.get("type")
    if kind not in ("function_call", "custom_tool_call"):
        return None
    arguments = item.get("arguments" if kind == "function_call" else "input")
    if arguments is not None and not isinstance(arguments, str):
        arguments = to_compact_json(arguments)
    return as_text(item.get("call_id")), as_text(item.get("name")) or "", arguments


def write_tools(offered: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
    """``offered`` as the ``tools`` of a request. Raises TypeError where a strict schema cannot express one."""
    return [_function(tool, strict) for tool in offered]


def _function(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    # left out, `strict` means true here, and a schema that is not written for it is refused
    named = {"type": "function", "name": tool.name, **described}
    parameters = openai_schema.write_strict_parameters(tool) if strict else openai_schema.write_parameters(tool)
    return {**named, "parameters": parameters, "strict": strict}


def read_request(document: Mapping[str, Any]) -> RequestSummary:
    """What the parsed body of a request asks for."""
    names = [as_text(entry.get("name")) for entry in as_objects(document.get("tools"))]
    return RequestSummary(as_text(document.get("model")), tuple(name for name in names if name))


def continue_conversation(
    document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
) -> list[dict[str, Any]]:
    """The answer in ``document``, the results of its calls, and the user's remark, as further items of ``input``.

    https://platform.openai.com/docs/guides/function-calling
    """
    ids = iter(assign_distinct_ids([result.call for result in results]))
    items: list[dict[str, Any]] = []
    for item in as_objects(document.get("output")):
        if item.get("type") == "reasoning" and document.get("store") is False and not item.get("encrypted_content"):
            # known by an id that the provider has not kept
            continue
        written = {key: value for key, value in item.items() if value is not None}
        if read_call(item) is not None:
            written["call_id"] = next(ids)
            written["name"] = sanitize_name(as_text(item.get("name")) or "")
        items.append(written)
    called = [item["call_id"] for item in items if read_call(item) is not None]
    told = [
        {"type": "function_call_output", "call_id": call_id, "output": result.text}
        for call_id, result in zip(called, results, strict=True)
    ]
    return [*items, *told, *([{"role": "user", "content": remark}] if remark else [])]
