"""GenerateContent over REST: JSON, a streamed JSON array, or server-sent events.

The query says which: ``alt=sse`` asks for events, ``$alt=json;enum-encoding=int`` for enums as numbers
(https://cloud.google.com/apis/docs/system-parameters).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from google.protobuf.json_format import MessageToDict

from multitrack.standin.identity import google_headers
from multitrack.standin.received import Received, is_loopback
from multitrack.standin.reply import HttpReply, Piece, ended_by, events, shaped
from multitrack.standin.script import Answer, ScriptError
from multitrack.standin.source import Source, mistake, refusal
from multitrack.standin.vertex import generate_content as vertex
from multitrack.standin.vertex.types import InvalidMessageError, Version, request_from_json, response

_JSON = ("content-type", "application/json; charset=UTF-8")
_EVENTS = ("content-type", "text/event-stream")


def respond(request: Received, source: Source, *, version: Version, model: str, streamed: bool) -> HttpReply:
    """The reply to ``request``, which asks for content from ``model``, a resource name."""
    host, documents = request.host, list[tuple[int | None, dict[str, Any]]]()
    try:
        message = request_from_json(version, request.body, model)
        asked = vertex.question(message)
        host = vertex.host(message) if is_loopback(host) else host
        answer = source.answer(asked)
        documents = vertex.responses(answer, asked, source.ids("gemini", message), streamed=streamed)
    except InvalidMessageError as error:
        answer = refusal(error)
    except ScriptError as error:
        answer = mistake(error)
    try:
        return _reply(answer, documents, version, query=request.query, streamed=streamed, host=host)
    except InvalidMessageError as error:
        return _reply(mistake(error), [], version, query=request.query, streamed=streamed, host=host)


def _reply(
    answer: Answer,
    documents: list[tuple[int | None, dict[str, Any]]],
    version: Version,
    *,
    query: str,
    streamed: bool,
    host: str,
) -> HttpReply:
    headers = google_headers(host)
    parameters = {name: value for name, (value, *_) in parse_qs(query).items()}
    as_events = streamed and parameters.get("alt") == "sse"
    error = answer.error
    if error is not None and not (streamed and answer.breaks_off):
        body = vertex.error_object(error) if error.body is None else error.body
        content = body.encode() if isinstance(body, str) else _pretty(body)
        return shaped(answer, error.status, (_JSON, *headers), [Piece(content)], streamed=False)
    head = _EVENTS if as_events else _JSON
    if isinstance(answer.body, str):
        return shaped(answer, 200, (head, *headers), map(Piece, events(answer.body)), streamed=streamed)
    numbers = "enum-encoding=int" in parameters.get("$alt", "")
    write = _event if as_events else _pretty
    pieces = [
        Piece(write(_ordered_like(document, _in_json(version, document, numbers=numbers))), begins)
        for begins, document in documents
    ]
    if error is not None:
        pieces = ended_by(pieces, answer, write(vertex.error_object(error)))
    if streamed and not as_events:
        pieces = [
            Piece((b",\r\n" if position else b"[") + piece.content, piece.begins)
            for position, piece in enumerate(pieces or [Piece(b"")])
        ]
        pieces.append(Piece(b"]"))
    return shaped(answer, 200, (head, *headers), pieces, streamed=streamed)


def _in_json(version: Version, document: dict[str, Any], *, numbers: bool) -> Any:
    return MessageToDict(response(version, document), use_integers_for_enums=numbers)


def _event(document: Any) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\r\n\r\n"


def _ordered_like(pattern: Any, value: Any) -> Any:
    """``value`` with its keys in the order of ``pattern``: a protobuf map may have another in each process."""
    if isinstance(value, list) and isinstance(pattern, list):
        return [_ordered_like(*pair) for pair in zip(pattern, value, strict=True)]
    if isinstance(value, dict) and isinstance(pattern, dict):
        names = [name for name in pattern if name in value] + [name for name in value if name not in pattern]
        return {name: _ordered_like(pattern.get(name), value[name]) for name in names}
    return value


def _pretty(document: Any) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
