"""The wire ``openai.chat``: OpenAI's chat completions, and those of the many who speak them, too.

https://platform.openai.com/docs/api-reference/chat
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


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """The answer that the parsed body ``document`` holds."""
    choices = as_objects(document.get("choices"))
    messages = [as_object(choice.get("message")) for choice in choices]
    calls = [call for message in messages for call in _calls(message)]
    finish = next((reason for choice in choices if (reason := as_text(choice.get("finish_reason")))), None)
    return WireAnswer(
        calls=tuple(ToolCall(*call, index) for index, call in enumerate(calls)),
        text=next((text for message in messages if (text := read_text(message.get("content")))), None),
        finish_reason=finish,
        refusal=find_refusal((message.get("refusal") for message in messages), finish),
        error=error_message(document.get("error")),
        model=as_text(document.get("model")),
        usage=as_object(document.get("usage")) or None,
    )


def _calls(message: Mapping[str, Any]) -> list[tuple[str | None, str, str | None]]:
    calls = []
    for entry in as_objects(message.get("tool_calls")):
        name, arguments = read_function(entry)
        calls.append((as_text(entry.get("id")), name or "", arguments))
    # before there were tool calls there was a single one; some gateways still send an empty dummy of it
    if legacy := as_object(message.get("function_call")):
        name, arguments = read_function({"function": legacy})
        if name or arguments:
            calls.append((None, name or "", arguments))
    return calls


def read_function(entry: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The name and the arguments in an entry of ``tool_calls``, each None where it holds none.

    A custom tool takes free text, which stands for its arguments.
    """
    function, text = as_object(entry.get("function")), "arguments"
    if not function:
        function, text = as_object(entry.get("custom")), "input"
    arguments = function.get(text)
    if arguments is not None and not isinstance(arguments, str):
        arguments = to_compact_json(arguments)
    return as_text(function.get("name")), arguments


def read_text(content: object) -> str | None:
    """The text of a ``content``, which is text or a list of parts."""
    if isinstance(content, str):
        return content or None
    return "".join(part["text"] for part in as_objects(content) if isinstance(part.get("text"), str)) or None


def find_refusal(refusals: Any, finish: str | None) -> str | None:
    """The first refusal, or the filter that the finish reason names."""
    said = next((text for refusal in refusals if (text := as_text(refusal))), None)
    return said or ("content_filter" if finish == "content_filter" else None)


def write_tools(offered: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
    """``offered`` as the ``tools`` of a request. Raises TypeError where a strict schema cannot express one."""
    return [{"type": "function", "function": _function(tool, strict)} for tool in offered]


def _function(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    if strict:
        return {
            "name": tool.name,
            **described,
            "parameters": openai_schema.write_strict_parameters(tool),
            "strict": True,
        }
    return {"name": tool.name, **described, "parameters": openai_schema.write_parameters(tool)}


def read_request(document: Mapping[str, Any]) -> RequestSummary:
    """What the parsed body of a request asks for."""
    entries = as_objects(document.get("tools"))
    functions = [as_object(entry.get("function")) or as_object(entry.get("custom")) for entry in entries]
    names = [as_text(function.get("name")) for function in functions + as_objects(document.get("functions"))]
    return RequestSummary(as_text(document.get("model")), tuple(name for name in names if name))


# of an answer, what providers take back beside content and calls: several refuse a conversation without its reasoning
_TAKEN_BACK = ("refusal", "reasoning", "reasoning_content", "reasoning_details")


def continue_conversation(
    document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
) -> list[dict[str, Any]]:
    """The answer in ``document``, the results of its calls, and the user's remark, as further ``messages``.

    https://platform.openai.com/docs/guides/function-calling
    """
    messages = [as_object(choice.get("message")) for choice in as_objects(document.get("choices"))]
    entries = [entry for message in messages for entry in as_objects(message.get("tool_calls"))]
    ids = assign_distinct_ids([result.call for result in results])
    said: dict[str, Any] = {key: value for message in messages for key in _TAKEN_BACK if (value := message.get(key))}
    content = next((content for message in messages if (content := message.get("content"))), None)
    calls = [
        {
            # such as a thought's signature, without which the next turn is refused
            **{key: value for key, value in entry.items() if key not in ("index", "custom") and value is not None},
            "id": call_id,
            "type": "function",
            "function": {"name": sanitize_name(result.call.name), "arguments": result.call.arguments or "{}"},
        }
        for call_id, result, entry in zip(ids, results, [*entries, *[{}] * len(results)], strict=False)
    ]
    turn = [{"role": "assistant", "content": content, **said, **({"tool_calls": calls} if calls else {})}]
    told = [{"role": "tool", "tool_call_id": call_id, "content": result.text}
            for call_id, result in zip(ids, results, strict=True)]  # fmt: skip
    return [*(turn if content or calls else []), *told, *([{"role": "user", "content": remark}] if remark else [])]
