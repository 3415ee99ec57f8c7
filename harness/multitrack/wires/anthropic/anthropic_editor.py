"""Change the calls, text, refusal and stop reason of a recorded answer of Anthropic, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

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
from multitrack.wires.encoding import PIECE_SIZE, have_same_calls, place_calls, spread_text
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.stream_text import StreamChunk

T = TypeVar("T")

_Fields = dict[str, Any]
"""A JSON object that is changed in place."""


# --- in one piece ---------------------------------------------------------------------------------------------------


def edit_message(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``original``, the body of an answer, with the calls, text, refusal and stop reason of ``answer``."""
    before = read_answer(original)
    document = deepcopy(dict(original))
    content = document.get("content")
    if not isinstance(content, list):
        content = document["content"] = []
    if answer.text != before.text:
        document["content"] = content = _edit_text(content, answer.text)
    if not have_same_calls(answer.calls, before.calls):
        document["content"] = _edit_calls(content, before.calls, answer.calls)
    if answer.finish_reason != before.finish_reason:
        document["stop_reason"] = answer.finish_reason
    if own_refusal(answer) != own_refusal(before):
        _edit_refusal(document, own_refusal(answer))
    return document


def _edit_text(content: list[Any], text: str | None) -> list[Any]:
    """Spread ``text`` over the text blocks. If there is no text, delete them."""
    found = [block for block in as_objects(content) if join_text([block])]
    if text is None:
        return [block for block in content if not any(block is one for one in found)]
    if not found:
        place = next((n for n, block in enumerate(content) if is_call(as_object(block))), len(content))
        return [*content[:place], {"type": "text", "text": text}, *content[place:]]
    for block, piece in zip(found, spread_text(text, len(found)), strict=True):
        block["text"] = piece  # type: ignore[index]
    return content


def _edit_calls(content: list[Any], recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> list[Any]:
    """Replace each call in its place. A new call follows the call before it."""
    slots = [block for block in as_objects(content) if is_call(block)]
    new: list[_NewBlocks[_Fields]] = [_NewBlocks() for _ in slots]
    appended: list[_Fields] = []
    for position, source, call in place_calls(recorded, calls):
        block = write_call({} if source is None else slots[source], call)
        if not slots:
            appended.append(block)
        elif source == position and have_same_calls([call], [recorded[position]]):
            new[position].is_kept = True
        else:
            new[position].add(block)
    written: list[Any] = []
    for block in content:
        slot = next((n for n, one in enumerate(slots) if one is block), None)
        written += [block] if slot is None else new[slot].surround(block)
    return written + appended


@dataclass
class _NewBlocks(Generic[T]):
    """The blocks that replace a recorded call."""

    is_kept: bool = False
    before: list[T] = field(default_factory=list)
    after: list[T] = field(default_factory=list)

    def add(self, block: T) -> None:
        (self.after if self.is_kept else self.before).append(block)

    def surround(self, recorded: T) -> list[T]:
        return [*self.before, *([recorded] if self.is_kept else ()), *self.after]


def _edit_refusal(fields: _Fields, refusal: str | None) -> None:
    if refusal is None:
        fields.pop("stop_details", None)
    else:
        fields["stop_details"] = build_refusal(refusal)


# --- streamed -------------------------------------------------------------------------------------------------------


def edit_events(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return the events of ``original`` with the calls, text, refusal and stop reason of ``answer``."""
    decoder = AnthropicStreamDecoder()
    for document, _ in original:
        if document is not None:
            decoder.feed_chunk(document)
    decoder.close()
    before = decoder.answer
    stream = _EventList(original)
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


class _RecordedBlock:
    """A content block of a stream: the fields of its start, and its events."""

    def __init__(self, fields: Mapping[str, Any], index: int | None, arrival: int) -> None:
        self.fields = fields
        self.index = index
        self.order = (arrival if index is None else index, arrival)
        self.chunks: list[StreamChunk] = []

    def is_started_by(self, fields: Mapping[str, Any]) -> bool:
        """Return whether ``fields`` repeat the start of this block."""
        has_ended = any(as_object(chunk.document).get("type") == "content_block_stop" for chunk in self.chunks)
        block_id = as_text(fields.get("id"))
        return not has_ended and block_id is not None and block_id == self.fields.get("id")


class _EventList:
    def __init__(self, original: Sequence[StreamChunk]) -> None:
        self.chunks = [StreamChunk(deepcopy(document), frame) for document, frame in original]
        self._blocks: list[_RecordedBlock] = []
        self._frame = next(chunk.frame for chunk in self.chunks if chunk.document is not None)

    def parse_blocks(self) -> None:
        """Find the blocks. Blocks in the first event get separate events."""
        chunks, self.chunks = self.chunks, []
        last_by_index: dict[int | None, _RecordedBlock] = {}
        for chunk in chunks:
            self.chunks.append(chunk)
            document = as_object(chunk.document)
            message = as_object(document.get("message"))
            if content := as_objects(message.get("content")):
                message["content"] = []  # type: ignore[index]
                for number, fields in enumerate(content):
                    block = self._append_block(fields, number, build_block(number, fields, []), chunk.frame)
                    self.chunks += block.chunks
                    last_by_index[number] = block
            kind, index = document.get("type"), document.get("index")
            index = index if isinstance(index, int) else None
            if kind not in ("content_block_start", "content_block_delta", "content_block_stop"):
                continue
            last = self._blocks[-1] if self._blocks else None
            known = last if index is None else last_by_index.get(index)
            fields = as_object(document.get("content_block"))
            is_repeated = known is not None and known.is_started_by(fields)
            if known is None or (kind == "content_block_start" and not is_repeated):
                if kind != "content_block_start":
                    fields = {"type": "text"} if "text" in as_object(document.get("delta")) else {}
                known = self._append_block(fields, index, [], None)
                last_by_index[index] = known
            known.chunks.append(chunk)

    def _append_block(
        self, fields: Mapping[str, Any], index: int | None, events: Sequence[_Fields], frame: int | None
    ) -> _RecordedBlock:
        block = _RecordedBlock(fields, index, len(self._blocks))
        block.chunks = [StreamChunk(event, frame) for event in events]
        self._blocks.append(block)
        return block

    def edit_text(self, text: str | None) -> None:
        """Spread ``text`` over the text deltas. If there is no text, delete the text blocks."""
        blocks = [block for block in self._list_blocks() if block.fields.get("type") == "text"]
        places = [place for block in blocks for place in self._find_texts(block)]
        if text is None:
            self._replace({id(block): [] for block in blocks if self._find_texts(block)})
        elif places:
            for place, piece in zip(places, spread_text(text, len(places)), strict=True):
                place["text"] = piece
        else:
            block = self._create(build_block(0, {"type": "text", "text": ""}, cut_text(text, PIECE_SIZE)), None)
            first_call = next((one for one in self._list_blocks() if is_call(one.fields)), None)
            self._insert(block, before=first_call)

    @staticmethod
    def _find_texts(block: _RecordedBlock) -> list[Any]:
        """Return the objects that have a piece of the text of ``block``."""
        documents = [as_object(chunk.document) for chunk in block.chunks]
        places = [as_object(document.get(key)) for document in documents for key in ("content_block", "delta")]
        return [place for place in places if as_text(place.get("text"))]

    def edit_calls(self, recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> None:
        """Replace each call in its place. A new call follows the call before it."""
        slots = [block for block in self._list_blocks() if is_call(block.fields)]
        new: list[_NewBlocks[_RecordedBlock]] = [_NewBlocks() for _ in slots]
        for position, source, call in place_calls(recorded, calls):
            source_block = None if source is None else slots[source]
            fields = {} if source_block is None else source_block.fields
            block = self._create(build_call(0, fields, call, PIECE_SIZE), source_block)
            if not slots:
                self._insert(block)
            elif source == position and have_same_calls([call], [recorded[position]]):
                new[position].is_kept = True
            else:
                new[position].add(block)
        self._replace({id(slot): blocks.surround(slot) for slot, blocks in zip(slots, new, strict=True)})

    def get_end(self) -> _Fields:
        """Return the object with the stop reason. Add an event for it if there is none."""
        for chunk in self.chunks:
            document = as_object(chunk.document)
            if document.get("type") == "message_delta" and isinstance(document.get("delta"), dict):
                delta: _Fields = document["delta"]
                return delta
        added: _Fields = {}
        self.chunks.insert(self._find_end(), StreamChunk({"type": "message_delta", "delta": added}, self._frame))
        return added

    def _find_end(self) -> int:
        """Return the position of the first event that ends the message."""
        ends = ("message_delta", "message_stop", "error")
        kinds = [as_object(chunk.document).get("type") for chunk in self.chunks]
        return next((position for position, kind in enumerate(kinds) if kind in ends), len(self.chunks))

    def _list_blocks(self) -> list[_RecordedBlock]:
        return sorted(self._blocks, key=lambda block: block.order)

    def _create(self, events: Sequence[_Fields], source: _RecordedBlock | None) -> _RecordedBlock:
        """Return a block with ``events``. Each gets the frame of the event in ``source`` with the same type."""
        kinds = {as_object(chunk.document).get("type"): chunk.frame for chunk in (source.chunks if source else [])}
        block = _RecordedBlock(events[0]["content_block"], None, 0)
        default = kinds.get("content_block_start", self._frame)
        block.chunks = [StreamChunk(event, kinds.get(event["type"], default)) for event in events]
        return block

    def _insert(self, block: _RecordedBlock, before: _RecordedBlock | None = None) -> None:
        """Insert a new block before another one, or after all others."""
        if before is not None:
            self._replace({id(before): [block, before]})
            return
        place = self._find_end()
        self.chunks[place:place] = block.chunks
        self._number([*self._list_blocks(), block])

    def _replace(self, replacements: Mapping[int, Sequence[_RecordedBlock]]) -> None:
        """Replace blocks, by their identity, with others. The events of a new block follow those of its predecessor."""
        blocks: list[_RecordedBlock] = []
        for block in self._list_blocks():
            group = replacements.get(id(block), [block])
            place = next(n for n, chunk in enumerate(self.chunks) if chunk is block.chunks[0])
            for one in group:
                if one is block:
                    place = max(n for n, chunk in enumerate(self.chunks) if any(chunk is own for own in one.chunks)) + 1
                else:
                    self.chunks[place:place] = one.chunks
                    place += len(one.chunks)
            if not any(one is block for one in group):
                self.chunks = [chunk for chunk in self.chunks if not any(chunk is own for own in block.chunks)]
            blocks += group
        if [*map(id, blocks)] != [*map(id, self._list_blocks())]:
            self._number(blocks)

    def _number(self, blocks: Sequence[_RecordedBlock]) -> None:
        """Make ``blocks`` the blocks of the stream, in this order. Number their events if events have numbers."""
        is_numbered = any(block.index is not None for block in self._blocks) or not self._blocks
        for position, block in enumerate(blocks):
            block.index = position if is_numbered else None
            block.order = (position, position)
            for chunk in block.chunks:
                document: Any = chunk.document
                if is_numbered:
                    document["index"] = position
                else:
                    document.pop("index", None)
        self._blocks = list(blocks)
