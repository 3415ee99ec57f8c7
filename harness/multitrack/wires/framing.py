"""Split a streamed answer into frames: server-sent events, items of a JSON array, one JSON document, or AWS's events.

The format of the frames depends on the endpoint and on the response. Gemini streams server-sent events if the request
has ``alt=sse``, and a JSON array otherwise. Providers send an error as a plain JSON document even if the request
asked for a stream.
"""

from __future__ import annotations

import codecs
from typing import Protocol

from multitrack.wires.brackets import BracketCounter
from multitrack.wires.event_stream import EventStreamParser
from multitrack.wires.sse import ServerSentEvent, SseParser


class _Parser(Protocol):
    def feed(self, data: bytes) -> list[ServerSentEvent]: ...
    def close(self) -> list[ServerSentEvent]: ...


class FrameParser:
    """A parser that splits bytes into frames as they arrive."""

    def __init__(self) -> None:
        self._head = b""
        self._parser: _Parser | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the frames that ``data`` completes."""
        if self._parser is None:
            self._head += data
            start = self._head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
            if not start or codecs.BOM_UTF8.startswith(self._head):
                return []
            self._parser = _create_parser(start)
            data = self._head
        return self._parser.feed(data)

    def close(self) -> list[ServerSentEvent]:
        """Return the frame that was still open when the stream ended, if any."""
        return self._parser.close() if self._parser else []


def _create_parser(start: bytes) -> _Parser:
    match start:
        case b"[" | b"{":
            return _JsonItemParser()
        case b"\0":
            # A message of an event stream begins with its length in four bytes. Below 16 MiB, the first one is 0.
            return EventStreamParser()
        case _:
            return SseParser()


class _JsonItemParser:
    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._item: list[str] = []
        self._brackets = BracketCounter()

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        text = self._decode(data)
        events: list[ServerSentEvent] = []
        position = 0
        while True:
            if not self._item:
                # Skip the brackets of the array, and the commas and whitespace between its items.
                position = text.find("{", position)
                if position < 0:
                    return events
            end = self._brackets.feed(text, position)
            self._item.append(text[position:end])
            if end is None:
                return events
            events.append(ServerSentEvent("", "".join(self._item)))
            self._item.clear()
            self._brackets = BracketCounter()
            position = end

    def close(self) -> list[ServerSentEvent]:
        unfinished = "".join(self._item)
        return [ServerSentEvent("", unfinished)] if unfinished else []
