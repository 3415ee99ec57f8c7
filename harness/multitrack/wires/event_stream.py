"""Parse and write AWS event streams, the binary format of Amazon Bedrock's streamed answers.

A message has a prelude, headers, a payload, and a checksum of these three parts. The prelude consists of the length
of the message, the length of the headers, and a checksum of both lengths:
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from multitrack.wires.lenient_json import as_text
from multitrack.wires.sse import ServerSentEvent

_PRELUDE, _CHECKSUM = 12, 4
# the sizes of header values by their type; types whose values begin with their length are not listed
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


class EventStreamParser:
    """A parser for AWS event-stream messages whose bytes arrive in pieces.

    The data of each event is a JSON object in the form that botocore returns: the only key is the name of the event,
    and its value is the payload. An exception without a type becomes an event with the name ``error``.

    For ``InvokeModelWithResponseStream``, the payload contains a chunk of the model's own answer, and the data of the
    event is that chunk alone.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_broken = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that ``data`` completes."""
        self._buffer += data
        events: list[ServerSentEvent | None] = []
        while not self._is_broken and len(self._buffer) >= _PRELUDE:
            length = int.from_bytes(self._buffer[:4], "big")
            if length < _PRELUDE + _CHECKSUM or not _has_checksum(self._buffer[:_PRELUDE]):
                self._is_broken = True
                events.append(_create_error("the event stream is damaged"))
            elif len(self._buffer) < length:
                break
            else:
                message = bytes(self._buffer[:length])
                del self._buffer[:length]
                events.append(_parse_message(message))
        return [event for event in events if event is not None]

    def close(self) -> list[ServerSentEvent]:
        """Return an empty list, because an incomplete message has no readable payload."""
        return []


def _parse_message(message: bytes) -> ServerSentEvent | None:
    if not _has_checksum(message):
        return _create_error("the event stream is damaged")
    end = _find_payload(message)
    headers = _parse_headers(message[_PRELUDE:end])
    payload = message[end:-_CHECKSUM].decode("utf-8", "replace")
    try:
        document: Any = json.loads(payload or "{}")
    except ValueError:
        document = payload
    fields = document if isinstance(document, dict) else {}
    match headers.get(":message-type"):
        case "exception" | "error":
            kind = headers.get(":exception-type") or headers.get(":error-code") or "error"
            if kind.endswith("Exception"):
                return ServerSentEvent("", json.dumps({kind: fields}))
            text = as_text(fields.get("message")) or headers.get(":error-message")
            return _create_error(f"{kind}: {text}" if text else kind)
        case "event" if isinstance(fields.get("bytes"), str):
            try:
                inner = base64.b64decode(fields["bytes"], validate=True).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                return _create_error("a chunk of the event stream is not base64")
            return ServerSentEvent("", inner)
        case _:
            return ServerSentEvent("", json.dumps({headers.get(":event-type", ""): document}))


def _create_error(message: str) -> ServerSentEvent:
    return ServerSentEvent("error", json.dumps({"error": {"message": message}}))


def _has_checksum(content: bytes | bytearray) -> bool:
    return binascii.crc32(content[:-_CHECKSUM]) == int.from_bytes(content[-_CHECKSUM:], "big")


def _parse_headers(content: bytes) -> dict[str, str]:
    """Return the headers whose values are text."""
    headers = {}
    position = 0
    while position < len(content):
        end = position + 1 + content[position]
        name, kind = content[position + 1 : end].decode("utf-8", "replace"), content[end] if end < len(content) else -1
        position = end + 1
        if kind in (_BYTES, _STRING):
            size = int.from_bytes(content[position : position + 2], "big")
            position += 2
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            break
        if kind == _STRING:
            headers[name] = content[position : position + size].decode("utf-8", "replace")
        position += size
    return headers


def split_messages(content: bytes) -> list[bytes]:
    """Return the messages of an event stream. The last message can be incomplete."""
    messages = []
    while content:
        length = int.from_bytes(content[:4], "big")
        # a damaged length must not stop the loop
        length = length if length >= _PRELUDE + _CHECKSUM else len(content)
        messages.append(content[:length])
        content = content[length:]
    return messages


def parse_headers(message: bytes) -> dict[str, str]:
    """Return the headers of a complete message. Headers whose values are not text are left out.

    Raises:
        ValueError: If the message is damaged.
    """
    if len(message) < _PRELUDE + _CHECKSUM or not (_has_checksum(message[:_PRELUDE]) and _has_checksum(message)):
        raise ValueError("the event stream is damaged")
    return _parse_headers(message[_PRELUDE : _find_payload(message)])


def split_payload(message: bytes) -> bytes:
    """Return the payload of a whole message."""
    return message[_find_payload(message) : -_CHECKSUM]


def _find_payload(message: bytes) -> int:
    return _PRELUDE + int.from_bytes(message[4:8], "big")


def parse_message(message: bytes) -> ServerSentEvent | None:
    """Return the event of a message, as ``EventStreamParser`` does. None if the message is cut off or has no event."""
    is_whole = len(message) >= _PRELUDE + _CHECKSUM and int.from_bytes(message[:4], "big") == len(message)
    return _parse_message(message) if is_whole else None


def rewrite_message(message: bytes, document: Mapping[str, Any]) -> bytes:
    """Return a copy of ``message`` with ``document`` as its event. ``message`` must be complete."""
    # A program that only decodes answers does not need this module.
    from multitrack.wires.json_rewriting import rewrite_json

    end = _find_payload(message)
    headers, payload = message[_PRELUDE:end], message[end:-_CHECKSUM].decode() or "{}"
    fields = json.loads(payload)
    if isinstance(fields, dict) and isinstance(fields.get("bytes"), str):
        inner = rewrite_json(base64.b64decode(fields["bytes"]).decode(), document)
        return _join_message(headers, rewrite_json(payload, {**fields, "bytes": _encode_base64(inner)}).encode())
    [(name, value)] = document.items()
    recorded = _write_header(":event-type", _parse_headers(headers).get(":event-type", ""))
    headers = headers.replace(recorded, _write_header(":event-type", name))
    return _join_message(headers, rewrite_json(payload, value).encode())


def _encode_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return the bytes of one message in an event stream."""
    return _join_message(b"".join(_write_header(name, value) for name, value in headers.items()), payload)


def _join_message(headers: bytes, payload: bytes) -> bytes:
    lengths = (_PRELUDE + len(headers) + len(payload) + _CHECKSUM).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    return _add_checksum(_add_checksum(lengths) + headers + payload)


def _write_header(name: str, value: str) -> bytes:
    name_bytes, value_bytes = name.encode(), value.encode()
    return bytes([len(name_bytes)]) + name_bytes + bytes([_STRING]) + len(value_bytes).to_bytes(2, "big") + value_bytes


def _add_checksum(content: bytes) -> bytes:
    return content + binascii.crc32(content).to_bytes(4, "big")
