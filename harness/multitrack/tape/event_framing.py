"""Convert AWS event streams to lines of JSON for a cassette, and back to binary messages for a replay.

Each line is the document of one event, so that it can be read and redacted. Replay computes new checksums for the
messages.

A message can contain its document in two ways, called framings: ``EVENTS`` and ``CHUNKS``. The cassette stores the
name of the framing in the list of the body's content encodings. This name never appears in a header.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from multitrack.wires.event_stream import parse_headers, split_messages, split_payload, write_message
from multitrack.wires.json_rewriting import format_json

EVENTS, CHUNKS = "aws-events", "aws-chunks"
"""The framings: events whose payload is their document, and chunks whose payload has the model's document in base64.

``ConverseStream`` sends ``aws-events``, ``InvokeModelWithResponseStream`` sends ``aws-chunks``.
"""
FRAMINGS = frozenset({EVENTS, CHUNKS})

_CONTENT_TYPE = "application/vnd.amazon.eventstream"
_JSON = "application/json"
_LONGEST_HEADER = 0xFFFF
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def is_framed(content_type: str | None) -> bool:
    """Return whether a body with this content type is an AWS event stream."""
    return (content_type or "").partition(";")[0].strip().lower() == _CONTENT_TYPE


def decode_events(parts: Iterable[bytes], *, is_complete: bool) -> tuple[list[bytes], str]:
    """Decode an AWS event stream that arrived in ``parts``. Return its lines of JSON, and its framing.

    The returned list has one item for each part: the lines of the messages that the part completes. If the stream is
    incomplete, a truncated message at its end is left out.

    Raises:
        ValueError: The stream is damaged, or it has a message that a line cannot represent.
    """
    decoded: list[bytes] = []
    framings: set[str] = set()
    waiting = b""
    for part in parts:
        *whole, waiting = [*split_messages(waiting + part), b""]
        if whole and len(whole[-1]) < _length(whole[-1]):
            waiting = whole.pop()
        lines = []
        for message in whole:
            document, framing = _read_message(message)
            framings |= {framing} if framing else set()
            lines.append(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        decoded.append(b"".join(lines))
    if (waiting and is_complete) or len(framings) > 1:
        raise ValueError("the event stream cannot be stored as text")
    return decoded, next(iter(framings), EVENTS)


def is_damaged(body: bytes) -> bool:
    """Return whether ``body``, an event stream as it was received, contains a complete but damaged message."""
    for message in split_messages(body):
        if len(message) < _length(message):
            # the stream ended within this message
            return False
        try:
            parse_headers(message)
        except ValueError:
            return True
    return False


def _length(message: bytes) -> int:
    # the first four bytes are the length of the message
    return int.from_bytes(message[:4], "big") if len(message) >= 4 else 4


def _read_message(message: bytes) -> tuple[Any, str | None]:
    """Return the JSON document in ``message``, and the framing: ``EVENTS`` or ``CHUNKS``.

    The framing is None for an exception, because exceptions have the same form in both framings.
    """
    headers = parse_headers(message)
    payload = json.loads(split_payload(message).decode() or "{}")
    name = headers.get(":event-type") or headers.get(":exception-type")
    if not isinstance(payload, dict) or not name or headers.get(":content-type", _JSON) != _JSON:
        raise ValueError("the message is not an event with a JSON payload")
    match headers.get(":message-type"):
        case "exception" if is_exception({name: payload}):
            return {name: payload}, None
        case "event" if isinstance(payload.get("bytes"), str):
            document = json.loads(base64.b64decode(payload["bytes"], validate=True).decode())
            if not isinstance(document, dict) or is_exception(document):
                raise ValueError("the chunk is not a JSON object")
            return document, CHUNKS
        case "event" if not is_exception({name: payload}):
            return {name: payload}, EVENTS
    raise ValueError("the message is neither an event nor an exception")


def is_exception(document: Any) -> bool:
    """Return whether a document is an exception: its only key is the exception's name."""
    return isinstance(document, dict) and len(document) == 1 and next(iter(document)).endswith("Exception")


def encode_events(chunks: Sequence[bytes], framing: str) -> Iterator[bytes]:
    """Convert the lines in ``chunks`` to messages, and yield the messages of each chunk.

    A line belongs to the chunk that completes it.
    """
    waiting = b""
    for position, chunk in enumerate(chunks, start=1):
        *lines, waiting = (waiting + chunk).split(b"\n")
        if position == len(chunks):
            # an edited cassette may lack the last line break
            lines, waiting = [*lines, waiting], b""
        yield b"".join(_write_line(line, framing) for line in lines if line.strip())


def _fits_header(name: str) -> bool:
    """Return whether ``name`` fits into a message's header. An edited cassette may contain a name that does not fit."""
    return len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_HEADER and not _SURROGATE.search(name)


def _write_line(line: bytes, framing: str) -> bytes:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        document = None
    is_event = isinstance(document, dict) and len(document) == 1 and _fits_header(next(iter(document)))
    if is_event and is_exception(document):
        kind, name = "exception", ":exception-type"
    elif framing == CHUNKS or not is_event:
        payload = json.dumps({"bytes": base64.b64encode(line).decode()}).encode()
        return write_message({":event-type": "chunk", ":content-type": _JSON, ":message-type": "event"}, payload)
    else:
        kind, name = "event", ":event-type"
    [(value, payload_document)] = document.items()
    payload = format_json(payload_document, separators=(",", ":")).encode()
    return write_message({name: value, ":content-type": _JSON, ":message-type": kind}, payload)
