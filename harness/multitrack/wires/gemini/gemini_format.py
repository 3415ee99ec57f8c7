"""The ``gemini`` wire format: ``generateContent`` of the Gemini API and Vertex AI, over REST or as protobuf JSON.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from multitrack.wires.answer import WireAnswer
from multitrack.wires.gemini import gemini_answer, gemini_call_objects
from multitrack.wires.gemini.gemini_calls import convert_response_text
from multitrack.wires.gemini.gemini_schema import write_parameters
from multitrack.wires.gemini.gemini_stream import GeminiStreamDecoder
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.tool import RequestMessage, RequestSummary, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk

_MODEL_IN_URL = re.compile(r"/models/([^/:?#]+):\w+(?:[?#]|$)")


class GeminiFormat(WireFormat):
    """The wire format of Gemini's ``generateContent`` and ``streamGenerateContent``."""

    __slots__ = ()

    name = "gemini"
    token_keys = ("totalTokenCount",)
    precedence = 10
    conversation_key = "contents"
    # The REST API accepts both spellings: https://protobuf.dev/programming-guides/json/
    instruction_keys = ("systemInstruction", "system_instruction")
    opaque_keys = frozenset({"id", "responseId", "thoughtSignature", "thought_signature"})
    credential_headers = frozenset({"x-goog-api-key", "x-goog-iam-authorization-token"})
    sdks = MappingProxyType({"vertexai": "google-cloud-aiplatform", "google.genai": "google-genai"})

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        return self.name if document.keys() & {"candidates", "promptFeedback", "usageMetadata"} else None

    def recognizes_error(self, error: Mapping[str, Any]) -> bool:
        # Only Google's errors have a word as their status: https://cloud.google.com/apis/design/errors#http_mapping
        return isinstance(error.get("status"), str)

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        return gemini_answer.read_answer(document)

    def find_call(self, value: Any) -> tuple[object, object] | None:
        if isinstance(value, Mapping):
            call = value.get("functionCall", value.get("function_call"))
            return (call.get("name"), call.get("args")) if isinstance(call, Mapping) else None
        return gemini_call_objects.find_call(value)

    def create_stream_decoder(self) -> GeminiStreamDecoder:
        return GeminiStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:  # noqa: ARG002
        return "STOP"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        # A program that only decodes answers does not need these modules.
        from multitrack.wires.gemini import gemini_editor, gemini_encoder

        if original is not None:
            return gemini_editor.edit_response(answer, original)
        return gemini_encoder.build_response(answer)

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        from multitrack.wires.gemini import gemini_editor, gemini_encoder
        from multitrack.wires.stream_text import StreamChunk

        if original is not None:
            return gemini_editor.edit_chunks(answer, original)
        return [StreamChunk(document) for document in gemini_encoder.build_chunks(answer)]

    def format_chunk(self, document: Mapping[str, Any] | None) -> bytes:
        return super().format_chunk(document).replace(b"\n", b"\r\n")

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:  # noqa: ARG002
        return "contents" in document

    def read_request(self, document: Mapping[str, Any]) -> RequestSummary:
        """Return the model and the tool names. The model is None in a REST request, because it is in the URL."""
        declarations = [
            declaration
            for tool in as_objects(document.get("tools"))
            # protobuf JSON may have the names of the .proto file instead, and LiteLLM sends them
            for declaration in as_objects(tool.get("functionDeclarations") or tool.get("function_declarations"))
        ]
        names = [as_text(declaration.get("name")) for declaration in declarations]
        model = as_text(document.get("model"))
        return RequestSummary(model and model.rpartition("/")[2], tuple(name for name in names if name))

    def find_model_in_url(self, url: str) -> str | None:
        found = _MODEL_IN_URL.search(url)
        return found and found[1]

    def read_message(self, message: Mapping[str, Any]) -> RequestMessage:
        return super().read_message({**message, "content": message.get("parts")})

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        match part:
            case {"parts": parts}:
                return self.read_content(parts)
            case {"functionCall": {"name": str(name), **rest}} | {"function_call": {"name": str(name), **rest}}:
                return self.format_call(name, rest.get("args"))
            case {"functionResponse": {"response": response}} | {"function_response": {"response": response}}:
                return json.dumps(response, ensure_ascii=False)
        return super().read_part(part)

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        if strict:
            self.refuse_strict("Gemini has no strict schemas")
        return [{"functionDeclarations": [_write_declaration(tool) for tool in tools]}] if tools else []

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the ``contents`` that continue a conversation: the answer, the results of its calls, and the remark.

        The answer is sent back unchanged, because the signature of a thought must stay with its part:
        https://ai.google.dev/gemini-api/docs/thought-signatures. The results are a separate content, because Vertex
        refuses a content that has both results and other parts.
        """
        candidates = as_objects(document.get("candidates"))
        answer = [part for entry in candidates for part in as_objects(as_object(entry.get("content")).get("parts"))]
        responses = [{"functionResponse": _write_response(result)} for result in results]
        remarks = [{"text": remark}] if remark else []
        turns = (("model", answer), ("user", responses), ("user", remarks))
        return [{"role": role, "parts": parts} for role, parts in turns if parts]


def _write_declaration(tool: ToolDefinition) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    parameters = write_parameters(tool)
    # Gemini refuses an object without properties. A declaration without parameters means the same.
    return {"name": tool.name, **description, **({"parameters": parameters} if parameters else {})}


def _write_response(result: ToolResult) -> dict[str, Any]:
    # The model knows the keys "output" and "error": https://ai.google.dev/api/caching#FunctionResponse
    response = convert_response_text(result.text) if result.is_accepted else {"error": result.text}
    return {**({"id": result.call.id} if result.call.id else {}), "name": result.call.name, "response": response}
