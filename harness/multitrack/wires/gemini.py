"""The wire ``gemini``: ``generateContent`` of the Gemini API and of Vertex AI, over REST or as protobuf JSON.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.toolcall import ToolCall
from multitrack.wires import gemini_schema
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult

# https://ai.google.dev/api/generate-content#FinishReason: those that say that a filter withheld the answer
_FILTERS = frozenset(
    {
        "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
    }
)  # fmt: skip


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """The answer that the parsed body ``document`` holds."""
    candidates = as_objects(document.get("candidates"))
    parts = [as_objects(as_object(candidate.get("content")).get("parts")) for candidate in candidates]
    functions = [call for own in parts for part in own if (call := read_function_call(part)) is not None]
    finish = next((reason for entry in candidates if (reason := read_finish_reason(entry))), None)
    messages = (as_text(candidate.get("finishMessage")) for candidate in candidates)
    return WireAnswer(
        calls=tuple(
            ToolCall(as_text(function.get("id")), as_text(function.get("name")) or "", read_arguments(function), index)
            for index, function in enumerate(functions)
        ),
        text=next((text for own in parts if (text := join_text(own))), None) or next(filter(None, messages), None),
        finish_reason=finish,
        refusal=read_filter_reason(document, finish),
        error=error_message(document.get("error")),
        model=as_text(document.get("modelVersion")),
        usage=as_object(document.get("usageMetadata")) or None,
    )


def read_function_call(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function call that ``part`` is. ``toolCall`` and ``executableCode`` are the server's own affair."""
    call = part.get("functionCall")
    return call if isinstance(call, Mapping) else None


def read_arguments(function: Mapping[str, Any]) -> str | None:
    """``args`` as compact JSON, None if absent. A protobuf ``Struct`` knows doubles only, so ``3`` comes as
    ``3.0``: whole numbers are written as integers."""
    args = function.get("args")
    return None if args is None else to_compact_json(_whole(args))


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {key: _whole(item) for key, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case _:
            return value


def join_text(parts: Sequence[Mapping[str, Any]]) -> str | None:
    """The text in ``parts``, without the model's thoughts."""
    texts = (part["text"] for part in parts if isinstance(part.get("text"), str) and not part.get("thought"))
    return "".join(texts) or None


def read_finish_reason(candidate: Mapping[str, Any]) -> str | None:
    """The candidate's finish reason, None while it has none."""
    reason = as_text(candidate.get("finishReason"))
    return None if reason == "FINISH_REASON_UNSPECIFIED" else reason


def read_filter_reason(document: Mapping[str, Any], finish: str | None) -> str | None:
    """The word for the filter that withheld the answer, or that blocked the prompt."""
    feedback = as_object(document.get("promptFeedback"))
    blocked = as_text(feedback.get("blockReason"))
    if blocked and blocked != "BLOCKED_REASON_UNSPECIFIED":
        return as_text(feedback.get("blockReasonMessage")) or blocked
    return finish if finish in _FILTERS else None


def write_tools(offered: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
    """``offered`` as the ``tools`` of a request.

    Raises TypeError where a schema cannot be expressed, and for ``strict``, which Gemini does not have.
    """
    if strict:
        raise TypeError("strict=True is OpenAI's: Gemini has no strict schemas; leave it out")
    return [{"functionDeclarations": [_declaration(tool) for tool in offered]}] if offered else []


def _declaration(tool: ToolDefinition) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    parameters = gemini_schema.write_parameters(tool)
    # an object without properties is refused; a function without parameters is what that means
    return {"name": tool.name, **described, **({"parameters": parameters} if parameters else {})}


def read_request(document: Mapping[str, Any]) -> RequestSummary:
    """What the parsed body of a request asks for. Over REST the model stands in the URL, and here is None."""
    declarations = [
        declaration
        for tool in as_objects(document.get("tools"))
        for declaration in as_objects(tool.get("functionDeclarations"))
    ]
    names = [as_text(declaration.get("name")) for declaration in declarations]
    model = as_text(document.get("model"))
    return RequestSummary(model and model.rpartition("/")[2], tuple(name for name in names if name))


def continue_conversation(
    document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
) -> list[dict[str, Any]]:
    """The answer in ``document``, the results of its calls, and the user's remark, as further ``contents``.

    The answer goes back as it came, since a thought's signature must stay with its part:
    https://ai.google.dev/gemini-api/docs/thought-signatures. The results are a content of their own: Vertex refuses
    one that holds anything beside them.
    """
    candidates = as_objects(document.get("candidates"))
    said = [part for entry in candidates for part in as_objects(as_object(entry.get("content")).get("parts"))]
    answered = [{"functionResponse": _response(result)} for result in results]
    remarked = [{"text": remark}] if remark else []
    turns = (("model", said), ("user", answered), ("user", remarked))
    return [{"role": role, "parts": parts} for role, parts in turns if parts]


def _response(result: ToolResult) -> dict[str, Any]:
    # https://ai.google.dev/api/caching#FunctionResponse: the keys "output" and "error" are known to the model
    response = {"output" if result.accepted else "error": result.text}
    return {**({"id": result.call.id} if result.call.id else {}), "name": result.call.name, "response": response}
