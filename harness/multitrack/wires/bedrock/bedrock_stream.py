"""Decode answers of Amazon Bedrock's Converse API that arrive as AWS event streams.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.bedrock.bedrock_answer import (
    FAILURES,
    FILTERS,
    LENGTH_LIMITS,
    find_call,
    join_text,
    read_input,
    read_model,
)
from multitrack.wires.brackets import BracketCounter
from multitrack.wires.call_queue import CallFields, CallQueue
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.stream_decoder import StreamDecoder


class BedrockStreamDecoder(StreamDecoder):
    """A decoder that builds the content blocks of an answer from the events of a stream.

    An event is an object with one key, the name of the event. A block is identified by its ``contentBlockIndex``.

    The stream ends only at the end of the body, not at an event. If an event ended it, a client would stop reading
    before the end of the body, and would have to close the connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self._role: str | None = None
        self._stop: Mapping[str, Any] = {}
        self._metadata: Mapping[str, Any] = {}
        self._blocks: list[_BedrockBlock] = []
        self._last_by_index: dict[int | None, _BedrockBlock] = {}
        self._first_missing_index = 0
        self._queue = CallQueue[_BedrockBlock]()

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        for name, value in chunk.items():
            fields = as_object(value)
            match name:
                case "messageStart":
                    self._role = as_text(fields.get("role"))
                case "contentBlockStart":
                    return self._start_block(as_object(fields.get("start")), _read_index(fields))
                case "contentBlockDelta":
                    return self._add_delta(as_object(fields.get("delta")), _read_index(fields))
                case "contentBlockStop":
                    if (block := self._find_block(_read_index(fields))) is not None:
                        block.has_stopped = True
                    return self._queue.release()
                case "messageStop":
                    self._stop = fields
                    return self._complete_open_calls()
                case "metadata":
                    self._metadata = fields
                case "error":
                    self._error = self._error or error_message(value)
                case str() if name.endswith("Exception"):
                    message = as_text(fields.get("message"))
                    self._error = self._error or (f"{name}: {message}" if message else name)
        return []

    def _start_block(self, fields: Mapping[str, Any], index: int | None) -> list[ToolCall]:
        known = self._last_by_index.get(index)
        if known is None or known.has_stopped or index is None:
            self._add_block(fields, index)
        # the block before this one is complete, even if no event has ended it
        return self._queue.release()

    def _add_block(self, fields: Mapping[str, Any], index: int | None) -> _BedrockBlock:
        if self._blocks:
            self._blocks[-1].is_followed = True
        block = _BedrockBlock(fields, index, len(self._blocks), self)
        self._blocks.append(block)
        self._last_by_index[index] = block
        if block.is_call:
            self._queue.add(block)
        return block

    def _add_delta(self, delta: Mapping[str, Any], index: int | None) -> list[ToolCall]:
        block = self._find_block(index)
        is_added = block is None
        if block is None:
            # a block of text or reasoning has no event for its start
            block = self._add_block({}, index)
            if "toolUse" in delta:
                self._error = self._error or "a content block received input, but its start is missing"
        if not block.add(delta):
            self._error = self._error or f"the call {block.fields[1]!r} received more input after it was complete"
        return self._queue.release() if is_added else []

    def _find_block(self, index: int | None) -> _BedrockBlock | None:
        if index is None:
            return self._blocks[-1] if self._blocks else None
        return self._last_by_index.get(index)

    def is_after_gap(self, index: int) -> bool:
        """Return whether a block with a lower index than ``index`` can still arrive."""
        while self._first_missing_index in self._last_by_index:
            self._first_missing_index += 1
        return self._stop_reason is None and index > self._first_missing_index

    def _complete_open_calls(self) -> list[ToolCall]:
        is_cut_off = self._stop_reason in LENGTH_LIMITS
        for block in self._blocks:
            # a length limit can have cut off only the last block
            block.is_closed = block.is_followed or not is_cut_off
        return self._queue.release(is_last=True)

    @property
    def _stop_reason(self) -> str | None:
        return as_text(self._stop.get("stopReason"))

    def _sorted_blocks(self) -> list[_BedrockBlock]:
        return sorted(self._blocks, key=lambda block: block.order)

    @property
    def document(self) -> Mapping[str, Any]:
        # the calls are in the order of the answer, because tool results are paired with them by their order
        calls = iter(self._queue.ordered_calls())
        content = [(next(calls) if block.is_call else block).as_document() for block in self._sorted_blocks()]
        output = {"message": {"role": self._role or "assistant", "content": content}}
        return {"output": output, "stopReason": None, **self._stop, **self._metadata}

    @property
    def answer(self) -> WireAnswer:
        blocks = self._sorted_blocks()
        calls = [block for block in blocks if block.is_call]
        is_truncated = self._stop_reason in LENGTH_LIMITS
        return WireAnswer(
            calls=self._queue.calls(),
            text=join_text({"text": block.text} for block in blocks),
            finish_reason=self._stop_reason,
            refusal=self._stop_reason if self._stop_reason in FILTERS else None,
            error=self._error or (self._stop_reason if self._stop_reason in FAILURES else None),
            model=read_model(self._metadata),
            usage=as_object(self._metadata.get("usage")) or None,
            is_complete=self._error is None and self._stop_reason is not None,
            is_truncated=is_truncated,
            has_cut_off_call=is_truncated and not all(block.is_complete for block in calls),
        )


def _read_index(fields: Mapping[str, Any]) -> int | None:
    index = fields.get("contentBlockIndex")
    return index if isinstance(index, int) else None


class _BedrockBlock:
    """A content block: a call, text, a thought, or a block that the client does not need."""

    def __init__(
        self, fields: Mapping[str, Any], index: int | None, arrival: int, decoder: BedrockStreamDecoder
    ) -> None:
        self.order = (arrival if index is None else index, arrival)
        self.is_call = find_call(fields) is not None
        self.has_stopped = False
        self.is_followed = False
        """True if another block has begun after this one, so no length limit can have cut this block off."""
        self.is_closed = False
        """True if the message has ended, and no length limit cut this block off."""
        self._start = fields
        self._use = as_object(fields.get("toolUse"))
        self._index = index
        self._decoder = decoder
        self._texts: list[str] = []
        self._thought: dict[str, str] = {}
        self._redacted: list[str | bytes] = []
        self._citations: list[Mapping[str, Any]] = []
        self._results: list[Mapping[str, Any]] = []
        self._image: list[str | bytes] = []
        self._input: list[str] = []
        self._brackets = BracketCounter()
        self._has_whole_input = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return "".join(self._texts)

    @property
    def fields(self) -> CallFields:
        return as_text(self._use.get("toolUseId")), as_text(self._use.get("name")) or "", self._read_arguments()

    def _read_arguments(self) -> str | None:
        text = "".join(self._input)
        if text.strip():
            return text
        if (whole := read_input(self._use)) is not None:
            return whole
        # an empty input is sent without a delta, or with an empty one
        return "{}" if self.has_stopped else text if self._input else None

    @property
    def is_empty(self) -> bool:
        return False

    @property
    def is_complete(self) -> bool:
        if self.is_closed:
            return True
        # A length limit may have cut the last block off, but not if the JSON text of its input is complete.
        if not (self.is_followed or (self.has_stopped and self._has_whole_input)):
            return False
        return self._index is None or (self.has_stopped and not self._decoder.is_after_gap(self._index))

    def add(self, delta: Mapping[str, Any]) -> bool:
        """Add a delta. Return False if the delta adds input to a call that is complete."""
        if text := as_text(delta.get("text")):
            self._texts.append(text)
        reasoning = as_object(delta.get("reasoningContent"))
        for key in ("text", "signature"):
            if piece := as_text(reasoning.get(key)):
                self._thought[key] = self._thought.get(key, "") + piece
        if isinstance(reasoning.get("redactedContent"), (str, bytes)):
            self._redacted.append(reasoning["redactedContent"])
        image = as_object(as_object(delta.get("image")).get("source")).get("bytes")
        if isinstance(image, (str, bytes)):
            self._image.append(image)
        if citation := as_object(delta.get("citation")):
            self._citations.append(citation)
        self._results += as_objects(delta.get("toolResult"))
        piece = as_object(delta.get("toolUse")).get("input")
        if not isinstance(piece, str):
            return True
        if self.is_call and self.is_complete:
            return not piece.strip()
        self._input.append(piece)
        self._has_whole_input = self._has_whole_input or self._brackets.feed(piece) is not None
        return True

    def as_document(self) -> Mapping[str, Any]:
        """Return the block as it appears in an answer that is not streamed."""
        if self.is_call or self._use:
            arguments = self._read_arguments()
            return {"toolUse": {**self._use, **({} if arguments is None else {"input": arguments})}}
        if isinstance(self._start.get("toolResult"), dict):
            # the result of a server tool
            return {"toolResult": {**self._start["toolResult"], "content": self._results}}
        if self._thought:
            return {"reasoningContent": {"reasoningText": self._thought}}
        if self._redacted:
            return {"reasoningContent": {"redactedContent": _join_bytes(self._redacted)}}
        if self._image:
            return {"image": {**as_object(self._start.get("image")), "source": {"bytes": _join_bytes(self._image)}}}
        if self._citations:
            return {"citationsContent": {"content": [{"text": self.text}], "citations": self._citations}}
        return {**self._start, "text": self.text} if self._texts or not self._start else self._start


def _join_bytes(pieces: list[str | bytes]) -> str | bytes:
    """Join the pieces of an image or a redacted thought: base64 in JSON, and bytes in boto3's objects."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        joined = b"".join(piece if isinstance(piece, bytes) else base64.b64decode(piece) for piece in pieces)
    except (binascii.Error, ValueError):
        return "".join(str(piece) for piece in pieces)
    return joined if isinstance(pieces[0], bytes) else base64.b64encode(joined).decode()
