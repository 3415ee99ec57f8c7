"""Server-sent events, from bytes cut anywhere.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, but for one
thing: an event that the end of the stream cuts off counts, since several providers leave out its newline.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

_LINE_END = re.compile("\r\n|\r|\n")


class ServerSentEvent(NamedTuple):
    """One event: its name, empty if it has none, and its data."""

    name: str
    data: str


class SseParser:
    """Takes bytes as they arrive and gives the events that they complete."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._line: list[str] = []
        self._after_cr = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that ``data`` completes."""
        return self._read(self._decode(data))

    def close(self) -> list[ServerSentEvent]:
        """The last event, if the end of the stream cut it off."""
        return self._read(self._decode(b"", True) + "\n\n")

    def _read(self, text: str) -> list[ServerSentEvent]:
        if self._after_cr and text:
            # a CRLF cut in two would else be two line ends, and end an event in its middle
            text = text.removeprefix("\n")
            self._after_cr = False
        if not text:
            return []
        self._after_cr = text.endswith("\r")
        *ended, rest = _LINE_END.split(text)
        if ended:
            self._line.append(ended[0])
            ended[0] = "".join(self._line)
            self._line.clear()
        if rest:
            self._line.append(rest)
        return [event for line in ended if (event := self._take(line)) is not None]

    def _take(self, line: str) -> ServerSentEvent | None:
        if not line:
            event = ServerSentEvent(self._name, "\n".join(self._data)) if self._data else None
            self._name = ""
            self._data.clear()
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        return None
