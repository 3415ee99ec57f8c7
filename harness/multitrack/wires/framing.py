"""The frames of a streamed answer: server-sent events, the items of a JSON array, or one JSON document.

One endpoint may use any of the three: Gemini streams a JSON array unless asked for ``alt=sse``, and an error
comes as a bare document where a stream was asked for.
"""

from __future__ import annotations

import codecs
from typing import Protocol

from multitrack.wires import sse
from multitrack.wires.brackets import BracketCounter
from multitrack.wires.sse import ServerSentEvent


class _Reader(Protocol):
    def feed(self, data: bytes) -> list[ServerSentEvent]: ...
    def close(self) -> list[ServerSentEvent]: ...


class FrameParser:
    """Takes bytes as they arrive and gives the frames that they complete."""

    def __init__(self) -> None:
        self._head = b""
        self._reader: _Reader | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The frames that ``data`` completes."""
        if self._reader is None:
            self._head += data
            start = self._head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
            if not start or codecs.BOM_UTF8.startswith(self._head):
                return []
            self._reader = _JsonItems() if start in (b"[", b"{") else sse.SseParser()
            data = self._head
        return self._reader.feed(data)

    def close(self) -> list[ServerSentEvent]:
        """The last frame, if the end of the stream cut it off."""
        return self._reader.close() if self._reader else []


class _JsonItems:
    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._item: list[str] = []
        self._balance = BracketCounter()

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        text = self._decode(data)
        events: list[ServerSentEvent] = []
        position = 0
        while True:
            if not self._item:
                # brackets of the array, commas and white space stand between the items
                position = text.find("{", position)
                if position < 0:
                    return events
            end = self._balance.feed(text, position)
            self._item.append(text[position:end])
            if end is None:
                return events
            events.append(ServerSentEvent("", "".join(self._item)))
            self._item.clear()
            self._balance = BracketCounter()
            position = end

    def close(self) -> list[ServerSentEvent]:
        cut = "".join(self._item)
        return [ServerSentEvent("", cut)] if cut else []
