"""Parse requests and build responses of Vertex AI's GenerateContent, both in protobuf JSON.

The format is described at https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from multitrack.standin.identity import GOOGLE_PROJECT
from multitrack.standin.model_request import ModelRequest, count_turns
from multitrack.standin.response_ids import ResponseIds
from multitrack.standin.script import ScriptedAnswer, ScriptedError, ScriptError
from multitrack.standin.usage import count_answer_tokens, count_prompt_tokens
from multitrack.standin.vertex.contents import check_contents, check_functions, get_parts, has_part, is_prompt
from multitrack.standin.vertex.protobuf_types import supports_signatures
from multitrack.wires.gemini.gemini_encoder import build_parts, group_parts
from multitrack.wires.gemini.gemini_schema import read_schema
from multitrack.wires.tool import OfferedTool

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


ResponseDocument = tuple[int | None, dict[str, Any]]
"""The call that starts with a response, as in ``AnswerPart.starts_call``, and the response as protobuf JSON."""


def parse_request(request: Mapping[str, Any]) -> ModelRequest:
    """Return the model request in ``request``, a ``GenerateContentRequest`` as protobuf JSON.

    Raises ``InvalidMessageError`` if the service would reject it.
    """
    contents = request.get("contents", [])
    check_contents(contents, signed=_signs_calls(extract_model_name(request)))
    tools = tuple(_read_tools(request.get("tools", [])))
    check_functions(tools)
    texts = [_extract_text(content) for content in (request.get("systemInstruction", {}), *contents)]
    prompts = [_extract_text(content) for content in contents if is_prompt(content)]
    return ModelRequest(
        model=extract_model_name(request),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(texts),
        tools=tools,
        callable_tools=_select_callable_tools(tools, request.get("toolConfig", {}).get("functionCallingConfig", {})),
        after_results=has_part(contents[-1], "functionResponse"),
        turn=count_turns(content.get("role") == "model" for content in contents),
    )


def _signs_calls(model: str) -> bool:
    """Return whether ``model`` signs its calls and requires the signatures to be sent back."""
    return model.startswith("gemini-3") and supports_signatures()


def extract_model_name(request: Mapping[str, Any]) -> str:
    """Return the name of the model, which is the last part of its resource name."""
    return str(request.get("model", "")).rpartition("/")[2]


def find_host(request: Mapping[str, Any]) -> str:
    """Return the host that serves the model: Vertex AI's host for the model's region, or the Gemini API's host."""
    parts = str(request.get("model", "")).split("/")
    if parts[0] in ("models", "tunedModels"):
        return "generativelanguage.googleapis.com"
    location = parts[3] if parts[2:3] == ["locations"] and len(parts) > 3 else "global"
    return "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"


def _extract_text(content: Mapping[str, Any]) -> str:
    texts = (
        json.dumps(part["functionResponse"].get("response"), ensure_ascii=False)
        if "functionResponse" in part
        else part.get("text", "")
        for part in get_parts(content)
    )
    return "".join(texts)


def _read_tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[OfferedTool]:
    for tool in tools:
        for declaration in tool.get("functionDeclarations", []):
            schema = declaration.get("parametersJsonSchema") or read_schema(declaration.get("parameters", {}))
            yield OfferedTool(declaration["name"], schema or {"type": "object"})


def _select_callable_tools(tools: tuple[OfferedTool, ...], choice: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    if choice.get("mode") == "NONE":
        return ()
    allowed = choice.get("allowedFunctionNames")
    return tuple(tool for tool in tools if not allowed or tool.name in allowed)


def build_responses(
    answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds, *, streamed: bool
) -> list[ResponseDocument]:
    """Return the responses of an answer: one, or several for a stream.

    Raises ``ScriptError`` if this wire format cannot express the answer.
    """
    if answer.body is not None:
        return parse_scripted_body(answer.body)
    groups: list[tuple[int | None, list[dict[str, Any]]]]
    wire_answer = answer.to_wire_answer(lambda _: None)
    try:
        groups = (
            group_parts(wire_answer, piece_size=answer.delta_size) if streamed else [(None, build_parts(wire_answer))]
        )
    except ValueError as error:
        raise ScriptError(str(error)) from error
    first_call = next((part for _, parts in groups for part in parts if "functionCall" in part), None)
    if first_call is not None and _signs_calls(request.model):
        first_call["thoughtSignature"] = base64.b64encode(ids.hexadecimal("thought", 48).encode()).decode()
    envelope = {
        "modelVersion": request.model,
        "createTime": datetime.fromtimestamp(ids.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "responseId": ids.alphanumeric("response", 22),
    }
    documents: list[dict[str, Any]] = [
        {"candidates": [{"content": {"role": "model", "parts": group}}], **envelope} for _, group in groups
    ]
    documents[-1]["candidates"][0] |= _build_finish(answer)
    prompt, completion = count_prompt_tokens(request), count_answer_tokens(answer)
    documents[-1]["usageMetadata"] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion,
        "totalTokenCount": prompt + completion,
    }
    return [(starts_call, document) for (starts_call, _), document in zip(groups, documents, strict=True)]


def parse_scripted_body(body: Any) -> list[ResponseDocument]:
    """Return the responses in ``body``, which is parsed JSON or a string.

    Raises ``ScriptError`` if the string is not JSON.
    """
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError as error:
            raise ScriptError(
                f"the scripted body is not valid JSON, which this wire format requires: {error}"
            ) from error
    return [(None, document) for document in (body if isinstance(body, list) else [body])]


def _build_finish(answer: ScriptedAnswer) -> dict[str, Any]:
    if answer.refusal is not None:
        return {"finishReason": answer.finish_reason or "SAFETY", "finishMessage": answer.refusal}
    return {"finishReason": answer.finish_reason or ("MAX_TOKENS" if answer.truncated else "STOP")}


def error_status(error: ScriptedError) -> str:
    """Return the name of the gRPC status of ``error``."""
    return error.grpc_status or _ERRORS.get(error.status, ("UNKNOWN", ""))[0]


def error_message(error: ScriptedError) -> str:
    """Return the message of ``error``. The default is Google's usual message for the status."""
    return error.message if error.message is not None else _ERRORS.get(error.status, ("", "Unknown error."))[1]


def build_error_document(error: ScriptedError) -> dict[str, Any]:
    """Return the REST body that reports ``error``, see https://cloud.google.com/apis/design/errors#http_mapping."""
    document: dict[str, Any] = {
        "code": error.status,
        "message": error_message(error),
        "status": error_status(error),
    }
    if error.details:
        document["details"] = [dict(detail) for detail in error.details]
    return {"error": document}
