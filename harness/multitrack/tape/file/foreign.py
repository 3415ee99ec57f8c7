"""Read cassettes from other recorders: vcrpy, cassetter, and tools that build on vcrpy.

The format is vcrpy's (https://vcrpy.readthedocs.io). vcrpy's own code is not used, because it imports every HTTP
library that is installed, and accepts values of any type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.nesting import is_nested_too_deeply
from multitrack.tape.file.value_checks import (
    format_value,
    require_mapping,
    require_status,
    require_text,
    require_url,
)
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.canonical_body import decode_text
from multitrack.tape.normalize.content_encoding import DecodedTooLarge, DecoderNotInstalled, decode_body
from multitrack.tape.reencoding import is_accepted, split_encodings

# Headers that might not fit the stored body. A replayed response gets new ones, which fit the body that the client
# receives.
_REPLACED_HEADERS = frozenset({"content-encoding", "transfer-encoding"})
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_NOT_UNDERSTOOD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class NotSupported(ValueError):
    """The cassette contains messages that only the recorder that wrote the cassette can replay."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class BadInteraction(ValueError):
    """An interaction is invalid.

    Args:
        reason: What is wrong with the interaction.
        key: The key of the list that contains the interaction.
        index: The index of the interaction in this list.
        position: The position of the interaction in the cassette, from 0.
        advice: How to fix the problem. None if the file is damaged.
    """

    def __init__(self, reason: str, key: str, index: int, position: int, advice: str | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key
        self.index = index
        self.position = position
        self.advice = advice


def read(document: Mapping[str, Any]) -> Cassette:
    """Convert another recorder's parsed cassette to a Multitrack cassette.

    Args:
        document: The parsed file, which has a list of ``interactions``.

    Raises:
        BadInteraction: An interaction is invalid.
        NotSupported: Only the recorder that wrote the cassette can replay it.
    """
    if document.get("ws_interactions"):
        raise NotSupported(
            "the file contains WebSocket messages in cassetter's format, which only cassetter can replay",
            "replay this test with cassetter, or use another cassette for it",
        )
    found: list[Interaction] = []
    times: list[datetime] = []
    for key, read_item in (("interactions", _read_interaction), ("grpc_interactions", _read_grpc_call)):
        items = document.get(key) or []
        for index, item in enumerate(items if isinstance(items, list) else [items]):
            advice: str | None = None
            try:
                found.append(read_item(item))
                times += _find_times(item)
                continue
            except DecoderNotInstalled as error:
                reason = f"the content encoding {error.encoding} requires another package"
                advice = f"to read it: {error.command}"
            except KeyError as error:
                reason = f"it has no {error}"
            except RecursionError:
                reason = "nested too deeply"
            except _NOT_UNDERSTOOD as error:
                reason = str(error)
            raise BadInteraction(reason, key, index, len(found), advice)
    return Cassette(tuple(found), {"recorded_at": max(times).isoformat()} if times else {})


def _read_interaction(item: Any) -> Interaction:
    item = require_mapping(item, "the interaction")
    request, response = (dict(require_mapping(item[key], f"the {key}")) for key in ("request", "response"))
    if "status_code" in response:
        # until version 6.0, vcrpy wrote httpx responses in this form
        response = {**response, "status": {"code": response["status_code"]}, "body": response["content"]}
    status = response["status"]
    if isinstance(status, int):
        contents = [_read_cassetter_body(message) for message in (request, response)]
        status = {"code": status}
    else:
        contents = [_read_request_body(request), _read_response_body(response)]
    status = require_mapping(status, "the status")
    sent, answered = _read_headers(request["headers"], only_first=True), _read_headers(response["headers"])
    body, stored = map(_to_bytes, contents)
    body, _ = _decode(_join_http_chunks(body, sent), sent, "request")
    received, encoding = _decode(stored, answered, "response")
    for content, name in ((body, "request"), (received, "response")):
        if is_nested_too_deeply(content):
            raise ValueError(f"the JSON in the body of the {name} is nested too deeply")
    accept_encoding = next((value for name, value in sent if name == "accept-encoding"), None)
    return Interaction(
        Request(_read_method(request["method"]), require_url(request["uri"]), sent, body),
        Response(
            _read_code(status["code"]),
            _read_message(status.get("message")),
            tuple(header for header in answered if header[0] not in _REPLACED_HEADERS),
            received,
            encoding=encoding,
            is_encoding_requested=is_accepted(encoding, accept_encoding),
            encoded_body=stored if encoding else None,
        ),
    )


def _read_method(value: Any) -> str:
    method = require_text(value, "the method")
    if not method.strip():
        raise ValueError("the method is empty")
    return method.upper()


def _read_code(value: Any) -> int:
    # some serializers write numbers as text
    return require_status(int(value) if isinstance(value, str) and re.fullmatch("[0-9]{3}", value) else value)


def _read_message(value: Any) -> str:
    return "" if value is None else require_text(value, "the status message")


def _read_request_body(request: Mapping[str, Any]) -> str | bytes:
    content = request["body"] if "parsed_body" not in request else request["parsed_body"]
    # for aiohttp, vcrpy only stores the value that the caller passed for JSON or for a form
    if "parsed_body" in request or isinstance(content, dict | list | int | float):
        return _format_json(content)
    return _require_content(content)


def _format_json(document: Any) -> str:
    text = json.dumps(document, ensure_ascii=False, default=_format_bytes)
    # half of a surrogate pair can only be written as an escape
    return text if _is_encodable(text) else json.dumps(document, default=_format_bytes)


def _format_bytes(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"a body contains {format_value(value)}, which is not a JSON value")
    return decode_text(value)


def _read_response_body(response: Mapping[str, Any]) -> str | bytes:
    # some recorders store the JSON document as values in the file, which are easier to read than a string
    if "parsed_body" in response:
        return _format_json(response["parsed_body"])
    content = response["body"]
    if isinstance(content, Mapping):
        content = content.get("string", content.get("base64_string"))
    return _require_content(content)


def _require_content(content: Any) -> str | bytes:
    if isinstance(content, str | bytes):
        return content
    if content is None:
        return b""
    raise TypeError(f"a body is {format_value(content)}, which is neither text nor bytes")


def _read_cassetter_body(message: Mapping[str, Any]) -> str | bytes:
    # TOML has no null, so the file contains JSON as text
    is_toml = "body_type" in message
    if is_toml:
        kind, content = message["body_type"], message.get("body_content")
    else:
        kind, content = message["body"]["type"], message["body"].get("content")
    match kind:
        case "none":
            return b""
        case "text":
            return require_text(content, "a body")
        case "binary":
            return bytes.fromhex(require_text(content, "a body"))
        case "json":
            return require_text(content, "a body") if is_toml else _format_json(content)
    raise ValueError(f"the body type {format_value(kind)} is not supported")


def _read_grpc_call(item: Any) -> Interaction:
    from multitrack.tape.file import cassetter_grpc  # needs protobuf, which is installed with gRPC

    return cassetter_grpc.read(require_mapping(item, "the call"))


def _find_times(item: Mapping[str, Any]) -> list[datetime]:
    """Return a list with the time when ``item`` was recorded. The list is empty if this time is unknown.

    The recorder's own time is preferred to the ``date`` header of the response.
    """
    try:
        if time := item.get("recorded_at"):
            found = datetime.fromisoformat(str(time))
        else:
            headers = _read_headers(item["response"].get("headers", {}))
            found = parsedate_to_datetime(next(value for name, value in headers if name == "date"))
        return [found if found.tzinfo else found.replace(tzinfo=UTC)]
    except (StopIteration, *_NOT_UNDERSTOOD):
        return []  # the time is only used to warn about old cassettes


def _read_headers(headers: Any, *, only_first: bool = False) -> Headers:
    """Return the headers of a message.

    With ``only_first``, return only the first value of each header, as vcrpy does for requests.
    """
    found: list[tuple[str, str]] = []
    for name, values in require_mapping(headers, "the value of headers").items():
        listed = values if isinstance(values, list | tuple) else [values]
        found += [(_read_header(name).lower(), _read_header(value)) for value in listed[: 1 if only_first else None]]
    return tuple(found)


def _read_header(value: Any) -> str:
    # YAML reads a number without quotes as a number, and some clients pass headers as bytes
    if value is None or isinstance(value, int | float):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return require_text(value, "a header")


def _join_http_chunks(content: bytes, headers: Headers) -> bytes:
    """Return ``content`` without HTTP's chunk sizes, which old versions of vcrpy stored for bodies from iterators."""
    if ("transfer-encoding", "chunked") not in headers:
        return content
    chunks: list[bytes] = []
    offset = 0
    while size := _SIZE.match(content, offset):
        end = size.end() + int(size[1], 16)
        if end == size.end():
            return b"".join(chunks)
        chunks.append(content[size.end() : end])
        offset = end + len(b"\r\n")
    return content


def _to_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _decode(content: bytes, headers: Headers, name: str) -> tuple[bytes, str]:
    """Return the decoded ``content``, and the content encoding that was removed (empty if there was none).

    Raises:
        ValueError: The body is a compression bomb. The message contains ``name``, which is "request" or "response".
        DecoderNotInstalled: The library for the encoding is not installed.
    """
    header = next((value for name, value in headers if name == "content-encoding"), None)
    encoding = ", ".join(split_encodings(header))
    try:
        return decode_body(content, encoding), encoding if content else ""
    except DecoderNotInstalled:
        if not _is_text(content):
            raise
    except DecodedTooLarge as error:
        raise ValueError(f"the body of the {name}: {error}") from error
    except ValueError:
        pass
    # some recorders decode the body and keep the header
    return content, ""


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
