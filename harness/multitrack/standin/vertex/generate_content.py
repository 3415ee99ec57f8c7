"""Vertex AI's GenerateContent: a request to a question, an answer to responses, all as protobuf JSON.

The shapes are those of https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from multitrack.standin.identity import GOOGLE_PROJECT
from multitrack.standin.ids import Ids
from multitrack.standin.question import Question, Tool, turns
from multitrack.standin.reply import fragments
from multitrack.standin.script import Answer, Call, Error, ScriptError
from multitrack.standin.usage import answer_tokens, prompt_tokens
from multitrack.standin.vertex.contents import check_contents, check_functions, holds, is_prompt, parts_of
from multitrack.standin.vertex.types import knows_signatures

_WHOLE_NUMBERS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")

_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: (
        "PERMISSION_DENIED",
        "Permission 'aiplatform.endpoints.predict' denied on resource "
        f"'//aiplatform.googleapis.com/projects/{GOOGLE_PROJECT}' (or it may not exist).",
    ),
    404: ("NOT_FOUND", "Publisher Model was not found or your project does not have access to it."),
    409: ("ABORTED", "The operation was aborted."),
    429: ("RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "Internal error encountered."),
    501: ("UNIMPLEMENTED", "The operation is not implemented."),
    503: ("UNAVAILABLE", "The service is currently unavailable."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}


def question(request: Mapping[str, Any]) -> Question:
    """What ``request``, a ``GenerateContentRequest`` as protobuf JSON, asks. Raises `InvalidMessageError` for
    what the service would refuse."""
    contents = request.get("contents", [])
    check_contents(contents, signed=_signs(model_name(request)))
    tools = tuple(_tools(request.get("tools", [])))
    check_functions(tools)
    texts = [_text(content) for content in (request.get("systemInstruction", {}), *contents)]
    prompts = [_text(content) for content in contents if is_prompt(content)]
    return Question(
        model=model_name(request),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(texts),
        tools=tools,
        callable_tools=_callable(tools, request.get("toolConfig", {}).get("functionCallingConfig", {})),
        after_results=holds(contents[-1], "functionResponse"),
        turn=turns(content.get("role") == "model" for content in contents),
    )


def _signs(model: str) -> bool:
    """Whether ``model`` signs its calls, and wants the signatures back."""
    return model.startswith("gemini-3") and knows_signatures()


def model_name(request: Mapping[str, Any]) -> str:
    """The model's own name, the last part of its resource name."""
    return str(request.get("model", "")).rpartition("/")[2]


def host(request: Mapping[str, Any]) -> str:
    """The host that serves the model: that of its location, or the Gemini API's for a model that has none."""
    parts = str(request.get("model", "")).split("/")
    if parts[0] in ("models", "tunedModels"):
        return "generativelanguage.googleapis.com"
    location = parts[3] if parts[2:3] == ["locations"] and len(parts) > 3 else "global"
    return "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"


def _text(content: Mapping[str, Any]) -> str:
    texts = (
        json.dumps(part["functionResponse"].get("response"), ensure_ascii=False)
        if "functionResponse" in part
        else part.get("text", "")
        for part in parts_of(content)
    )
    return "".join(texts)


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[Tool]:
    for tool in tools:
        for declaration in tool.get("functionDeclarations", []):
            schema = declaration.get("parametersJsonSchema") or _json_schema(declaration.get("parameters", {}))
            yield Tool(declaration["name"], schema or {"type": "object"})


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Google's ``Schema`` message as JSON Schema: its type names are upper case, its int64 limits texts."""
    converted: dict[str, Any] = {}
    for name, value in schema.items():
        match name:
            case "type":
                converted["type"] = value.lower()
            case "items":
                converted["items"] = _json_schema(value)
            case "anyOf":
                converted["anyOf"] = [_json_schema(branch) for branch in value]
            case "properties":
                converted["properties"] = {key: _json_schema(inner) for key, inner in value.items()}
            case "defs":
                converted["$defs"] = {key: _json_schema(inner) for key, inner in value.items()}
            case "ref":
                converted["$ref"] = value.replace("#/defs/", "#/$defs/")
            case _ if name in _WHOLE_NUMBERS:
                converted[name] = int(value)
            case _:
                converted[name] = value
    return converted


def _callable(tools: tuple[Tool, ...], choice: Mapping[str, Any]) -> tuple[Tool, ...]:
    if choice.get("mode") == "NONE":
        return ()
    allowed = choice.get("allowedFunctionNames")
    return tuple(tool for tool in tools if not allowed or tool.name in allowed)


def responses(answer: Answer, asked: Question, ids: Ids, *, streamed: bool) -> list[tuple[int | None, dict[str, Any]]]:
    """The responses that carry ``answer``: one, or those of a stream. With each stands the position of the call
    that begins with it, or the number of calls at the end. Raises `ScriptError` where ``answer`` fits in none."""
    if answer.body is not None:
        return scripted(answer.body)
    texts = fragments(answer.text or "", answer.delta_size) if streamed else [answer.text or ""]
    said = [{"text": text} for text in texts if text]
    calls = [_function_call(call) for call in answer.calls]
    if calls and _signs(asked.model):
        calls[0]["thoughtSignature"] = base64.b64encode(ids.hexadecimal("thought", 48).encode()).decode()
    groups: list[tuple[int | None, list[dict[str, Any]]]] = [(None, [*said, *calls])]
    if streamed and calls:
        # the end is a response of its own, so that it can be held back
        groups = [(None, [part]) for part in said] + [(number, [call]) for number, call in enumerate(calls)]
        groups.append((len(calls), [{"text": ""}]))
    elif streamed and said:
        groups = [(None, [part]) for part in said[:-1]] + [(0, said[-1:])]
    envelope = {
        "modelVersion": asked.model,
        "createTime": datetime.fromtimestamp(ids.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "responseId": ids.alphanumeric("response", 22),
    }
    documents: list[dict[str, Any]] = [
        {"candidates": [{"content": {"role": "model", "parts": group}}], **envelope} for _, group in groups
    ]
    documents[-1]["candidates"][0] |= _finish(answer)
    prompt, completion = prompt_tokens(asked), answer_tokens(answer)
    documents[-1]["usageMetadata"] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion,
        "totalTokenCount": prompt + completion,
    }
    return [(begins, document) for (begins, _), document in zip(groups, documents, strict=True)]


def scripted(body: Any) -> list[tuple[int | None, dict[str, Any]]]:
    """The responses that ``body`` is: JSON, or its text. Raises `ScriptError` where it is not."""
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError as error:
            raise ScriptError(f"the scripted body is no JSON, and this wire needs some: {error}") from error
    return [(None, document) for document in (body if isinstance(body, list) else [body])]


def _function_call(call: Call) -> dict[str, Any]:
    named = {"name": call.name} if call.id is None else {"id": call.id, "name": call.name}
    return {"functionCall": named if call.object is None else {**named, "args": call.object}}


def _finish(answer: Answer) -> dict[str, Any]:
    if answer.refusal is not None:
        return {"finishReason": answer.finish_reason or "SAFETY", "finishMessage": answer.refusal}
    return {"finishReason": answer.finish_reason or ("MAX_TOKENS" if answer.truncated else "STOP")}


def error_status(error: Error) -> str:
    """The name of the gRPC status of ``error``."""
    return error.grpc_status or _ERRORS.get(error.status, ("UNKNOWN", ""))[0]


def error_message(error: Error) -> str:
    """The message of ``error``, Google's usual one where it has none."""
    return error.message if error.message is not None else _ERRORS.get(error.status, ("", "Unknown error."))[1]


def error_object(error: Error) -> dict[str, Any]:
    """The body of ``error`` over REST, by https://cloud.google.com/apis/design/errors#http_mapping."""
    document: dict[str, Any] = {
        "code": error.status,
        "message": error_message(error),
        "status": error_status(error),
    }
    if error.details:
        document["details"] = [dict(detail) for detail in error.details]
    return {"error": document}
