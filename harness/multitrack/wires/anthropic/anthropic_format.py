"""The wire format ``anthropic``: the Messages API, at Anthropic, Amazon Bedrock (``InvokeModel``) and Vertex AI.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from multitrack.wires.answer import WireAnswer
from multitrack.wires.anthropic import anthropic_answer
from multitrack.wires.anthropic.anthropic_answer import is_call
from multitrack.wires.anthropic.anthropic_schema import write_parameters, write_strict_parameters
from multitrack.wires.anthropic.anthropic_stream import AnthropicStreamDecoder
from multitrack.wires.call_names import assign_distinct_ids, sanitize_name
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.tool import ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk

_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)
# The fields of a request that OpenAI's chat completions do not have.
_REQUEST_FIELDS = frozenset({"anthropic_version", "anthropic_beta", "system", "thinking", "stop_sequences"})

_ANTHROPIC_PATH = re.compile(r"/v1/messages(?:[?#]|$)|/publishers/anthropic/models/[^/]+:\w*[rR]awPredict(?:[?#]|$)")
_MODEL_IN_URL = re.compile(
    r"/publishers/anthropic/models/([^/:?#]+):\w+(?:[?#]|$)|/model/([^/?#]+)/invoke(?:-with-response-stream)?(?:[?#]|$)"
)


class AnthropicFormat(WireFormat):
    """Anthropic's Messages API."""

    __slots__ = ()

    name = "anthropic"
    token_keys = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    precedence = 20
    instruction_keys = ("system",)
    opaque_keys = frozenset(
        {"id", "tool_use_id", "signature", "data", "encrypted_content", "encrypted_index", "encrypted_stdout"}
    )
    # a cassette stores Bedrock's event streams as lines of JSON
    end_marks = (rb'(?:data: ?|\n)\{"type": ?"message_stop"[^\r\n]*\}',)
    sdks = MappingProxyType({"anthropic": "anthropic"})

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        match document.get("type"):
            case "message" if isinstance(document.get("content"), list) and "status" not in document:
                # an item of OpenAI's Responses API has a status
                return self.name
            case "message" if document.get("content") is None and "stop_reason" in document:
                return self.name
            case str() as kind if kind in _EVENTS:
                return self.stream_name
            case "error" if _is_error(as_object(document.get("error"))):
                return self.name
            case _:
                return None

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        return anthropic_answer.read_answer(document)

    def find_call(self, value: Any) -> tuple[object, object] | None:
        if getattr(value, "type", None) != "tool_use":
            return None
        return getattr(value, "name", None), getattr(value, "input", None)

    def create_stream_decoder(self) -> AnthropicStreamDecoder:
        return AnthropicStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:
        return "refusal" if answer.refusal else "tool_use" if answer.calls else "end_turn"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        # A program that only decodes answers does not need these modules.
        from multitrack.wires.anthropic import anthropic_editor, anthropic_encoder

        if original is not None:
            return anthropic_editor.edit_message(answer, original)
        return anthropic_encoder.build_message(answer)

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        from multitrack.wires.anthropic import anthropic_editor, anthropic_encoder
        from multitrack.wires.stream_text import StreamChunk

        if original is not None:
            return anthropic_editor.edit_events(answer, original)
        return [StreamChunk(event) for _, event in anthropic_encoder.build_events(answer)]

    def format_chunk(self, document: Mapping[str, Any] | None) -> bytes:
        name = "" if document is None else f"event: {document['type']}\n"
        return name.encode() + super().format_chunk(document)

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:
        if "messages" not in document:
            return False
        if _ANTHROPIC_PATH.search(url):
            return True
        tools = as_objects(document.get("tools"))
        # in OpenAI's format, the name is in an object inside the entry
        return bool(document.keys() & _REQUEST_FIELDS) or any("name" in tool for tool in tools)

    def find_model_in_url(self, url: str) -> str | None:
        found = _MODEL_IN_URL.search(url)
        return found and unquote(found[1] or found[2])

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        match part:
            case {"type": "tool_use", "name": str(name)}:
                return self.format_call(name, part.get("input"))
            case {"type": "tool_result"}:
                return self.read_content(part.get("content"))
        return super().read_part(part)

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        return [_write_tool(tool, strict) for tool in tools]

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the ``messages`` that continue a conversation: the answer, and one message with the results.

        The blocks of the answer are sent back unchanged, because the signature of a thought must stay with its block:
        https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks. The results
        must be the first blocks of the next message, and the remark follows them:
        https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use
        """
        ids = assign_distinct_ids([result.call for result in results])
        answer = list(_write_answer(as_objects(document.get("content")), results, ids))
        content = [_write_result(result, call_id) for result, call_id in zip(results, ids, strict=True)]
        remarks = [{"type": "text", "text": remark}] if remark else []
        turns = (("assistant", answer), ("user", [*content, *remarks]))
        return [{"role": role, "content": blocks} for role, blocks in turns if blocks]


def _is_error(error: Mapping[str, Any]) -> bool:
    # OpenAI's errors always have a code, even if it is null
    return isinstance(error.get("type"), str) and not error.keys() & {"code", "param", "status"}


def _write_tool(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    if strict:
        return {"name": tool.name, **description, "input_schema": write_strict_parameters(tool), "strict": True}
    return {"name": tool.name, **description, "input_schema": write_parameters(tool)}


def _write_answer(
    blocks: Sequence[Mapping[str, Any]], results: Sequence[ToolResult], ids: Sequence[str]
) -> Iterator[dict[str, Any]]:
    calls = iter(zip(ids, results, strict=True))
    for block in blocks:
        if not as_text(block.get("type")):
            # the start of the block was lost, and a request requires a type
            continue
        written = {key: value for key, value in block.items() if value is not None}
        if isinstance(written.get("citations"), list):
            written["citations"] = _write_citations(written["citations"])
        elif isinstance(written.get("content"), list):
            # the result of a tool contains blocks, too
            written["content"] = [
                {**part, "citations": _write_citations(part["citations"])} if part.get("citations") else part
                for part in as_objects(written["content"])
            ]
        # an answer may contain text without visible characters, but a request must not
        if block.get("type") == "text" and not (as_text(block.get("text")) or "").strip():
            continue
        if is_call(block):
            call_id, result = next(calls, ("call_0", None))
            written["id"] = call_id
            written["name"] = sanitize_name(as_text(block.get("name")) or "")
            written["input"] = _read_object(result.call.arguments if result else None)
        elif isinstance(block.get("input"), str):
            # in a stream, the input of a server tool arrives as text
            written["input"] = _read_object(block["input"])
        yield written


def _write_citations(citations: object) -> list[dict[str, Any]]:
    # a citation in a request must not have the `file_id` field
    return [{name: value for name, value in one.items() if name != "file_id"} for one in as_objects(citations)]


def _read_object(arguments: str | None) -> Mapping[str, Any]:
    """Return the arguments of a call. Requests must contain an object, so return ``{}`` if the arguments are not an
    object.
    """
    try:
        return as_object(json.loads(arguments or "{}"))
    except (ValueError, RecursionError):
        return {}


def _write_result(result: ToolResult, call_id: str) -> dict[str, Any]:
    failure = {} if result.is_accepted else {"is_error": True}
    return {"type": "tool_result", "tool_use_id": call_id, "content": result.text, **failure}
