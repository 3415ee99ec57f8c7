"""GenerateContent over REST: JSON, a streamed JSON array, or server-sent events.

The format is selected in the query: ``alt=sse`` for events, and ``$alt=json;enum-encoding=int`` for enums as numbers
(https://cloud.google.com/apis/docs/system-parameters).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from google.protobuf.json_format import MessageToDict

from multitrack.hosts import is_loopback
from multitrack.standin.answer_selection import AnswerSelector, bad_request_answer, internal_error_answer
from multitrack.standin.identity import google_headers
from multitrack.standin.reply import AnswerPart, HttpReply, build_http_reply, end_with_error, split_events
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.script import ScriptedAnswer, ScriptError
from multitrack.standin.vertex import generate_content as vertex
from multitrack.standin.vertex.protobuf_types import (
    InvalidMessageError,
    Version,
    build_response_message,
    parse_request_body,
)

_JSON = ("content-type", "application/json; charset=UTF-8")
_EVENTS = ("content-type", "text/event-stream")


def respond(
    received: ReceivedRequest, selector: AnswerSelector, *, version: Version, model: str, streamed: bool
) -> HttpReply:
    """Return the reply to a request. ``model`` is a resource name."""
    host, documents = received.host, list[vertex.ResponseDocument]()
    try:
        message = parse_request_body(version, received.body, model)
        request = vertex.parse_request(message)
        host = vertex.find_host(message) if is_loopback(host) else host
        answer = selector.select(request)
        documents = vertex.build_responses(answer, request, selector.next_ids("gemini", message), streamed=streamed)
    except InvalidMessageError as error:
        answer = bad_request_answer(error)
    except ScriptError as error:
        answer = internal_error_answer(error)
    try:
        return _build_reply(answer, documents, version, query=received.query, streamed=streamed, host=host)
    except InvalidMessageError as error:
        return _build_reply(
            internal_error_answer(error), [], version, query=received.query, streamed=streamed, host=host
        )


def _build_reply(
    answer: ScriptedAnswer,
    documents: list[vertex.ResponseDocument],
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
        body = vertex.build_error_document(error) if error.body is None else error.body
        content = body.encode() if isinstance(body, str) else _format_json(body)
        return build_http_reply(answer, error.status, (_JSON, *headers), [AnswerPart(content)], streamed=False)
    content_type = _EVENTS if as_events else _JSON
    if isinstance(answer.body, str):
        return build_http_reply(
            answer, 200, (content_type, *headers), map(AnswerPart, split_events(answer.body)), streamed=streamed
        )
    enums_as_numbers = "enum-encoding=int" in parameters.get("$alt", "")
    write = _format_event if as_events else _format_json
    parts = [
        AnswerPart(
            write(_order_keys_like(document, _convert_to_json(version, document, enums_as_numbers=enums_as_numbers))),
            starts_call,
        )
        for starts_call, document in documents
    ]
    if error is not None:
        parts = end_with_error(parts, answer, write(vertex.build_error_document(error)))
    if streamed and not as_events:
        parts = [
            AnswerPart((b",\r\n" if position else b"[") + part.content, part.starts_call)
            for position, part in enumerate(parts or [AnswerPart(b"")])
        ]
        parts.append(AnswerPart(b"]"))
    return build_http_reply(answer, 200, (content_type, *headers), parts, streamed=streamed)


def _convert_to_json(version: Version, document: dict[str, Any], *, enums_as_numbers: bool) -> Any:
    return MessageToDict(build_response_message(version, document), use_integers_for_enums=enums_as_numbers)


def _format_event(document: Any) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\r\n\r\n"


def _order_keys_like(pattern: Any, value: Any) -> Any:
    """Return ``value`` with its keys in the order of ``pattern``, because protobuf maps have no stable order."""
    if isinstance(value, list) and isinstance(pattern, list):
        return [_order_keys_like(*pair) for pair in zip(pattern, value, strict=True)]
    if isinstance(value, dict) and isinstance(pattern, dict):
        names = [name for name in pattern if name in value] + [name for name in value if name not in pattern]
        return {name: _order_keys_like(pattern.get(name), value[name]) for name in names}
    return value


def _format_json(document: Any) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
