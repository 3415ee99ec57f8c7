"""The wire format ``openai.responses``: OpenAI's Responses API.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multitrack.wires.answer import WireAnswer
from multitrack.wires.call_names import assign_distinct_ids, sanitize_name
from multitrack.wires.lenient_json import as_objects, as_text
from multitrack.wires.openai import responses_answer
from multitrack.wires.openai.openai_schema import write_parameters, write_strict_parameters
from multitrack.wires.openai.openai_sdk import SDKS
from multitrack.wires.openai.responses_answer import read_call
from multitrack.wires.openai.responses_stream import ResponsesStreamDecoder
from multitrack.wires.tool import RequestMessage, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk


class ResponsesFormat(WireFormat):
    """The wire format of OpenAI's Responses API."""

    __slots__ = ()

    name = "openai.responses"
    # Asked last, because it accepts every request that no other format recognizes.
    precedence = 90
    conversation_key = "input"
    # The `id` of an output item is not the id of its call.
    call_id_key = "call_id"
    instruction_keys = ("instructions",)
    opaque_keys = frozenset({"id", "call_id", "item_id", "response_id", "encrypted_content"})
    fragment_keys = frozenset({"output_index", "content_index", "summary_index", "item_id"})
    sdks = SDKS

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        kind = document.get("type")
        if isinstance(kind, str) and kind.startswith("response."):
            return self.stream_name
        is_answer = document.get("object") == "response" or isinstance(document.get("output"), list)
        return self.name if is_answer else None

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        return responses_answer.read_answer(document)

    def find_call(self, value: Any) -> tuple[object, object] | None:
        if getattr(value, "type", None) not in ("function_call", "custom_tool_call"):
            return None
        return getattr(value, "name", None), getattr(value, "arguments", getattr(value, "input", None))

    def create_stream_decoder(self) -> ResponsesStreamDecoder:
        return ResponsesStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:  # noqa: ARG002
        return "completed"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        # A program that only decodes answers does not need these modules.
        from multitrack.wires.openai import responses_editor, responses_encoder

        if original is not None:
            return responses_editor.edit_response(answer, original)
        return responses_encoder.build_response(answer)

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        from multitrack.wires.openai import responses_editor, responses_encoder
        from multitrack.wires.stream_text import StreamChunk

        if original is not None:
            return responses_editor.edit_events(answer, original)
        return [StreamChunk(event) for event in responses_encoder.build_events(answer)]

    def format_chunk(self, document: Mapping[str, Any] | None) -> bytes:
        name = "" if document is None else f"event: {document['type']}\n"
        return name.encode() + super().format_chunk(document)

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:  # noqa: ARG002
        # Each field of a request is optional: https://platform.openai.com/docs/api-reference/responses/create
        return True

    def read_message(self, message: Mapping[str, Any]) -> RequestMessage:
        match message.get("type"):
            case "function_call":
                return RequestMessage("assistant", self.read_content(message))
            case "function_call_output":
                return RequestMessage("tool", self.read_content(message.get("output")))
        role, text = super().read_message(message)
        return RequestMessage(role if "role" in message else str(message.get("type", role)), text)

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        match part:
            case {"type": "function_call", "name": str(name)}:
                return self.format_call(name, part.get("arguments"))
        return super().read_part(part)

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        return [_write_function(tool, strict) for tool in tools]

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the items of ``input`` that continue a conversation: the answer, the results, and the remark.

        https://platform.openai.com/docs/guides/function-calling
        """
        ids = iter(assign_distinct_ids([result.call for result in results]))
        items: list[dict[str, Any]] = []
        for item in as_objects(document.get("output")):
            if item.get("type") == "reasoning" and document.get("store") is False and not item.get("encrypted_content"):
                # The item refers to a stored thought by its id, but the provider has not stored the thought.
                continue
            written = {key: value for key, value in item.items() if value is not None}
            if read_call(item) is not None:
                written["call_id"] = next(ids)
                written["name"] = sanitize_name(as_text(item.get("name")) or "")
            items.append(written)
        call_ids = [item["call_id"] for item in items if read_call(item) is not None]
        outputs = [
            {"type": "function_call_output", "call_id": call_id, "output": result.text}
            for call_id, result in zip(call_ids, results, strict=True)
        ]
        return [*items, *outputs, *([{"role": "user", "content": remark}] if remark else [])]


def _write_function(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    parameters = write_strict_parameters(tool) if strict else write_parameters(tool)
    # This API treats an absent `strict` as true, and then refuses a schema that is not in the strict subset.
    return {"type": "function", "name": tool.name, **description, "parameters": parameters, "strict": strict}
