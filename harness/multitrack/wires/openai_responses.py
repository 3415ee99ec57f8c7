"""The wire ``openai.responses``: OpenAI's Responses API.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.toolcall import ToolCall
from multitrack.wires import openai_schema
from multitrack.wires.answer import Answer
from multitrack.wires.tool import Requested, Tool
from multitrack.wires.tool_result import ToolResult, distinct_ids, taken_back
from multitrack.wires.untrusted import compact, error_text, mapping, objects, word

_UNFINISHED = frozenset({"queued", "in_progress"})


def answer(document: Mapping[str, Any]) -> Answer:
    """The answer that the parsed body ``document`` holds."""
    items = objects(document.get("output"))
    contents = [part for item in items if item.get("type") == "message" for part in objects(item.get("content"))]
    calls = [parts for item in items if (parts := call_of(item)) is not None]
    status = word(document.get("status"))
    finish = word(mapping(document.get("incomplete_details")).get("reason")) or status
    refused = next((text for part in contents if (text := word(part.get("refusal")))), None)
    return Answer(
        calls=tuple(ToolCall(*parts, index) for index, parts in enumerate(calls)),
        text="".join(text for part in contents if (text := word(part.get("text")))) or None,
        finish=finish,
        refusal=refused or ("content_filter" if finish == "content_filter" else None),
        error=error_text(document.get("error")),
        model=word(document.get("model")),
        usage=mapping(document.get("usage")) or None,
        complete=status not in _UNFINISHED,
    )


def call_of(item: Mapping[str, Any]) -> tuple[str | None, str, str | None] | None:
    """Id, name and arguments of an output item, None if it is no call for the client to carry out.

    Searches, code interpreters and MCP servers run at the provider; their items are reports, not calls.
    """
    kind = item.get("type")
    if kind not in ("function_call", "custom_tool_call"):
        return None
    arguments = item.get("arguments" if kind == "function_call" else "input")
    if arguments is not None and not isinstance(arguments, str):
        arguments = compact(arguments)
    return word(item.get("call_id")), word(item.get("name")) or "", arguments


def tools(offered: Sequence[Tool], *, strict: bool = False) -> list[dict[str, Any]]:
    """``offered`` as the ``tools`` of a request. Raises TypeError where a strict schema cannot express one."""
    return [_function(tool, strict) for tool in offered]


def _function(tool: Tool, strict: bool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    # left out, `strict` means true here, and a schema that is not written for it is refused
    named = {"type": "function", "name": tool.name, **described}
    parameters = openai_schema.strict(tool) if strict else openai_schema.plain(tool)
    return {**named, "parameters": parameters, "strict": strict}


def requested(document: Mapping[str, Any]) -> Requested:
    """What the parsed body of a request asks for."""
    names = [word(entry.get("name")) for entry in objects(document.get("tools"))]
    return Requested(word(document.get("model")), tuple(name for name in names if name))


def continued(document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None) -> list[dict[str, Any]]:
    """The answer in ``document``, the results of its calls, and the user's remark, as further items of ``input``.

    https://platform.openai.com/docs/guides/function-calling
    """
    ids = iter(distinct_ids([result.call for result in results]))
    items: list[dict[str, Any]] = []
    for item in objects(document.get("output")):
        if item.get("type") == "reasoning" and document.get("store") is False and not item.get("encrypted_content"):
            # known by an id that the provider has not kept
            continue
        written = {key: value for key, value in item.items() if value is not None}
        if call_of(item) is not None:
            written["call_id"] = next(ids)
            written["name"] = taken_back(word(item.get("name")) or "")
        items.append(written)
    called = [item["call_id"] for item in items if call_of(item) is not None]
    told = [
        {"type": "function_call_output", "call_id": call_id, "output": result.text}
        for call_id, result in zip(called, results, strict=True)
    ]
    return [*items, *told, *([{"role": "user", "content": remark}] if remark else [])]
