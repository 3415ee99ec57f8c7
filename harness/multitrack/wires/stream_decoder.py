"""What the decoders of streamed answers have in common."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from multitrack.toolcall import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.framing import FrameParser
from multitrack.wires.lenient_json import error_message
from multitrack.wires.sse import ServerSentEvent


class StreamDecoder(ABC):
    """Takes a streamed answer as it arrives and gives each call the moment it is complete.

    Feed it bytes cut anywhere (`feed`) or the parsed chunks (`take`), then `close` it. A call given early has
    as ``index`` its position in the order of arrival, which `answer` corrects where the provider counts
    otherwise. Calls cut off by the end are never given, but stand in `answer`.
    """

    def __init__(self) -> None:
        self._frames = FrameParser()
        self._error: str | None = None
        self.has_ended = False
        """Whether the stream's own end mark has come, behind which there is nothing to wait for."""

    def feed(self, data: bytes) -> list[ToolCall]:
        """The calls that ``data`` completes."""
        return [call for frame in self._frames.feed(data) for call in self._frame(frame)]

    def close(self) -> list[ToolCall]:
        """The stream is over. The calls that its last frame completes."""
        return [call for frame in self._frames.close() for call in self._frame(frame)]

    @abstractmethod
    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        """The calls that one parsed chunk completes."""

    @property
    @abstractmethod
    def answer(self) -> WireAnswer:
        """The answer as far as it has arrived, with calls that are still incomplete as they stand."""

    def _done(self) -> list[ToolCall]:
        """The stream's own end mark came."""
        return []

    def _frame(self, frame: ServerSentEvent) -> list[ToolCall]:
        data = frame.data.strip()
        if data == "[DONE]":
            self.has_ended = True
            return self._done()
        if not data:
            return []
        try:
            chunk = json.loads(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            self._error = self._error or f"an event that is no JSON object: {data[:200]!r}"
            return []
        if frame.name == "error":
            self._error = self._error or error_message(chunk.get("error") or chunk)
            return []
        return self.feed_chunk(chunk)
