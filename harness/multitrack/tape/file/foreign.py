"""Read cassettes of other recorders.

The code of vcrpy reads cassettes in vcrpy's format. Cassettes of cassetter, and of tools that build on vcrpy, are
converted to that format first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vcr.serialize import deserialize

from multitrack.errors import CassetteCorrupt
from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.canonical_body import decode_text
from multitrack.tape.normalize.content_encoding import DecoderNotInstalled, decode_body
from multitrack.tape.reencoding import is_accepted, split_encodings

# Headers that might not fit the stored body. A replayed response gets new ones, which fit the body that the client
# receives.
_REPLACED_HEADERS = frozenset({"content-encoding", "transfer-encoding"})
_SIZE = re.compile(rb"([0-9A-Fa-f]+)\r\n")


def read(document: Mapping[str, Any], path: Path) -> Cassette:
    """Return the cassette of another recorder from its parsed ``document``. Raises `CassetteCorrupt` for ``path``."""
    if document.get("ws_interactions"):
        reason = "it contains WebSocket messages in cassetter's format, which only cassetter can replay"
        raise CassetteCorrupt(path, reason, advice="replay this test with cassetter, or use another cassette for it")
    interactions = document["interactions"]
    plain = {
        **document,
        "interactions": [_convert_to_vcrpy(position, item, path) for position, item in _number(interactions)],
    }
    try:
        requests, responses, *_ = deserialize("", SimpleNamespace(deserialize=lambda _: plain))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CassetteCorrupt(path, f"vcrpy cannot read it: {error}") from error
    pairs = zip(requests, responses, strict=True)
    found = tuple(_build_interaction(position, *pair, path=path) for position, pair in _number(list(pairs)))
    calls = document.get("grpc_interactions") or []
    found += tuple(_read_grpc_call(position, item, path) for position, item in enumerate(calls, start=len(found) + 1))
    times = [time for item in [*interactions, *calls] if (time := _find_time(item))]
    return Cassette(found, {"recorded_at": max(times, key=datetime.timestamp).isoformat()} if times else {})


def _number(items: list[Any]) -> Any:
    return enumerate(items, start=1)


def _convert_to_vcrpy(position: int, item: Any, path: Path) -> dict[str, Any]:
    try:
        request, response = dict(item["request"]), dict(item["response"])
        if "status_code" in response:
            # vcrpy wrote this for httpx until 6.0
            response = {"status": {"code": response["status_code"]}, "body": response["content"], **_headers(response)}
        if isinstance(response["status"], int):
            bodies = [_read_cassetter_body(message) for message in (request, response)]
            response["status"] = {"code": response["status"]}
        else:
            bodies = [_read_request_body(request), _read_response_body(response)]
        return {
            "request": {"method": request["method"], "uri": request["uri"], "body": bodies[0], **_headers(request)},
            "response": {"status": response["status"], "body": {"string": bodies[1]}, **_headers(response)},
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise CassetteCorrupt(path, f"interaction {position}: {reason}") from error


def _headers(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"headers": message["headers"]}


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
        raise TypeError(f"a body contains {value!r:.60}, which is not a JSON value")
    return decode_text(value)


def _read_response_body(response: Mapping[str, Any]) -> str | bytes:
    # some recorders store the JSON document as values of the file, which are easier to read than a text
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
    raise TypeError(f"a body is {content!r:.60}, which is neither text nor bytes")


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
            return str(content)
        case "binary":
            return bytes.fromhex(str(content))
        case "json":
            return str(content) if is_toml else _format_json(content)
    raise ValueError(f"a body has the type {kind!r}, which is not supported")


def _read_grpc_call(position: int, item: Any, path: Path) -> Interaction:
    from multitrack.tape.file import cassetter_grpc  # needs protobuf, which is installed with gRPC

    try:
        return cassetter_grpc.read(item)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise CassetteCorrupt(path, f"interaction {position}: {reason}") from error


def _find_time(item: Mapping[str, Any]) -> datetime | None:
    """Return when ``item`` was recorded: the recorder's time, or else the ``date`` of the response."""
    dates = [value for name, value in _flatten_headers(item["response"].get("headers", {})) if name == "date"]
    try:
        if time := item.get("recorded_at"):
            return time if isinstance(time, datetime) else datetime.fromisoformat(str(time))
        return parsedate_to_datetime(dates[0]) if dates else None
    except ValueError:
        return None


def _build_interaction(position: int, request: Any, response: Any, *, path: Path) -> Interaction:
    try:
        sent = _flatten_headers(request.headers)
        answered = _flatten_headers(response["headers"])
        request_body, _ = _decode(_join_http_chunks(_to_bytes(request.body), sent), sent)
        stored = _to_bytes(response["body"]["string"])
        received, encoding = _decode(stored, answered)
        accept_encoding = next((value for name, value in sent if name == "accept-encoding"), None)
        return Interaction(
            Request(request.method.upper(), request.uri, sent, request_body),
            Response(
                int(response["status"]["code"]),
                str(response["status"].get("message") or ""),
                tuple(header for header in answered if header[0] not in _REPLACED_HEADERS),
                received,
                encoding=encoding,
                is_encoding_requested=is_accepted(encoding, accept_encoding),
                encoded_body=stored if encoding else None,
            ),
        )
    except DecoderNotInstalled as error:
        reason = f"interaction {position}: a body in {error.encoding} requires another package"
        raise CassetteCorrupt(path, reason, advice=f"to read it: {error.command}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CassetteCorrupt(path, f"interaction {position}: {type(error).__name__}: {error}") from error


def _flatten_headers(headers: Any) -> Headers:
    return tuple(
        (str(name).lower(), str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list | tuple) else [values])
    )


def _join_http_chunks(content: bytes, headers: Headers) -> bytes:
    """Return ``content`` without the chunk sizes of HTTP, which older vcrpy stored for bodies from an iterator."""
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


def _to_bytes(content: Any) -> bytes:
    if content is None:
        return b""
    return content.encode() if isinstance(content, str) else bytes(content)


def _decode(content: bytes, headers: Headers) -> tuple[bytes, str]:
    """Return the decoded ``content``, and its former content encoding (empty if it had none)."""
    header = next((value for name, value in headers if name == "content-encoding"), None)
    encoding = ", ".join(split_encodings(header))
    try:
        return decode_body(content, encoding), encoding if content else ""
    except DecoderNotInstalled:
        if not _is_text(content):
            raise
    except ValueError:
        pass
    # recorders that decode bodies keep the header
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
