"""The base class of the decoders for streamed answers."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.framing import FrameParser
from multitrack.wires.lenient_json import error_message
from multitrack.wires.sse import ServerSentEvent


class StreamDecoder(ABC):
    """A decoder for a streamed answer. It returns each tool call as soon as the call is complete.

    Pass the stream to ``feed`` as bytes, in pieces of any size, or to ``feed_chunk`` as parsed chunks. Call ``close``
    at the end.

    Each call is returned once, in the order of the answer, so a complete call is only returned after all calls before
    it. The returned calls are the first calls of ``answer``, unchanged. If the stream ends in the middle of a call,
    that call is not returned, but ``answer`` contains it.
    """

    def __init__(self) -> None:
        self._frames = FrameParser()
        self._error: str | None = None
        self.has_ended = False
        """True if the stream's own end mark has arrived. Nothing that matters follows it."""

    def feed(self, data: bytes) -> list[ToolCall]:
        """Return the calls that ``data`` completes."""
        return [call for frame in self._frames.feed(data) for call in self._decode_frame(frame)]

    def close(self) -> list[ToolCall]:
        """End the stream. Return the calls that its end completes."""
        calls = [call for frame in self._frames.close() for call in self._decode_frame(frame)]
        return calls + (self._complete_open_calls() if self.answer.is_complete else [])

    @abstractmethod
    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        """Read one parsed chunk. Return the calls that it completes."""

    @property
    @abstractmethod
    def answer(self) -> WireAnswer:
        """The answer as far as it has arrived, including calls that are still incomplete."""

    @property
    @abstractmethod
    def document(self) -> Mapping[str, Any]:
        """The answer so far, in the form of an answer that is not streamed. ``WireFormat.continue_conversation`` reads
        it.
        """

    @abstractmethod
    def _complete_open_calls(self) -> list[ToolCall]:
        """Complete the calls that are still open at the end of a complete stream, and return them."""

    def _decode_frame(self, frame: ServerSentEvent) -> list[ToolCall]:
        data = frame.data.strip()
        if data == "[DONE]":
            self.has_ended = True
            return self._complete_open_calls()
        if not data:
            return []
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            chunk = None
        if not isinstance(chunk, dict):
            self._error = self._error or f"an event is not a JSON object: {data[:200]!r}"
            return []
        if frame.name == "error":
            self._error = self._error or error_message(chunk.get("error") or chunk)
            return []
        if len(chunk) == 1 and (name := next(iter(chunk))).endswith("Exception"):
            # an exception from an AWS event stream, which a cassette stores as text
            message = error_message(chunk[name])
            self._error = self._error or (f"{name}: {message}" if message else name)
            return []
        return self.feed_chunk(chunk)
