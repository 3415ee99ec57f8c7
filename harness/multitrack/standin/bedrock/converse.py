"""Write answers of Amazon Bedrock's Converse API, as JSON or as an AWS event stream.

The events are described at https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from multitrack.hosts import is_loopback
from multitrack.standin.answer_selection import AnswerSelector, internal_error_answer
from multitrack.standin.bedrock.converse_request import (
    RejectedConverseError,
    has_reasoning,
    parse_request,
    sign_reasoning,
)
from multitrack.standin.identity import BEDROCK_HOST, bedrock_headers
from multitrack.standin.model_request import ModelRequest
from multitrack.standin.reply import AnswerPart, HttpReply, build_http_reply, end_with_error
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.response_ids import ResponseIds
from multitrack.standin.script import ScriptedAnswer, ScriptedError, ScriptError
from multitrack.standin.usage import count_answer_tokens, count_prompt_tokens
from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.bedrock.bedrock_encoder import build_events, build_response
from multitrack.wires.encoding import split_text
from multitrack.wires.event_stream import split_messages, write_message

_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "application/vnd.amazon.eventstream")
_CONVERSE = re.compile(r"/model/(?P<model>.+)/(?P<method>converse|converse-stream)")
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("ValidationException", "The request is not valid."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "The model is not found."),
    408: ("ModelTimeoutException", "The request took too long to process."),
    424: ("ModelErrorException", "The request failed due to an error while processing the model."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}
_THOUGHT = "The user wants me to use the tools."
_SERVER_ERROR = ("InternalServerException", "The system encountered an unexpected error during processing.")


def find_route(path: str) -> re.Match[str] | None:
    """Match ``path`` with the paths of the Converse API. The match's ``model`` group is the model's name."""
    return _CONVERSE.fullmatch(path)


def respond(received: ReceivedRequest, selector: AnswerSelector, route: re.Match[str]) -> HttpReply:
    """Return the reply to a request. ``route`` is the match that ``find_route`` returned for its path."""
    ids = selector.next_ids("bedrock", received.body)
    headers = bedrock_headers(
        BEDROCK_HOST if is_loopback(received.host) else received.host, ids.hexadecimal("request", 32)
    )
    is_streamed = route["method"] == "converse-stream"
    try:
        request = parse_request(received.body, unquote(route["model"]))
        answer = selector.select(request)
    except RejectedConverseError as error:
        request = ModelRequest(model="", prompt="", texts=())
        answer = ScriptedAnswer(error=ScriptedError(status=400, message=str(error)))
    thinks = isinstance(received.body, Mapping) and has_reasoning(received.body) and bool(answer.calls)
    try:
        return _build_reply(answer, request, ids, headers, is_streamed=is_streamed, thinks=thinks)
    except ScriptError as error:
        return _build_reply(internal_error_answer(error), request, ids, headers, is_streamed=is_streamed)


def _build_reply(
    answer: ScriptedAnswer,
    request: ModelRequest,
    ids: ResponseIds,
    headers: tuple[tuple[str, str], ...],
    *,
    is_streamed: bool,
    thinks: bool = False,
) -> HttpReply:
    if answer.error is not None and not (is_streamed and answer.breaks_off):
        kind, content = _build_error(answer.error)
        headers = (_JSON, ("x-amzn-ErrorType", kind), *headers)
        return build_http_reply(answer, answer.error.status, headers, [AnswerPart(content)], streamed=False)
    if is_streamed:
        parts = _build_stream(answer, request, ids, thinks=thinks)
        if answer.error is not None:
            parts = end_with_error(parts, answer, _build_exception(answer.error))
        return build_http_reply(answer, 200, (_EVENTS, *headers), parts, streamed=True)
    content = _build_content(answer, request, ids, thinks=thinks)
    return build_http_reply(answer, 200, (_JSON, *headers), [AnswerPart(content)], streamed=False)


def _build_error(error: ScriptedError) -> tuple[str, bytes]:
    kind, message = _ERRORS.get(error.status, _SERVER_ERROR)
    document = {"message": error.message if error.message is not None else message}
    body = document if error.body is None else error.body
    return error.type or kind, body.encode() if isinstance(body, str) else _format_json(body)


def _build_exception(error: ScriptedError) -> bytes:
    kind, content = _build_error(error)
    name = kind[:1].lower() + kind[1:]
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return write_message(headers, content)


def _build_content(answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds, *, thinks: bool) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    if answer.body is not None:
        return _format_json(answer.body)
    for call in answer.calls:
        # raises an error if the arguments are not an object, which only a stream can express
        _ = call.object
    response = build_response(_to_wire_answer(answer, request, ids))
    if thinks:
        thought = {"text": _THOUGHT, "signature": sign_reasoning(_THOUGHT)}
        response["output"]["message"]["content"].insert(0, {"reasoningContent": {"reasoningText": thought}})
    return _format_json({"metrics": {"latencyMs": 812}, **response})


def _build_stream(answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds, *, thinks: bool) -> list[AnswerPart]:
    if isinstance(answer.body, bytes):
        return [AnswerPart(message) for message in split_messages(answer.body)]
    if isinstance(answer.body, str):
        return [AnswerPart(answer.body.encode())]
    if answer.body is not None:
        return [AnswerPart(_write_event(answer.body))]
    events = build_events(
        _to_wire_answer(answer, request, ids), piece_size=answer.delta_size, is_interleaved=answer.interleave
    )
    if thinks:
        events = _add_thought(events, answer.delta_size)
    return [AnswerPart(_write_event(event), starts_call) for starts_call, event in events]


def _add_thought(
    events: Iterable[tuple[int | None, dict[str, Any]]], size: int
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the events of an answer, and insert a reasoning block before all other blocks."""
    first, *rest = events
    yield first
    deltas = [{"text": piece} for piece in split_text(_THOUGHT, size)]
    for delta in [*deltas, {"signature": sign_reasoning(_THOUGHT)}]:
        yield None, {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": delta}}}
    yield None, {"contentBlockStop": {"contentBlockIndex": 0}}
    for starts_call, event in rest:
        [(name, fields)] = event.items()
        if "contentBlockIndex" in fields:
            fields = {**fields, "contentBlockIndex": fields["contentBlockIndex"] + 1}
        yield starts_call, {name: fields}


def _write_event(document: Mapping[str, Any]) -> bytes:
    [(name, fields)] = document.items()
    if name == "metadata":
        fields = {"metrics": {"latencyMs": 812}, **fields}
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return write_message(headers, _format_json(fields))


def _to_wire_answer(answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds) -> WireAnswer:
    calls = tuple(
        ToolCall(
            call.id if call.id is not None else f"tooluse_{ids.alphanumeric(f'call/{position}', 22)}",
            call.name,
            "{}" if call.text is None else call.text,
            position,
        )
        for position, call in enumerate(answer.calls)
    )
    default = "max_tokens" if answer.truncated else "tool_use" if calls else "end_turn"
    if answer.refusal is not None:
        default = "guardrail_intervened"
    prompt_tokens, answer_tokens = count_prompt_tokens(request), count_answer_tokens(answer)
    written = WireAnswer(
        calls,
        text=answer.refusal or answer.text or None,
        finish_reason=answer.finish_reason or default,
        usage={
            "inputTokens": prompt_tokens,
            "outputTokens": answer_tokens,
            "totalTokens": prompt_tokens + answer_tokens,
        },
    )
    return replace(written, has_cut_off_call=bool(calls) and answer.truncated)


def _format_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
