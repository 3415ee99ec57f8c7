"""The wire ``openai.chat``: OpenAI's chat completions, and those of the many who speak them, too.

https://platform.openai.com/docs/api-reference/chat
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


def answer(document: Mapping[str, Any]) -> Answer:
    """The answer that the parsed body ``document`` holds."""
    choices = objects(document.get("choices"))
    messages = [mapping(choice.get("message")) for choice in choices]
    calls = [call for message in messages for call in _calls(message)]
    finish = next((reason for choice in choices if (reason := word(choice.get("finish_reason")))), None)
    return Answer(
        calls=tuple(ToolCall(*call, index) for index, call in enumerate(calls)),
        text=next((text for message in messages if (text := text_of(message.get("content")))), None),
        finish=finish,
        refusal=refusal_of((message.get("refusal") for message in messages), finish),
        error=error_text(document.get("error")),
        model=word(document.get("model")),
        usage=mapping(document.get("usage")) or None,
    )


def _calls(message: Mapping[str, Any]) -> list[tuple[str | None, str, str | None]]:
    calls = []
    for entry in objects(message.get("tool_calls")):
        name, arguments = called(entry)
        calls.append((word(entry.get("id")), name or "", arguments))
    # before there were tool calls there was a single one; some gateways still send an empty dummy of it
    if legacy := mapping(message.get("function_call")):
        name, arguments = called({"function": legacy})
        if name or arguments:
            calls.append((None, name or "", arguments))
    return calls


def called(entry: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The name and the arguments in an entry of ``tool_calls``, each None where it holds none.

    A custom tool takes free text, which stands for its arguments.
    """
    function, text = mapping(entry.get("function")), "arguments"
    if not function:
        function, text = mapping(entry.get("custom")), "input"
    arguments = function.get(text)
    if arguments is not None and not isinstance(arguments, str):
        arguments = compact(arguments)
    return word(function.get("name")), arguments


def text_of(content: object) -> str | None:
    """The text of a ``content``, which is text or a list of parts."""
    if isinstance(content, str):
        return content or None
    return "".join(part["text"] for part in objects(content) if isinstance(part.get("text"), str)) or None


def refusal_of(refusals: Any, finish: str | None) -> str | None:
    """The first refusal, or the filter that the finish reason names."""
    said = next((text for refusal in refusals if (text := word(refusal))), None)
    return said or ("content_filter" if finish == "content_filter" else None)


def tools(offered: Sequence[Tool], *, strict: bool = False) -> list[dict[str, Any]]:
    """``offered`` as the ``tools`` of a request. Raises TypeError where a strict schema cannot express one."""
    return [{"type": "function", "function": _function(tool, strict)} for tool in offered]


def _function(tool: Tool, strict: bool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    if strict:
        return {"name": tool.name, **described, "parameters": openai_schema.strict(tool), "strict": True}
    return {"name": tool.name, **described, "parameters": openai_schema.plain(tool)}


def requested(document: Mapping[str, Any]) -> Requested:
    """What the parsed body of a request asks for."""
    entries = objects(document.get("tools"))
    functions = [mapping(entry.get("function")) or mapping(entry.get("custom")) for entry in entries]
    names = [word(function.get("name")) for function in functions + objects(document.get("functions"))]
    return Requested(word(document.get("model")), tuple(name for name in names if name))


# of an answer, what providers take back beside content and calls: several refuse a conversation without its reasoning
_TAKEN_BACK = ("refusal", "reasoning", "reasoning_content", "reasoning_details")


def continued(document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None) -> list[dict[str, Any]]:
    """The answer in ``document``, the results of its calls, and the user's remark, as further ``messages``.

    https://platform.openai.com/docs/guides/function-calling
    """
    messages = [mapping(choice.get("message")) for choice in objects(document.get("choices"))]
    entries = [entry for message in messages for entry in objects(message.get("tool_calls"))]
    ids = distinct_ids([result.call for result in results])
    said: dict[str, Any] = {key: value for message in messages for key in _TAKEN_BACK if (value := message.get(key))}
    content = next((content for message in messages if (content := message.get("content"))), None)
    calls = [
        {
            # such as a thought's signature, without which the next turn is refused
            **{key: value for key, value in entry.items() if key not in ("index", "custom") and value is not None},
            "id": call_id,
            "type": "function",
            "function": {"name": taken_back(result.call.name), "arguments": result.call.arguments or "{}"},
        }
        for call_id, result, entry in zip(ids, results, [*entries, *[{}] * len(results)], strict=False)
    ]
    turn = [{"role": "assistant", "content": content, **said, **({"tool_calls": calls} if calls else {})}]
    told = [{"role": "tool", "tool_call_id": call_id, "content": result.text}
            for call_id, result in zip(ids, results, strict=True)]  # fmt: skip
    return [*(turn if content or calls else []), *told, *([{"role": "user", "content": remark}] if remark else [])]
