"""Change the calls and the text in the content blocks of a recorded answer, and nothing else.

Anthropic's Messages API and Bedrock's Converse API share this module. An answer is a list of content blocks. The events
of a stream start a block, add to it, and end it. A subclass of ``BlockSyntax`` knows how an API writes blocks and
events.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from multitrack.tool_call import ToolCall
from multitrack.wires.encoding import have_same_calls, place_calls, spread_text
from multitrack.wires.lenient_json import as_object, as_objects
from multitrack.wires.stream_text import StreamChunk

T = TypeVar("T")

Fields = dict[str, Any]
"""A JSON object that is changed in place."""


class BlockEvent(NamedTuple):
    """An event of a content block.

    Attributes:
        holder: The object that contains the block's index.
        is_start: Whether the event starts the block.
        is_stop: Whether the event ends the block.
        block: The fields of the block if the event starts it. For any other event, the fields to use if the block's
            start event is missing.
    """

    holder: Any
    is_start: bool
    is_stop: bool
    block: Mapping[str, Any]


class BlockSyntax(ABC):
    """The syntax in which an API writes content blocks and the events of a stream."""

    index_key: str
    """The key of a block's index in an event."""

    @abstractmethod
    def is_call(self, block: Mapping[str, Any]) -> bool:
        """Return whether a content block is a call that the client executes."""

    @abstractmethod
    def find_id(self, block: Mapping[str, Any]) -> str | None:
        """Return the id of a block, or None if it has none."""

    @abstractmethod
    def find_texts(self, block: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the objects in a block that hold a part of the answer's text in their ``text`` field."""

    @abstractmethod
    def is_text(self, block: Mapping[str, Any]) -> bool:
        """Return whether a streamed block is a text block. ``block`` has the fields from the start of the block."""

    @abstractmethod
    def build_text(self, text: str) -> Fields:
        """Return a content block with ``text``."""

    @abstractmethod
    def write_call(self, block: Mapping[str, Any], call: ToolCall) -> Fields:
        """Return ``block`` with the id, the name and the arguments of ``call``.

        For a new call, ``block`` is empty. Otherwise, it is the block of a recorded call.
        """

    @abstractmethod
    def extract_started_blocks(self, document: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[Fields]]]:
        """Remove the blocks from the event that starts a message. Return each block and the events that replace it."""

    @abstractmethod
    def read_event(self, document: Mapping[str, Any]) -> BlockEvent | None:
        """Return the event of a content block, or None if ``document`` is an event of any other kind."""

    @abstractmethod
    def read_kind(self, document: Mapping[str, Any]) -> str | None:
        """Return the name of an event."""

    @abstractmethod
    def find_event_texts(self, document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the objects in an event that hold a part of the answer's text in their ``text`` field."""

    @abstractmethod
    def build_text_events(self, text: str) -> list[Fields]:
        """Return the events of a block with ``text``."""

    @abstractmethod
    def build_call_events(self, block: Mapping[str, Any], call: ToolCall) -> list[Fields]:
        """Return the events of a block with the id, the name and the arguments of ``call``.

        For a new call, ``block`` is empty. Otherwise, it is the block of a recorded call.
        """

    @abstractmethod
    def find_stop(self, document: Mapping[str, Any]) -> Fields | None:
        """Return the object with the stop reason, or None if the event does not contain it."""

    @abstractmethod
    def build_stop(self) -> tuple[Fields, Fields]:
        """Return an event with the stop reason, and the object in the event that contains the reason."""

    @abstractmethod
    def is_end(self, document: Mapping[str, Any]) -> bool:
        """Return whether an event comes after all content blocks."""


# --- in one piece ---------------------------------------------------------------------------------------------------


def edit_text(syntax: BlockSyntax, content: list[Any], text: str | None) -> list[Any]:
    """Spread ``text`` over the text blocks in ``content``. If ``text`` is None, delete the text blocks."""
    if text is None:
        return [block for block in content if not syntax.find_texts(as_object(block))]
    found: list[Any] = [part for block in as_objects(content) for part in syntax.find_texts(block)]
    if not found:
        place = next((n for n, block in enumerate(content) if syntax.is_call(as_object(block))), len(content))
        return [*content[:place], syntax.build_text(text), *content[place:]]
    for part, piece in zip(found, spread_text(text, len(found)), strict=True):
        part["text"] = piece
    return content


def edit_calls(
    syntax: BlockSyntax, content: list[Any], recorded: Sequence[ToolCall], calls: Sequence[ToolCall]
) -> list[Any]:
    """Replace the ``recorded`` calls with ``calls``.

    A new call is inserted after the call that precedes it in ``calls``.
    """
    slots = [block for block in as_objects(content) if syntax.is_call(block)]
    new: list[_NewBlocks[Fields]] = [_NewBlocks() for _ in slots]
    appended: list[Fields] = []
    for position, source, call in place_calls(recorded, calls, slots):
        block = syntax.write_call({} if source is None else slots[source], call)
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


# --- streamed -------------------------------------------------------------------------------------------------------


class _RecordedBlock:
    """A content block of a stream: the fields at its start, and its events."""

    def __init__(self, syntax: BlockSyntax, fields: Mapping[str, Any], index: int | None, arrival: int) -> None:
        self._syntax = syntax
        self.fields = fields
        self.index = index
        self.order = (arrival if index is None else index, arrival)
        self.chunks: list[StreamChunk] = []

    def is_started_by(self, fields: Mapping[str, Any]) -> bool:
        """Return whether a start event with ``fields`` is for this block, which is still open."""
        block_id = self._syntax.find_id(fields)
        if block_id is None or block_id != self._syntax.find_id(self.fields):
            return False
        events = (self._syntax.read_event(as_object(chunk.document)) for chunk in self.chunks)
        return not any(event is not None and event.is_stop for event in events)


class EventList:
    """The events of a recorded stream."""

    def __init__(self, syntax: BlockSyntax, original: Sequence[StreamChunk]) -> None:
        self._syntax = syntax
        self.chunks = [StreamChunk(deepcopy(document), frame) for document, frame in original]
        self._blocks: list[_RecordedBlock] = []
        self._frame = next(chunk.frame for chunk in self.chunks if chunk.document is not None)

    def parse_blocks(self) -> None:
        """Find the content blocks. If the first event contains blocks, give each of them its own event."""
        chunks, self.chunks = self.chunks, []
        last_by_index: dict[int | None, _RecordedBlock] = {}
        for chunk in chunks:
            self.chunks.append(chunk)
            document = as_object(chunk.document)
            for number, (fields, events) in enumerate(self._syntax.extract_started_blocks(document)):
                block = self._append_block(fields, number, events, chunk.frame)
                self.chunks += block.chunks
                last_by_index[number] = block
            event = self._syntax.read_event(document)
            if event is None:
                continue
            index = event.holder.get(self._syntax.index_key)
            index = index if isinstance(index, int) else None
            last = self._blocks[-1] if self._blocks else None
            known = last if index is None else last_by_index.get(index)
            is_repeated = known is not None and known.is_started_by(event.block)
            if known is None or (event.is_start and not is_repeated):
                known = self._append_block(event.block, index, [], None)
                last_by_index[index] = known
            known.chunks.append(chunk)

    def _append_block(
        self, fields: Mapping[str, Any], index: int | None, events: Sequence[Fields], frame: int | None
    ) -> _RecordedBlock:
        block = _RecordedBlock(self._syntax, fields, index, len(self._blocks))
        block.chunks = [StreamChunk(event, frame) for event in events]
        self._blocks.append(block)
        return block

    def edit_text(self, text: str | None) -> None:
        """Spread ``text`` over the text deltas. If there is no text, delete the text blocks."""
        blocks = [block for block in self._list_blocks() if self._syntax.is_text(block.fields)]
        places = [place for block in blocks for place in self._find_texts(block)]
        if text is None:
            self._replace({id(block): [] for block in blocks if self._find_texts(block)})
        elif places:
            for place, piece in zip(places, spread_text(text, len(places)), strict=True):
                place["text"] = piece
        else:
            block = self._create(self._syntax.build_text_events(text), None)
            first_call = next((one for one in self._list_blocks() if self._syntax.is_call(one.fields)), None)
            self._insert(block, before=first_call)

    def _find_texts(self, block: _RecordedBlock) -> list[Any]:
        """Return the objects that contain a piece of the block's text."""
        documents = [as_object(chunk.document) for chunk in block.chunks]
        return [place for document in documents for place in self._syntax.find_event_texts(document)]

    def edit_calls(self, recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> None:
        """Replace the ``recorded`` calls with ``calls``.

        A new call is inserted after the call that precedes it in ``calls``.
        """
        slots = [block for block in self._list_blocks() if self._syntax.is_call(block.fields)]
        new: list[_NewBlocks[_RecordedBlock]] = [_NewBlocks() for _ in slots]
        for position, source, call in place_calls(recorded, calls, slots):
            source_block = None if source is None else slots[source]
            fields = {} if source_block is None else source_block.fields
            block = self._create(self._syntax.build_call_events(fields, call), source_block)
            if not slots:
                self._insert(block)
            elif source == position and have_same_calls([call], [recorded[position]]):
                new[position].is_kept = True
            else:
                new[position].add(block)
        self._replace({id(slot): blocks.surround(slot) for slot, blocks in zip(slots, new, strict=True)})

    def get_end(self) -> Fields:
        """Return the object with the stop reason. If no event has a stop reason, add an event for it."""
        for chunk in self.chunks:
            if (stop := self._syntax.find_stop(as_object(chunk.document))) is not None:
                return stop
        event, added = self._syntax.build_stop()
        self.chunks.insert(self._find_end(), StreamChunk(event, self._frame))
        return added

    def _find_end(self) -> int:
        """Return the position of the first event that ends the message."""
        ends = (n for n, chunk in enumerate(self.chunks) if self._syntax.is_end(as_object(chunk.document)))
        return next(ends, len(self.chunks))

    def _list_blocks(self) -> list[_RecordedBlock]:
        return sorted(self._blocks, key=lambda block: block.order)

    def _create(self, events: Sequence[Fields], source: _RecordedBlock | None) -> _RecordedBlock:
        """Return a new block with ``events``. Frames are taken from the events of the same kind in ``source``."""
        read_kind = self._syntax.read_kind
        frames = {read_kind(as_object(chunk.document)): chunk.frame for chunk in (source.chunks if source else [])}
        start = self._syntax.read_event(events[0])
        block = _RecordedBlock(self._syntax, {} if start is None else start.block, None, 0)
        default = frames.get(read_kind(events[0]), self._frame)
        block.chunks = [StreamChunk(event, frames.get(read_kind(event), default)) for event in events]
        return block

    def _insert(self, block: _RecordedBlock, before: _RecordedBlock | None = None) -> None:
        """Insert a new block in front of the block ``before``. If ``before`` is None, append it."""
        if before is not None:
            self._replace({id(before): [block, before]})
            return
        place = self._find_end()
        self.chunks[place:place] = block.chunks
        self._number([*self._list_blocks(), block])

    def _replace(self, replacements: Mapping[int, Sequence[_RecordedBlock]]) -> None:
        """Replace blocks of the stream. The events of a new block follow the events of the block before it.

        Args:
            replacements: A dictionary from the ``id()`` of a block to the blocks that replace this block.
        """
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
        """Replace the blocks of the stream with ``blocks``. If the blocks have indexes, renumber them."""
        is_numbered = any(block.index is not None for block in self._blocks) or not self._blocks
        for position, block in enumerate(blocks):
            block.index = position if is_numbered else None
            block.order = (position, position)
            for chunk in block.chunks:
                event = self._syntax.read_event(as_object(chunk.document))
                if event is not None and is_numbered:
                    event.holder[self._syntax.index_key] = position
                elif event is not None:
                    event.holder.pop(self._syntax.index_key, None)
        self._blocks = list(blocks)
