"""Write answers of Anthropic's Messages API, as JSON or as server-sent events.

The events are described at https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from multitrack.hosts import is_loopback
from multitrack.standin.answer_selection import AnswerSelector, internal_error_answer
from multitrack.standin.anthropic.api_errors import (
    RejectedRequestError,
    build_error_content,
    build_error_document,
    format_json,
)
from multitrack.standin.anthropic.message_request import has_thinking, parse_request, sign_thinking
from multitrack.standin.identity import ANTHROPIC_HOST, anthropic_headers
from multitrack.standin.model_request import ModelRequest
from multitrack.standin.reply import AnswerPart, HttpReply, build_http_reply, end_with_error, split_events
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.response_ids import ResponseIds
from multitrack.standin.script import ScriptedAnswer, ScriptedError, ScriptError
from multitrack.standin.usage import count_answer_tokens, count_prompt_tokens
from multitrack.wires.anthropic.anthropic_encoder import build_block, cut_text
from multitrack.wires.encoding import order_deltas, split_text
from multitrack.wires.event_stream import write_message

_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "text/event-stream; charset=utf-8")
_AWS_EVENTS = ("content-type", "application/vnd.amazon.eventstream")
_THOUGHT = "The user wants me to use the tools."

_MESSAGES = re.compile(r".*/v1/messages")
_VERTEX = re.compile(r".*/publishers/anthropic/models/(?P<model>.+):(?P<method>rawPredict|streamRawPredict)")
_BEDROCK = re.compile(r"/model/(?P<model>.+)/(?P<method>invoke|invoke-with-response-stream)")


def find_route(path: str) -> re.Match[str] | None:
    """Match ``path`` with Anthropic's paths. The match's ``model`` group is the model's name, if the path has one."""
    return _MESSAGES.fullmatch(path) or _VERTEX.fullmatch(path) or _BEDROCK.fullmatch(path)


def respond(received: ReceivedRequest, selector: AnswerSelector, route: re.Match[str]) -> HttpReply:
    """Return the reply to a request. ``route`` is the match that ``find_route`` returned for its path."""
    ids = selector.next_ids("anthropic", received.body)
    host = ANTHROPIC_HOST if is_loopback(received.host) else received.host
    model, method = route.groupdict().get("model"), route.groupdict().get("method")
    try:
        request = parse_request(received.body, model and unquote(model))
    except RejectedRequestError as error:
        answer = ScriptedAnswer(error=ScriptedError(status=400, message=str(error)))
        return _build_reply(answer, ModelRequest(model="", prompt="", texts=()), {}, ids, host)
    is_aws_stream = method == "invoke-with-response-stream"
    body = {**received.body, "stream": True} if is_aws_stream else received.body
    answer = selector.select(request)
    try:
        return _build_reply(answer, request, body, ids, host, is_aws_stream=is_aws_stream)
    except ScriptError as error:
        return _build_reply(internal_error_answer(error), request, body, ids, host)


def _write_aws_event(event: bytes) -> bytes:
    """Return a server-sent event in Amazon Bedrock's binary framing."""
    data = event.partition(b"\ndata: ")[2].strip()
    if event.startswith(b"event: error"):
        exception = {":message-type": "exception", ":exception-type": "modelStreamErrorException"}
        message = json.loads(data)["error"]["message"]
        return write_message(exception, format_json({"message": message}))
    payload = format_json({"bytes": base64.b64encode(data).decode()})
    return write_message(
        {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, payload
    )


def _build_reply(
    answer: ScriptedAnswer,
    request: ModelRequest,
    body: Mapping[str, Any],
    ids: ResponseIds,
    host: str,
    *,
    is_aws_stream: bool = False,
) -> HttpReply:
    request_id = f"req_{ids.alphanumeric('request', 24)}"
    headers = anthropic_headers(host, request_id)
    streamed = bool(body.get("stream"))
    if answer.error is not None and not (streamed and answer.breaks_off):
        parts = [AnswerPart(build_error_content(answer.error, request_id))]
        return build_http_reply(answer, answer.error.status, (_JSON, *headers), parts, streamed=False)
    if streamed:
        parts = _build_stream(answer, request, body, ids)
        if answer.error is not None:
            parts = end_with_error(parts, answer, _format_event(build_error_document(answer.error, request_id)))
        if is_aws_stream:
            parts = [AnswerPart(_write_aws_event(part.content), part.starts_call) for part in parts]
        content_type = _AWS_EVENTS if is_aws_stream else _EVENTS
        return build_http_reply(answer, 200, (content_type, *headers), parts, streamed=True)
    parts = [AnswerPart(_build_message(answer, request, body, ids))]
    return build_http_reply(answer, 200, (_JSON, *headers), parts, streamed=False)


def _format_event(document: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(document.get("type", "")).encode(), format_json(document))


def _build_message(answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any], ids: ResponseIds) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    if answer.body is not None:
        return format_json(answer.body)
    text = [{"type": "text", "text": answer.text}] if answer.text else []
    calls = [
        {**_build_call_head(answer, ids, position), "input": call.object or {}}
        for position, call in enumerate(answer.calls)
    ]
    content = [*_build_thinking(answer, body), *text, *calls]
    usage = {**_count_input(request), "output_tokens": count_answer_tokens(answer)}
    return format_json({**_build_envelope(request, ids), "content": content, **_build_stop(answer), "usage": usage})


def _build_envelope(request: ModelRequest, ids: ResponseIds) -> dict[str, Any]:
    return {
        "model": request.model,
        "id": f"msg_01{ids.alphanumeric('message', 22)}",
        "type": "message",
        "role": "assistant",
    }


def _count_input(request: ModelRequest) -> dict[str, Any]:
    return {
        "input_tokens": count_prompt_tokens(request),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "service_tier": "standard",
    }


def _build_stop(answer: ScriptedAnswer) -> dict[str, Any]:
    if answer.refusal is not None:
        details = {"type": "refusal", "category": None, "explanation": answer.refusal or None}
        return {"stop_reason": answer.finish_reason or "refusal", "stop_sequence": None, "stop_details": details}
    default = "max_tokens" if answer.truncated else "tool_use" if answer.calls else "end_turn"
    return {"stop_reason": answer.finish_reason or default, "stop_sequence": None}


def _build_thinking(answer: ScriptedAnswer, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not has_thinking(body) or not answer.calls:
        return []
    return [{"type": "thinking", "thinking": _THOUGHT, "signature": sign_thinking(_THOUGHT)}]


def _build_call_head(answer: ScriptedAnswer, ids: ResponseIds, position: int) -> dict[str, Any]:
    call = answer.calls[position]
    call_id = call.id if call.id is not None else f"toolu_01{ids.alphanumeric(f'call/{position}', 22)}"
    return {"type": "tool_use", "id": call_id, "name": call.name}


def _build_stream(
    answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any], ids: ResponseIds
) -> list[AnswerPart]:
    if isinstance(answer.body, str):
        return [AnswerPart(event) for event in split_events(answer.body)]
    if answer.body is not None:
        return [AnswerPart(_format_event(answer.body))]
    events = _build_events(answer, request, body, ids)
    return [AnswerPart(_format_event(event), starts_call) for starts_call, event in events]


def _build_events(
    answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any], ids: ResponseIds
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the events of a stream, each with the position of the call that it starts."""
    started = {**_build_envelope(request, ids), "content": [], "stop_reason": None, "stop_sequence": None}
    yield (
        None,
        {"type": "message_start", "message": {**started, "usage": {**_count_input(request), "output_tokens": 1}}},
    )
    yield None, {"type": "ping"}
    index = 0
    for block in _build_thinking(answer, body):
        deltas = [{"type": "thinking_delta", "thinking": text} for text in split_text(_THOUGHT, answer.delta_size)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        for event in build_block(index, {**block, "thinking": "", "signature": ""}, deltas):
            yield None, event
        index += 1
    if answer.text:
        for event in build_block(index, {"type": "text", "text": ""}, cut_text(answer.text, answer.delta_size)):
            yield None, event
        index += 1
    calls = [_build_call(answer, ids, position, index + position) for position in range(len(answer.calls))]
    yield from order_deltas(calls, is_interleaved=answer.interleave)
    usage = {"output_tokens": count_answer_tokens(answer)}
    yield len(answer.calls), {"type": "message_delta", "delta": _build_stop(answer), "usage": usage}
    yield None, {"type": "message_stop"}


def _build_call(answer: ScriptedAnswer, ids: ResponseIds, position: int, index: int) -> list[dict[str, Any]]:
    # the input of a tool without arguments is complete at the start of its block
    text = answer.calls[position].text
    pieces = ["", *split_text(text, answer.delta_size)] if text is not None else []
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return build_block(index, {**_build_call_head(answer, ids, position), "input": {}}, deltas)
