"""Change the calls, text and stop reason of a recorded answer from Bedrock's Converse API, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.bedrock.bedrock_answer import find_call, find_texts, read_answer, read_blocks
from multitrack.wires.bedrock.bedrock_encoder import build_call, build_text, write_call
from multitrack.wires.bedrock.bedrock_stream import BedrockStreamDecoder
from multitrack.wires.block_editor import BlockEvent, BlockSyntax, EventList, Fields, edit_calls, edit_text
from multitrack.wires.encoding import PIECE_SIZE, have_same_calls
from multitrack.wires.lenient_json import as_object, as_text
from multitrack.wires.stream_text import StreamChunk


class _BedrockSyntax(BlockSyntax):
    index_key = "contentBlockIndex"

    def is_call(self, block: Mapping[str, Any]) -> bool:
        return find_call(block) is not None

    def find_id(self, block: Mapping[str, Any]) -> str | None:
        return as_text(as_object(block.get("toolUse")).get("toolUseId"))

    def find_texts(self, block: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return find_texts(block)

    def is_text(self, block: Mapping[str, Any]) -> bool:
        return not block or "text" in block

    def build_text(self, text: str) -> Fields:
        return {"text": text}

    def write_call(self, block: Mapping[str, Any], call: ToolCall) -> Fields:
        return write_call(block, call)

    def extract_started_blocks(self, document: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[Fields]]]:
        del document
        return []

    def read_event(self, document: Mapping[str, Any]) -> BlockEvent | None:
        kind = self.read_kind(document)
        if kind not in ("contentBlockStart", "contentBlockDelta", "contentBlockStop"):
            return None
        fields = as_object(document.get(kind))
        block = as_object(fields.get("start"))
        return BlockEvent(fields, kind == "contentBlockStart", kind == "contentBlockStop", block)

    def read_kind(self, document: Mapping[str, Any]) -> str | None:
        return next(iter(document), None)

    def find_event_texts(self, document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        delta = as_object(as_object(document.get("contentBlockDelta")).get("delta"))
        return [delta] if as_text(delta.get("text")) else []

    def build_text_events(self, text: str) -> list[Fields]:
        return build_text(0, text, PIECE_SIZE)

    def build_call_events(self, block: Mapping[str, Any], call: ToolCall) -> list[Fields]:
        return build_call(0, block, call, PIECE_SIZE)

    def find_stop(self, document: Mapping[str, Any]) -> Fields | None:
        stop = document.get("messageStop")
        return stop if isinstance(stop, dict) else None

    def build_stop(self) -> tuple[Fields, Fields]:
        stop: Fields = {}
        return {"messageStop": stop}, stop

    def is_end(self, document: Mapping[str, Any]) -> bool:
        return self.read_kind(document) in ("messageStop", "metadata")


_SYNTAX = _BedrockSyntax()


def edit_response(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``original`` (a response body) with the calls, text and stop reason of ``answer``."""
    before = read_answer(original)
    document = deepcopy(dict(original))
    content: list[Any] = list(read_blocks(document))
    if answer.text != before.text:
        content = edit_text(_SYNTAX, content, answer.text)
    if not have_same_calls(answer.calls, before.calls):
        content = edit_calls(_SYNTAX, content, before.calls, answer.calls)
    if content != read_blocks(original):
        output = as_object(document.get("output"))
        document["output"] = {**output, "message": {**as_object(output.get("message")), "content": content}}
    if answer.finish_reason != before.finish_reason:
        document["stopReason"] = answer.finish_reason
    return document


def edit_events(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return the events of ``original`` with the calls, text and stop reason of ``answer``."""
    decoder = BedrockStreamDecoder()
    for document, _ in original:
        if document is not None:
            decoder.feed_chunk(document)
    decoder.close()
    before = decoder.answer
    stream = EventList(_SYNTAX, original)
    changes_calls = not have_same_calls(answer.calls, before.calls)
    if answer.text != before.text or changes_calls:
        stream.parse_blocks()
    if answer.text != before.text:
        stream.edit_text(answer.text)
    if changes_calls:
        stream.edit_calls(before.calls, answer.calls)
    if answer.finish_reason != before.finish_reason:
        stream.get_end()["stopReason"] = answer.finish_reason
    return stream.chunks
