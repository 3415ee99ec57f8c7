"""Change the calls, text, refusal and stop reason of a recorded Anthropic answer, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.anthropic.anthropic_answer import is_call, join_text, read_answer
from multitrack.wires.anthropic.anthropic_encoder import (
    build_block,
    build_call,
    build_refusal,
    cut_text,
    own_refusal,
    write_call,
)
from multitrack.wires.anthropic.anthropic_stream import AnthropicStreamDecoder
from multitrack.wires.block_editor import BlockEvent, BlockSyntax, EventList, Fields, edit_calls, edit_text
from multitrack.wires.encoding import PIECE_SIZE, have_same_calls
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.stream_text import StreamChunk


class _AnthropicSyntax(BlockSyntax):
    index_key = "index"

    def is_call(self, block: Mapping[str, Any]) -> bool:
        return is_call(block)

    def find_id(self, block: Mapping[str, Any]) -> str | None:
        return as_text(block.get("id"))

    def find_texts(self, block: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return [block] if join_text([block]) else []

    def is_text(self, block: Mapping[str, Any]) -> bool:
        return block.get("type") == "text"

    def build_text(self, text: str) -> Fields:
        return {"type": "text", "text": text}

    def write_call(self, block: Mapping[str, Any], call: ToolCall) -> Fields:
        return write_call(block, call)

    def extract_started_blocks(self, document: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[Fields]]]:
        message: Any = as_object(document.get("message"))
        blocks = as_objects(message.get("content"))
        if blocks:
            message["content"] = []
        return [(fields, build_block(number, fields, [])) for number, fields in enumerate(blocks)]

    def read_event(self, document: Mapping[str, Any]) -> BlockEvent | None:
        kind = document.get("type")
        if kind not in ("content_block_start", "content_block_delta", "content_block_stop"):
            return None
        if kind == "content_block_start":
            block = as_object(document.get("content_block"))
        else:
            block = {"type": "text"} if "text" in as_object(document.get("delta")) else {}
        return BlockEvent(document, kind == "content_block_start", kind == "content_block_stop", block)

    def read_kind(self, document: Mapping[str, Any]) -> str | None:
        return as_text(document.get("type"))

    def find_event_texts(self, document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        places = [as_object(document.get(key)) for key in ("content_block", "delta")]
        return [place for place in places if as_text(place.get("text"))]

    def build_text_events(self, text: str) -> list[Fields]:
        return build_block(0, {"type": "text", "text": ""}, cut_text(text, PIECE_SIZE))

    def build_call_events(self, block: Mapping[str, Any], call: ToolCall) -> list[Fields]:
        return build_call(0, block, call, PIECE_SIZE)

    def find_stop(self, document: Mapping[str, Any]) -> Fields | None:
        delta = document.get("delta")
        return delta if document.get("type") == "message_delta" and isinstance(delta, dict) else None

    def build_stop(self) -> tuple[Fields, Fields]:
        delta: Fields = {}
        return {"type": "message_delta", "delta": delta}, delta

    def is_end(self, document: Mapping[str, Any]) -> bool:
        return document.get("type") in ("message_delta", "message_stop", "error")


_SYNTAX = _AnthropicSyntax()


def edit_message(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``original``, a response body, with the calls, text, refusal and stop reason of ``answer``."""
    before = read_answer(original)
    document = deepcopy(dict(original))
    content = document.get("content")
    if not isinstance(content, list):
        content = document["content"] = []
    if answer.text != before.text:
        document["content"] = content = edit_text(_SYNTAX, content, answer.text)
    if not have_same_calls(answer.calls, before.calls):
        document["content"] = edit_calls(_SYNTAX, content, before.calls, answer.calls)
    if answer.finish_reason != before.finish_reason:
        document["stop_reason"] = answer.finish_reason
    if own_refusal(answer) != own_refusal(before):
        _edit_refusal(document, own_refusal(answer))
    return document


def _edit_refusal(fields: Fields, refusal: str | None) -> None:
    if refusal is None:
        fields.pop("stop_details", None)
    else:
        fields["stop_details"] = build_refusal(refusal)


def edit_events(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return the recorded events in ``original`` with the calls, text, refusal and stop reason of ``answer``."""
    for position, (document, frame) in enumerate(original):
        if document is not None and document.get("type") == "message":
            # a gateway that does not stream sends the whole answer at once
            edited = StreamChunk(edit_message(answer, document), frame)
            return [*original[:position], edited, *original[position + 1 :]]
    decoder = AnthropicStreamDecoder()
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
        stream.get_end()["stop_reason"] = answer.finish_reason
    if own_refusal(answer) != own_refusal(before):
        _edit_refusal(stream.get_end(), own_refusal(answer))
    return stream.chunks
