"""The wire format ``xai``: the gRPC service ``xai_api.Chat``. A cassette stores the service's messages as protobuf
JSON.

https://github.com/xai-org/xai-proto/blob/main/proto/xai/api/v1/chat.proto

xAI also has an HTTP API, which uses OpenAI's and Anthropic's formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from multitrack.wires.answer import WireAnswer
from multitrack.wires.call_names import assign_distinct_ids
from multitrack.wires.lenient_json import as_objects, as_text, to_compact_json
from multitrack.wires.tool import RequestMessage, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat
from multitrack.wires.xai import xai_answer
from multitrack.wires.xai.xai_answer import XaiStreamDecoder

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk

_RETURNED_FIELDS = ("content", "reasoningContent", "encryptedContent")


class XaiFormat(WireFormat):
    """The wire format of xAI's gRPC API: ``GetCompletion`` and ``GetCompletionChunk``."""

    __slots__ = ()

    name = "xai"
    token_keys = ("totalTokens", "total_tokens")
    precedence = 10  # before Bedrock, whose requests have the same keys
    declaration_key = "function"
    opaque_keys = frozenset({"id", "toolCallId", "encryptedContent", "previousResponseId"})
    sdks = MappingProxyType({"xai_sdk": "xai-sdk"})

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        outputs = as_objects(document.get("outputs"))
        for key, name in (("message", self.name), ("delta", self.stream_name)):
            if any(_is_output(output, key) for output in outputs):
                return name
        return None

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        return xai_answer.read_answer(document)

    def find_call(self, value: Any) -> tuple[object, object] | None:
        # the SDK's message `ToolCall`
        if getattr(getattr(value, "DESCRIPTOR", None), "full_name", None) != "xai_api.ToolCall":
            return None
        return value.function.name, value.function.arguments

    def create_stream_decoder(self) -> XaiStreamDecoder:
        return XaiStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:
        return "REASON_TOOL_CALLS" if answer.calls else "REASON_STOP"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        # A program that only decodes answers does not need this module.
        from multitrack.wires.xai import xai_encoder

        if original is not None:
            return xai_encoder.edit_response(answer, original)
        return xai_encoder.build_response(answer)

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        from multitrack.wires.stream_text import StreamChunk
        from multitrack.wires.xai import xai_encoder

        if original is not None:
            return xai_encoder.edit_chunks(answer, original)
        return [StreamChunk(document) for document in xai_encoder.build_chunks(answer)]

    def format_chunk(self, document: Mapping[str, Any] | None) -> bytes:
        """Return one message of a stream as a line of JSON, because gRPC has no text form."""
        return self.format_line(document)

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:
        if "/xai_api.Chat/" in url:
            return True
        messages = as_objects(document.get("messages"))
        return any((as_text(message.get("role")) or "").startswith("ROLE_") for message in messages)

    def read_message(self, message: Mapping[str, Any]) -> RequestMessage:
        role, text = super().read_message(message)
        calls = map(self.read_content, as_objects(message.get("toolCalls")))
        role = role.removeprefix("ROLE_").lower()
        return RequestMessage(role, "\n".join([*([text] if text else []), *calls]))

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        match part:
            case {"function": {"name": str(name), **rest}}:
                return self.format_call(name, rest.get("arguments"))
        return super().read_part(part)

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        if strict:
            self.refuse_strict("xAI's gRPC API has no strict schemas")
        return [{"function": _write_function(tool)} for tool in tools]

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the ``messages`` that continue a conversation: the answer, the results of its calls, and the remark.

        The answer contains only the calls that the client executes, because xAI itself sends the results of other
        calls, in separate messages.
        """
        outputs = as_objects(document.get("outputs"))
        ids = assign_distinct_ids([result.call for result in results])
        entries = zip(xai_answer.find_entries(outputs), ids, strict=False)
        calls = [{**entry, "id": call_id} for entry, call_id in entries]
        fields: dict[str, Any] = {}
        for message in map(xai_answer.find_message, outputs):
            fields |= {key: message[key] for key in _RETURNED_FIELDS if as_text(message.get(key))}
        if "content" in fields:
            fields["content"] = [{"text": fields["content"]}]
        answer = {"role": "ROLE_ASSISTANT", **fields, **({"toolCalls": calls} if calls else {})}
        return [
            *([answer] if fields or calls else []),
            *(
                {"role": "ROLE_TOOL", "content": [{"text": result.text}], "toolCallId": call_id}
                for result, call_id in zip(results, ids, strict=True)
            ),
            *([{"role": "ROLE_USER", "content": [{"text": remark}]}] if remark else []),
        ]


def _is_output(output: Mapping[str, Any], key: str) -> bool:
    message = output.get(key)
    if not isinstance(message, Mapping):
        return False
    words = (as_text(message.get("role")) or "", as_text(output.get("finishReason")) or "")
    return words[0].startswith("ROLE_") or words[1].startswith("REASON_")


def _write_function(tool: ToolDefinition) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    # the protobuf message holds the schema as a string
    return {"name": tool.name, **description, "parameters": to_compact_json(tool.parameters)}
