"""The wire format ``openai.chat``: chat completions of OpenAI and of the many compatible providers.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires import openai_schema
from multitrack.wires.answer import WireAnswer, select_finish_reason
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json
from multitrack.wires.openai_continuation import assign_distinct_ids, sanitize_name
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode the parsed body of an answer."""
    choices = as_objects(document.get("choices"))
    messages = [as_object(choice.get("message")) for choice in choices]
    calls = [call for message in messages for call in _read_calls(message)]
    finish_reason = select_finish_reason(as_text(choice.get("finish_reason")) for choice in choices)
    return WireAnswer(
        calls=tuple(ToolCall(*call, index) for index, call in enumerate(calls)),
        text=next((text for message in messages if (text := read_text(message.get("content")))), None),
        finish_reason=finish_reason,
        refusal=find_refusal((message.get("refusal") for message in messages), finish_reason),
        error=error_message(document.get("error")) or find_failure(map(read_failure, choices), finish_reason),
        model=as_text(document.get("model")),
        usage=as_object(document.get("usage")) or None,
    )


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
    """Return the text of ``content``, which is a string or a list of parts, or None if there is none."""
    if isinstance(content, str):
        return content or None
    return "".join(part["text"] for part in as_objects(content) if isinstance(part.get("text"), str)) or None


def find_refusal(refusals: Any, finish_reason: str | None) -> str | None:
    """Return the first refusal, or the filter that the finish reason names, or None."""
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
    """Return the first of the choices' ``errors``, or the finish reason if it reports a failure, or None."""
    is_failure = finish_reason is not None and finish_reason.lower() in _FAILURE_REASONS
    return next(filter(None, errors), f"finish reason {finish_reason!r}" if is_failure else None)


def write_tools(tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
    """Return the value of ``tools`` in a request.

    Raises:
        TypeError: If a strict schema cannot express the parameters of a tool.
    """
    return [{"type": "function", "function": _write_function(tool, strict)} for tool in tools]


def _write_function(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    if strict:
        return {
            "name": tool.name,
            **description,
            "parameters": openai_schema.write_strict_parameters(tool),
            "strict": True,
        }
    return {"name": tool.name, **description, "parameters": openai_schema.write_parameters(tool)}


def read_request(document: Mapping[str, Any]) -> RequestSummary:
    """Summarize the parsed body of a request."""
    entries = as_objects(document.get("tools"))
    functions = [as_object(entry.get("function")) or as_object(entry.get("custom")) for entry in entries]
    names = [as_text(function.get("name")) for function in functions + as_objects(document.get("functions"))]
    return RequestSummary(as_text(document.get("model")), tuple(name for name in names if name))


# The fields of an answer that go back to the provider in addition to content and calls. Several providers refuse a
# conversation without its reasoning.
_RETURNED_FIELDS = ("refusal", "reasoning", "reasoning_content", "reasoning_details")


def continue_conversation(
    document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
) -> list[dict[str, Any]]:
    """Return the ``messages`` that continue a conversation: the answer, the results of its calls, and the remark.

    https://platform.openai.com/docs/guides/function-calling
    """
    messages = [as_object(choice.get("message")) for choice in as_objects(document.get("choices"))]
    entries = [entry for message in messages for entry in as_objects(message.get("tool_calls"))]
    ids = assign_distinct_ids([result.call for result in results])
    extra_fields: dict[str, Any] = {
        key: value for message in messages for key in _RETURNED_FIELDS if (value := message.get(key))
    }
    content = next((content for message in messages if (content := message.get("content"))), None)
    calls = [
        {
            # Keep fields such as a thought's signature: without it the provider refuses the next turn.
            **{key: value for key, value in entry.items() if key not in ("index", "custom") and value is not None},
            "id": call_id,
            "type": "function",
            "function": {"name": sanitize_name(result.call.name), "arguments": result.call.arguments or "{}"},
        }
        for call_id, result, entry in zip(ids, results, [*entries, *[{}] * len(results)], strict=False)
    ]
    answer = [{"role": "assistant", "content": content, **extra_fields, **({"tool_calls": calls} if calls else {})}]
    responses = [{"role": "tool", "tool_call_id": call_id, "content": result.text}
            for call_id, result in zip(ids, results, strict=True)]  # fmt: skip
    return [
        *(answer if content or calls else []),
        *responses,
        *([{"role": "user", "content": remark}] if remark else []),
    ]
