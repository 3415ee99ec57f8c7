"""Read the chunks in the text of a recorded stream, and write other chunks into its frames.

A frame is a server-sent event, an item of a JSON array, or a message of an AWS event stream (see
``multitrack.wires.framing``).
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from multitrack.wires.brackets import BracketCounter
from multitrack.wires.event_stream import parse_message, rewrite_message, split_messages
from multitrack.wires.json_rewriting import rewrite_json


class StreamChunk(NamedTuple):
    """A chunk of a stream to encode.

    Attributes:
        document: The parsed JSON. None for a frame without a JSON object, such as ``[DONE]`` or a comment.
        frame: The position of the recorded frame into which the document is written. Several chunks can have the same
            frame: each chunk is written into a copy of it. None if there is no recorded stream.
    """

    document: dict[str, Any] | None
    frame: int | None = None


class StreamText(ABC):
    """The frames of a recorded stream."""

    @property
    @abstractmethod
    def chunks(self) -> list[StreamChunk]:
        """The recorded chunks, one for each frame."""

    @abstractmethod
    def write(self, chunks: Iterable[StreamChunk]) -> list[bytes]:
        """Return the frames for ``chunks``. An unchanged chunk keeps the bytes of its frame."""


def parse_stream(body: bytes) -> StreamText:
    """Return the frames of ``body``, the complete body of a streamed response.

    Raises:
        ValueError: If ``body`` is neither an AWS event stream nor UTF-8 text.
    """
    if body[:1] == b"\0":
        return _MessageStream(body)
    text = body.decode()
    return _ItemStream(text) if text.lstrip("\ufeff \t\r\n")[:1] in ("[", "{") else _EventStream(text)


def _parse_object(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


# An event is any number of lines and the empty line that ends it.
_EVENT = re.compile(r"(?:[^\r\n]+(?:\r\n|\r|\n|\Z))*(?:\r\n|\r|\n|\Z)")
_DATA_LINE = re.compile(r"(\A\ufeff?|(?<=[\r\n]))data:( ?)([^\r\n]*)(\r\n|\r|\n|\Z)")
_NAME_LINE = re.compile(r"(?:\A\ufeff?|(?<=[\r\n]))event: ?([^\r\n]*)")


class _EventStream(StreamText):
    def __init__(self, text: str) -> None:
        self._events = [event for event in _EVENT.findall(text) if event]

    @property
    def chunks(self) -> list[StreamChunk]:
        return [StreamChunk(_parse_event(event), frame) for frame, event in enumerate(self._events)]

    def write(self, chunks: Iterable[StreamChunk]) -> list[bytes]:
        return [_rewrite_event(self._events[chunk.frame or 0], chunk.document).encode() for chunk in chunks]


def _parse_event(event: str) -> dict[str, Any] | None:
    name = _NAME_LINE.search(event)
    # The decoders read the data of such an event as an error, whatever its shape.
    return None if name is not None and name[1] == "error" else _parse_object(_read_data(event))


def _read_data(event: str) -> str:
    return "\n".join(line[3] for line in _DATA_LINE.finditer(event))


def _rewrite_event(event: str, document: dict[str, Any] | None) -> str:
    recorded = _parse_event(event)
    if document is None or recorded is None:
        return event
    data = iter([rewrite_json(_read_data(event), document)])

    def rewrite_line(line: re.Match[str]) -> str:
        start, space, _, end = line.groups()
        text = next(data, None)
        return "" if text is None else start + "".join(f"data:{space}{piece}{end}" for piece in text.split("\n"))

    def rewrite_name(line: re.Match[str]) -> str:
        return f"{line[0].removesuffix(line[1])}{document['type']}"

    event = _DATA_LINE.sub(rewrite_line, event)
    # OpenAI and Anthropic repeat the type of the chunk as the name of the event.
    is_named = (name := _NAME_LINE.search(event)) is not None and name[1] == recorded.get("type") and name[1]
    return _NAME_LINE.sub(rewrite_name, event, count=1) if is_named and "type" in document else event


class _ItemStream(StreamText):
    def __init__(self, text: str) -> None:
        spans = list(_find_items(text))
        self._items = [text[start:end] for start, end in spans]
        self._opening = text[: spans[0][0]] if spans else text
        self._closing = text[spans[-1][1] :] if spans else ""
        if len(spans) > 1:
            self._separator = text[spans[0][1] : spans[1][0]]
        else:
            self._separator = ",\r\n" if "[" in self._opening else "\n"

    @property
    def chunks(self) -> list[StreamChunk]:
        return [StreamChunk(_parse_object(item), frame) for frame, item in enumerate(self._items)]

    def write(self, chunks: Iterable[StreamChunk]) -> list[bytes]:
        items = [
            item if chunk.document is None else rewrite_json(item, chunk.document)
            for chunk in chunks
            for item in [self._items[chunk.frame or 0]]
        ]
        frames = [(self._separator if position else self._opening) + item for position, item in enumerate(items)]
        return [frame.encode() for frame in (*(frames or [self._opening]), self._closing) if frame]


def _find_items(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end offsets of each complete JSON object."""
    start = text.find("{")
    while start >= 0 and (end := BracketCounter().feed(text, start)) is not None:
        yield start, end
        start = text.find("{", end)


class _MessageStream(StreamText):
    def __init__(self, body: bytes) -> None:
        self._messages = split_messages(body)

    @property
    def chunks(self) -> list[StreamChunk]:
        return [StreamChunk(_parse_message(message), frame) for frame, message in enumerate(self._messages)]

    def write(self, chunks: Iterable[StreamChunk]) -> list[bytes]:
        return [_rewrite_message(self._messages[chunk.frame or 0], chunk.document) for chunk in chunks]


def _parse_message(message: bytes) -> dict[str, Any] | None:
    event = parse_message(message)
    return None if event is None or event.name == "error" else _parse_object(event.data)


def _rewrite_message(message: bytes, document: dict[str, Any] | None) -> bytes:
    return message if document is None or document == _parse_message(message) else rewrite_message(message, document)
