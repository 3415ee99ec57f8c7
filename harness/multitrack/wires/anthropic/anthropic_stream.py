"""Decode a streamed answer from Anthropic's Messages API. The stream consists of server-sent events.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.anthropic.anthropic_answer import LENGTH_LIMITS, is_call, join_text, read_input, read_refusal
from multitrack.wires.brackets import BracketCounter
from multitrack.wires.call_queue import CallFields, CallQueue
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.stream_decoder import StreamDecoder


class AnthropicStreamDecoder(StreamDecoder):
    """A decoder that builds the content blocks of an answer from the events of a stream.

    A block is identified by its ``index``. The decoder also accepts streams from gateways that leave out the index or
    the end of a block, or use the same index for every block.
    """

    def __init__(self) -> None:
        super().__init__()
        self._message: Mapping[str, Any] = {}
        self._fallback_model: str | None = None
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._stop_details: object = None
        self._blocks: list[_AnthropicBlock] = []
        self._last_by_index: dict[int | None, _AnthropicBlock] = {}
        self._first_missing_index = 0
        self._queue = CallQueue[_AnthropicBlock]()

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        match chunk.get("type"):
            case "message_start":
                self._start_message(as_object(chunk.get("message")))
            case "message":
                # the whole answer, from a gateway that does not stream
                self._start_message(chunk)
                self.has_ended = True
                return self._complete_open_calls()
            case "content_block_start":
                return self._start_block(as_object(chunk.get("content_block")), _read_index(chunk))
            case "content_block_delta":
                self._add_delta(as_object(chunk.get("delta")), _read_index(chunk))
            case "content_block_stop":
                return self._end_block(_read_index(chunk))
            case "message_delta":
                self._update_usage(chunk.get("usage"))
                delta = as_object(chunk.get("delta"))
                self._stop_details = delta.get("stop_details") or self._stop_details
                if reason := as_text(delta.get("stop_reason")):
                    self._stop_reason = reason
                    return self._complete_open_calls()
            case "message_stop":
                self.has_ended = True
                return self._complete_open_calls()
            case "error" | None:
                self._error = self._error or error_message(chunk.get("error"))
        return []

    def _start_message(self, message: Mapping[str, Any]) -> None:
        self._message = message
        self._update_usage(message.get("usage"))
        self._stop_reason = as_text(message.get("stop_reason")) or self._stop_reason
        self._stop_details = message.get("stop_details") or self._stop_details
        for fields in as_objects(message.get("content")):
            self._add_block(fields, None).has_ended = True

    def _start_block(self, fields: Mapping[str, Any], index: int | None) -> list[ToolCall]:
        if fields.get("type") == "fallback":
            # the model that the message started with refused, and another one continues the answer
            self._fallback_model = as_text(as_object(fields.get("to")).get("model")) or self._fallback_model
        known = self._last_by_index.get(index)
        if known is None or not known.is_started_by(fields):
            self._add_block(fields, index)
        # the block before this one is complete, even if no event has ended it
        return self._queue.release()

    def _add_block(self, fields: Mapping[str, Any], index: int | None) -> _AnthropicBlock:
        if self._blocks:
            self._blocks[-1].is_followed = True
        block = _AnthropicBlock(fields, index, len(self._blocks), self)
        self._blocks.append(block)
        self._last_by_index[index] = block
        if block.is_call:
            self._queue.add(block)
        return block

    def _add_delta(self, delta: Mapping[str, Any], index: int | None) -> None:
        block = self._find_block(index)
        if block is None:
            # the event that starts the block was lost, so only the text of the block can be used
            block = self._add_block({"type": "text"} if "text" in delta else {}, index)
            if "partial_json" in delta:
                self._error = self._error or "a content block received input, but its start is missing"
        if not block.add(delta):
            self._error = self._error or f"the call {block.fields[1]!r} received more input after it was complete"

    def _end_block(self, index: int | None) -> list[ToolCall]:
        if (block := self._find_block(index)) is not None:
            block.has_ended = True
        return self._queue.release()

    def _find_block(self, index: int | None) -> _AnthropicBlock | None:
        if index is None:
            return self._blocks[-1] if self._blocks else None
        return self._last_by_index.get(index)

    def _update_usage(self, usage: object) -> None:
        # the counts of `message_delta` are cumulative, and those that it leaves out have not changed
        self._usage.update({key: value for key, value in as_object(usage).items() if value is not None})

    def is_after_gap(self, index: int) -> bool:
        """Return whether a block with a lower index than ``index`` can still arrive."""
        while self._first_missing_index in self._last_by_index:
            self._first_missing_index += 1
        return self._stop_reason is None and not self.has_ended and index > self._first_missing_index

    def _complete_open_calls(self) -> list[ToolCall]:
        is_cut_off = self._stop_reason in LENGTH_LIMITS
        for block in self._blocks:
            # a length limit can have cut off only the last block
            if block.is_followed or not is_cut_off:
                block.has_ended = block.is_followed = True
        return self._queue.release(is_last=True)

    @property
    def document(self) -> Mapping[str, Any]:
        # the calls are in the order of the answer, because tool results are paired with them by their order
        calls = iter(self._queue.ordered_calls())
        blocks = sorted(self._blocks, key=lambda block: block.order)
        content = [(next(calls) if block.is_call else block).as_document() for block in blocks]
        model = {"model": self._fallback_model} if self._fallback_model else {}
        end = {"content": content, "stop_reason": self._stop_reason, "usage": self._usage}
        return {**self._message, **model, **end}

    @property
    def answer(self) -> WireAnswer:
        blocks = sorted(self._blocks, key=lambda block: block.order)
        calls = [block for block in blocks if block.is_call]
        return WireAnswer(
            calls=self._queue.calls(),
            text=join_text(block.as_content() for block in blocks),
            finish_reason=self._stop_reason,
            refusal=read_refusal(self._stop_reason, self._stop_details),
            error=self._error,
            model=self._fallback_model or as_text(self._message.get("model")),
            usage=self._usage or None,
            is_complete=self._error is None and (self.has_ended or self._stop_reason is not None),
            is_truncated=self._stop_reason in LENGTH_LIMITS,
            has_cut_off_call=self._stop_reason in LENGTH_LIMITS and not all(block.is_complete for block in calls),
        )


def _read_index(chunk: Mapping[str, Any]) -> int | None:
    index = chunk.get("index")
    return index if isinstance(index, int) else None


class _AnthropicBlock:
    """A content block: a call, text, or a block that the client does not need."""

    def __init__(
        self, fields: Mapping[str, Any], index: int | None, arrival: int, decoder: AnthropicStreamDecoder
    ) -> None:
        self.order = (arrival if index is None else index, arrival)
        self.is_call = is_call(fields)
        self.has_ended = False
        self.is_followed = False
        """True if another block has begun after this one, so no length limit can have cut this block off."""
        self._fields = fields
        self._index = index
        self._decoder = decoder
        self._texts: list[str] = []
        self._thought: dict[str, str] = {}
        self._citations: list[Any] = []
        self._input: list[str] = []
        self._brackets = BracketCounter()
        self._has_whole_input = False

    @property
    def fields(self) -> CallFields:
        # an empty input is sent as `{}` at the start of the block, without a delta
        text = "".join(self._input)
        return (
            as_text(self._fields.get("id")),
            as_text(self._fields.get("name")) or "",
            text if text.strip() else read_input(self._fields),
        )

    @property
    def is_empty(self) -> bool:
        return False

    @property
    def is_complete(self) -> bool:
        # A length limit may have cut the last block off, but not if the JSON text of its input is complete.
        if not (self.has_ended and (self.is_followed or self._has_whole_input)):
            return False
        return self._index is None or not self._decoder.is_after_gap(self._index)

    def is_started_by(self, fields: Mapping[str, Any]) -> bool:
        """Return whether this block is still open and a start event with ``fields`` has the same id."""
        block_id = as_text(fields.get("id"))
        return not self.has_ended and block_id is not None and block_id == self._fields.get("id")

    def add(self, delta: Mapping[str, Any]) -> bool:
        """Add ``delta`` to this block. Return False if ``delta`` is input for a call that is already complete."""
        if text := as_text(delta.get("text")):
            self._texts.append(text)
        for key in ("thinking", "signature"):
            if piece := as_text(delta.get(key)):
                self._thought[key] = self._thought.get(key, "") + piece
        if citation := delta.get("citation"):
            self._citations.append(citation)
        if delta.get("type") == "compaction_delta":
            self._fields = {**self._fields, **{key: value for key, value in delta.items() if key != "type"}}
        piece = as_text(delta.get("partial_json"))
        if piece is None:
            return True
        if self.is_call and self.is_complete:
            return not piece.strip()
        self._input.append(piece)
        self._has_whole_input = self._has_whole_input or self._brackets.feed(piece) is not None
        return True

    def as_content(self) -> Mapping[str, Any]:
        """Return the fields that the block started with, and all text that has arrived so far."""
        return {**self._fields, "text": (as_text(self._fields.get("text")) or "") + "".join(self._texts)}

    def as_document(self) -> Mapping[str, Any]:
        """Return the whole block as it appears in an answer that is not streamed."""
        if self.is_call or self._input:
            _, _, arguments = self.fields
            return {**self._fields, "input": arguments}
        block = {
            **self._fields,
            **{key: (as_text(self._fields.get(key)) or "") + text for key, text in self._thought.items()},
        }
        if self._citations:
            block["citations"] = [*as_objects(self._fields.get("citations")), *self._citations]
        return {**block, **({"text": self.as_content()["text"]} if self._texts else {})}
