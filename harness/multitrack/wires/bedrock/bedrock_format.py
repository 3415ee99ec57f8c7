"""The wire format ``bedrock``: the Converse API of Amazon Bedrock.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from multitrack.wires.answer import WireAnswer
from multitrack.wires.bedrock import bedrock_answer
from multitrack.wires.bedrock.bedrock_answer import find_call, read_blocks
from multitrack.wires.bedrock.bedrock_stream import BedrockStreamDecoder
from multitrack.wires.call_names import assign_distinct_ids, sanitize_name
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk

_EVENTS = frozenset(
    {
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
        # an exception can be the only event of a stream
        "internalServerException",
        "modelStreamErrorException",
        "modelTimeoutException",
        "serviceUnavailableException",
        "throttlingException",
        "validationException",
    }
)
# The fields of a request that no other format has.
_REQUEST_FIELDS = frozenset(
    {"inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields", "performanceConfig"}
)
_BLOCKS = frozenset({"text", "toolUse", "toolResult", "reasoningContent", "image", "document", "cachePoint"})
_CONVERSE_PATH = re.compile(r"/model/([^/?#]+)/converse(?:-stream)?(?:[?#]|$)")


class BedrockFormat(WireFormat):
    """The wire format of Amazon Bedrock's Converse API."""

    __slots__ = ()

    name = "bedrock"
    token_keys = ("totalTokens",)
    # asked before `anthropic`, whose requests have a `system` field, too
    precedence = 15
    instruction_keys = ("system",)
    declaration_key = "toolSpec"
    opaque_keys = frozenset({"toolUseId", "signature", "redactedContent"})
    fragment_keys = frozenset({"contentBlockIndex"})
    call_id_key = "toolUseId"
    # in the form in which a cassette stores events
    end_marks = (rb'\{"messageStop":\{[^{}]*\}\}', rb'\{"metadata":\{.*\}\}')
    sdks = MappingProxyType({"boto3": "boto3"})

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        message = as_object(as_object(document.get("output")).get("message"))
        if isinstance(message.get("content"), list):
            return self.name
        # if a filter or a failure stopped the model, the output may contain no message
        if "output" in document and isinstance(document.get("stopReason"), str):
            return self.name
        if len(document) != 1:
            return None
        [(name, value)] = document.items()
        return self.stream_name if name in _EVENTS and isinstance(value, dict) else None

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        return bedrock_answer.read_answer(document)

    def find_call(self, value: Any) -> tuple[object, object] | None:
        use = find_call(value) if isinstance(value, dict) else None
        return None if use is None else (use.get("name"), use.get("input"))

    def create_stream_decoder(self) -> BedrockStreamDecoder:
        return BedrockStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:
        return "content_filtered" if answer.refusal else "tool_use" if answer.calls else "end_turn"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        # A program that only decodes answers does not need these modules.
        from multitrack.wires.bedrock import bedrock_editor, bedrock_encoder

        if original is not None:
            return bedrock_editor.edit_response(answer, original)
        return bedrock_encoder.build_response(answer)

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        from multitrack.wires.bedrock import bedrock_editor, bedrock_encoder
        from multitrack.wires.stream_text import StreamChunk

        if original is not None:
            return bedrock_editor.edit_events(answer, original)
        return [StreamChunk(event) for _, event in bedrock_encoder.build_events(answer)]

    def format_chunk(self, document: Mapping[str, Any] | None) -> bytes:
        """Return one message of an AWS event stream. Such a stream has no end mark."""
        from multitrack.wires.event_stream import write_message
        from multitrack.wires.json_rewriting import format_json

        [(name, value)] = (document or {"metadata": {}}).items()
        headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
        return write_message(headers, format_json(value, separators=(",", ":")).encode())

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:
        if "messages" not in document:
            return False
        if _CONVERSE_PATH.search(url) or document.keys() & _REQUEST_FIELDS:
            return True
        blocks = [
            block
            for message in as_objects(document["messages"])
            for block in as_objects(message.get("content"))
        ]  # fmt: skip
        # the blocks of other formats have a type
        return bool(blocks) and all("type" not in block and block.keys() & _BLOCKS for block in blocks)

    def read_request(self, document: Mapping[str, Any]) -> RequestSummary:
        """Return the names of the tools. The model is usually None, because its name is in the request's URL."""
        tools = as_objects(as_object(document.get("toolConfig")).get("tools"))
        names = [as_text(as_object(tool.get("toolSpec")).get("name")) for tool in tools]
        return RequestSummary(as_text(document.get("modelId")), tuple(name for name in names if name))

    def find_model_in_url(self, url: str) -> str | None:
        found = _CONVERSE_PATH.search(url)
        return found and unquote(found[1])

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        match part:
            case {"toolUse": {"name": str(name), **fields}}:
                return self.format_call(name, fields.get("input"))
            case {"toolResult": {"content": content}}:
                return self.read_content(content)
            case {"json": document}:
                return json.dumps(document, ensure_ascii=False)
        return super().read_part(part)

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        return [_write_tool(tool, strict) for tool in tools]

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the ``messages`` that continue a conversation: the answer, and one message with the results.

        The blocks of the answer are sent back unchanged, because the signature of a thought must stay with its block.
        The results of all calls must be in the next message:
        https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html
        """
        ids = assign_distinct_ids([result.call for result in results])
        answer = list(_write_answer(read_blocks(document), results, ids))
        content = [_write_result(result, call_id) for result, call_id in zip(results, ids, strict=True)]
        remarks = [{"text": remark}] if remark else []
        turns = (("assistant", answer), ("user", [*content, *remarks]))
        return [{"role": role, "content": blocks} for role, blocks in turns if blocks]


def _write_tool(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    specification: dict[str, Any] = {"name": tool.name}
    if tool.description:
        specification["description"] = tool.description
    if strict:
        # few programs need this module
        from multitrack.wires.bedrock.bedrock_schema import write_strict_parameters

        return {"toolSpec": {**specification, "inputSchema": {"json": write_strict_parameters(tool)}, "strict": True}}
    return {"toolSpec": {**specification, "inputSchema": {"json": dict(tool.parameters)}}}


def _write_answer(
    blocks: Sequence[Mapping[str, Any]], results: Sequence[ToolResult], ids: Sequence[str]
) -> Iterator[dict[str, Any]]:
    calls = iter(zip(ids, results, strict=True))
    for block in blocks:
        # an answer may contain text without visible characters, but a request must not
        if isinstance(block.get("text"), str) and not block["text"].strip():
            continue
        if "SDK_UNKNOWN_MEMBER" in block:
            # boto3 does not know this kind of block: it returns the block without content, and refuses to send it
            continue
        if (use := find_call(block)) is None:
            yield _write_block(block)
            continue
        call_id, result = next(calls, ("call_0", None))
        name = sanitize_name(as_text(use.get("name")) or "")
        written = _read_object(result.call.arguments if result else None)
        yield {**block, "toolUse": {**use, "toolUseId": call_id, "name": name, "input": written}}


def _write_block(block: Mapping[str, Any]) -> dict[str, Any]:
    use = as_object(block.get("toolUse"))
    if not isinstance(use.get("input"), str):
        return dict(block)
    # in a stream, the input of a server tool arrives as text
    return {**block, "toolUse": {**use, "input": _read_object(use["input"])}}


def _read_object(arguments: str | None) -> Mapping[str, Any]:
    """Return the arguments of a call. If they are not an object, return an empty object, because requests accept only
    objects.
    """
    try:
        return as_object(json.loads(arguments or "{}"))
    except (ValueError, RecursionError):
        return {}


def _write_result(result: ToolResult, call_id: str) -> dict[str, Any]:
    # Only some models accept a status. A result without a status is a success.
    failure = {} if result.is_accepted else {"status": "error"}
    return {"toolResult": {"toolUseId": call_id, "content": [{"text": result.text}], **failure}}
