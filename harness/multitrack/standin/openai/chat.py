"""Parse requests to OpenAI's chat completions API, and write answers as JSON or as server-sent events.

The formats are described at https://platform.openai.com/docs/api-reference/chat and on its ``/streaming`` page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from multitrack.hosts import is_loopback
from multitrack.standin.answer_selection import AnswerSelector
from multitrack.standin.identity import OPENAI_HOST, openai_headers
from multitrack.standin.model_request import ModelRequest, count_turns
from multitrack.standin.openai.chat_messages import extract_text, read_messages
from multitrack.standin.openai.error_objects import (
    InvalidRequestError,
    build_error_content,
    build_error_object,
    format_json,
)
from multitrack.standin.openai.offered_tools import read_tools, select_callable_tools
from multitrack.standin.reply import AnswerPart, HttpReply, build_http_reply, end_with_error, split_events
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.response_ids import ResponseIds
from multitrack.standin.script import ScriptedAnswer
from multitrack.standin.usage import count_answer_tokens, count_prompt_tokens
from multitrack.wires import WireAnswer
from multitrack.wires.openai.chat_encoder import build_deltas, build_message

_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "text/event-stream; charset=utf-8")
_DONE = AnswerPart(b"data: [DONE]\n\n")


def parse_request(body: Any) -> ModelRequest:
    """Convert the parsed JSON ``body`` to a request. Raises ``InvalidRequestError`` if OpenAI would reject it."""
    if not isinstance(body, Mapping):
        raise InvalidRequestError("We could not parse the JSON body of your request.")
    messages = read_messages(body)
    tools = read_tools(body, nested=True)
    if body.get("stream_options") is not None and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise InvalidRequestError(message, param="stream_options")
    prompts = [extract_text(message.get("content")) for message in messages if message.get("role") == "user"]
    return ModelRequest(
        model=str(body.get("model", "")),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(extract_text(message.get("content")) for message in messages),
        tools=tools,
        callable_tools=select_callable_tools(tools, body),
        after_results=messages[-1].get("role") in ("tool", "function"),
        turn=count_turns(message.get("role") == "assistant" for message in messages),
    )


def respond(received: ReceivedRequest, selector: AnswerSelector) -> HttpReply:
    """Return the reply to a request."""
    ids = selector.next_ids("openai.chat", received.body)
    host = OPENAI_HOST if is_loopback(received.host) else received.host
    try:
        request = parse_request(received.body)
    except InvalidRequestError as error:
        answer = ScriptedAnswer(error=error.scripted_error)
        return _build_reply(answer, ModelRequest(model="", prompt="", texts=()), {}, ids, host)
    return _build_reply(selector.select(request), request, received.body, ids, host)


def _build_reply(
    answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any], ids: ResponseIds, host: str
) -> HttpReply:
    headers = openai_headers(host, f"req_{ids.hexadecimal('request', 32)}")
    streamed = bool(body.get("stream"))
    if answer.error is not None and not (streamed and answer.breaks_off):
        parts = [AnswerPart(build_error_content(answer.error))]
        return build_http_reply(answer, answer.error.status, (_JSON, *headers), parts, streamed=False)
    if streamed:
        parts = _build_stream(answer, request, body, ids)
        if answer.error is not None:
            parts = end_with_error(parts, answer, _format_event({"error": build_error_object(answer.error)}))
        return build_http_reply(answer, 200, (_EVENTS, *headers), parts, streamed=True)
    parts = [AnswerPart(_build_completion(answer, request, body, ids))]
    return build_http_reply(answer, 200, (_JSON, *headers), parts, streamed=False)


def _format_event(document: Any) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _build_completion(
    answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any], ids: ResponseIds
) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    if answer.body is not None:
        return format_json(answer.body)
    choices = [
        {
            "index": choice,
            "message": build_message(_to_wire_answer(answer, ids, choice)),
            "logprobs": None,
            "finish_reason": _finish_reason(answer),
        }
        for choice in range(_count_choices(body))
    ]
    envelope = _build_envelope("chat.completion", request, ids)
    return format_json({**envelope, "choices": choices, "usage": _build_usage(answer, request, body)})


def _build_stream(
    answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any], ids: ResponseIds
) -> list[AnswerPart]:
    if isinstance(answer.body, str):
        return [AnswerPart(event) for event in split_events(answer.body)]
    if answer.body is not None:
        return [AnswerPart(_format_event(answer.body)), _DONE]
    envelope = _build_envelope("chat.completion.chunk", request, ids)
    includes_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    no_usage = {"usage": None} if includes_usage else {}
    parts = []
    for index in range(_count_choices(body)):
        deltas = build_deltas(
            _to_wire_answer(answer, ids, index), piece_size=answer.delta_size, is_interleaved=answer.interleave
        )
        for starts_call, delta in deltas:
            finish_reason = None if delta else _finish_reason(answer)
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            parts.append(AnswerPart(_format_event({**envelope, "choices": [choice], **no_usage}), starts_call))
    if includes_usage:
        usage = _build_usage(answer, request, body)
        parts.append(AnswerPart(_format_event({**envelope, "choices": [], "usage": usage})))
    return [*parts, _DONE]


def _count_choices(body: Mapping[str, Any]) -> int:
    return int(body.get("n") or 1)


def _build_envelope(kind: str, request: ModelRequest, ids: ResponseIds) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{ids.alphanumeric('completion', 29)}",
        "object": kind,
        "created": ids.created,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": f"fp_{ids.hexadecimal('fingerprint', 10)}",
    }


def _build_usage(answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any]) -> dict[str, Any]:
    prompt = count_prompt_tokens(request)
    completion = count_answer_tokens(answer) * _count_choices(body)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _finish_reason(answer: ScriptedAnswer) -> str:
    default = "length" if answer.truncated else "tool_calls" if answer.calls else "stop"
    return answer.finish_reason or default


def _to_wire_answer(answer: ScriptedAnswer, ids: ResponseIds, choice: int) -> WireAnswer:
    return answer.to_wire_answer(lambda position: f"call_{ids.alphanumeric(f'call/{choice}/{position}', 24)}")
