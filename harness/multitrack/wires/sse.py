"""Parse server-sent events from bytes that arrive in chunks of any size.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation with one exception:
the last event does not need a blank line after it, because several providers leave that line out.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

_LINE_END = re.compile("\r\n|\r|\n")


class ServerSentEvent(NamedTuple):
    """A server-sent event: its name and its data. The name is empty if the event has none."""

    name: str
    data: str


class SseParser:
    """A parser for server-sent events whose bytes arrive in pieces."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._line: list[str] = []
        self._after_cr = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that ``data`` completes."""
        return self._parse_text(self._decode(data))

    def close(self) -> list[ServerSentEvent]:
        """Return the event that was still open when the stream ended, if any."""
        return self._parse_text(self._decode(b"", True) + "\n\n")

    def _parse_text(self, text: str) -> list[ServerSentEvent]:
        if self._after_cr and text:
            # Otherwise a CRLF cut in two would count as two line ends, and would end an event in the middle.
            text = text.removeprefix("\n")
            self._after_cr = False
        if not text:
            return []
        self._after_cr = text.endswith("\r")
        *lines, rest = _LINE_END.split(text)
        if lines:
            self._line.append(lines[0])
            lines[0] = "".join(self._line)
            self._line.clear()
        if rest:
            self._line.append(rest)
        return [event for line in lines if (event := self._add_line(line)) is not None]

    def _add_line(self, line: str) -> ServerSentEvent | None:
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
