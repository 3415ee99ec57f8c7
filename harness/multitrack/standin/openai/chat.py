"""OpenAI's chat completions: a request body to a question, an answer to JSON or server-sent events.

The shapes are those of https://platform.openai.com/docs/api-reference/chat and its ``/streaming`` page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from multitrack.standin.identity import OPENAI_HOST, openai_headers
from multitrack.standin.ids import Ids
from multitrack.standin.openai.error import InvalidRequestError, error_content, error_object, pretty
from multitrack.standin.openai.messages import messages_of, text_of
from multitrack.standin.openai.tools import callable_tools, offered
from multitrack.standin.question import Question, turns
from multitrack.standin.received import Received, is_loopback
from multitrack.standin.reply import HttpReply, Piece, ended_by, events, fragments, of_calls, shaped
from multitrack.standin.script import Answer, Call
from multitrack.standin.source import Source
from multitrack.standin.usage import answer_tokens, prompt_tokens

_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "text/event-stream; charset=utf-8")
_DONE = Piece(b"data: [DONE]\n\n")


def question(body: Any) -> Question:
    """What ``body``, parsed JSON, asks. Raises `InvalidRequestError` where the provider would refuse it."""
    if not isinstance(body, Mapping):
        raise InvalidRequestError("We could not parse the JSON body of your request.")
    messages = messages_of(body)
    tools = offered(body, nested=True)
    if body.get("stream_options") is not None and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise InvalidRequestError(message, param="stream_options")
    prompts = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    return Question(
        model=str(body.get("model", "")),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(text_of(message.get("content")) for message in messages),
        tools=tools,
        callable_tools=callable_tools(tools, body),
        after_results=messages[-1].get("role") in ("tool", "function"),
        turn=turns(message.get("role") == "assistant" for message in messages),
    )


def respond(request: Received, source: Source) -> HttpReply:
    """The reply to ``request``."""
    ids = source.ids("openai.chat", request.body)
    host = OPENAI_HOST if is_loopback(request.host) else request.host
    try:
        asked = question(request.body)
    except InvalidRequestError as error:
        return _reply(Answer(error=error.refusal), Question(model="", prompt="", texts=()), {}, ids, host)
    return _reply(source.answer(asked), asked, request.body, ids, host)


def _reply(answer: Answer, asked: Question, body: Mapping[str, Any], ids: Ids, host: str) -> HttpReply:
    headers = openai_headers(host, f"req_{ids.hexadecimal('request', 32)}")
    streamed = bool(body.get("stream"))
    if answer.error is not None and not (streamed and answer.breaks_off):
        content = error_content(answer.error)
        return shaped(answer, answer.error.status, (_JSON, *headers), [Piece(content)], streamed=False)
    if streamed:
        pieces = _stream(answer, asked, body, ids)
        if answer.error is not None:
            pieces = ended_by(pieces, answer, _event({"error": error_object(answer.error)}))
        return shaped(answer, 200, (_EVENTS, *headers), pieces, streamed=True)
    return shaped(answer, 200, (_JSON, *headers), [Piece(_whole(answer, asked, body, ids))], streamed=False)


def _event(document: Any) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _whole(answer: Answer, asked: Question, body: Mapping[str, Any], ids: Ids) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    if answer.body is not None:
        return pretty(answer.body)
    choices = [
        {
            "index": choice,
            "message": _message(answer, ids, choice),
            "logprobs": None,
            "finish_reason": _finish_reason(answer),
        }
        for choice in range(_choices(body))
    ]
    return pretty(
        {**_envelope("chat.completion", asked, ids), "choices": choices, "usage": _usage(answer, asked, body)}
    )


def _stream(answer: Answer, asked: Question, body: Mapping[str, Any], ids: Ids) -> list[Piece]:
    if isinstance(answer.body, str):
        return [Piece(event) for event in events(answer.body)]
    if answer.body is not None:
        return [Piece(_event(answer.body)), _DONE]
    envelope = _envelope("chat.completion.chunk", asked, ids)
    wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    no_usage = {"usage": None} if wants_usage else {}
    pieces = []
    for choice in range(_choices(body)):
        for begins, delta, finish_reason in _deltas(answer, ids, choice):
            part = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            pieces.append(Piece(_event({**envelope, "choices": [part], **no_usage}), begins))
    if wants_usage:
        pieces.append(Piece(_event({**envelope, "choices": [], "usage": _usage(answer, asked, body)})))
    return [*pieces, _DONE]


def _choices(body: Mapping[str, Any]) -> int:
    return int(body.get("n") or 1)


def _envelope(kind: str, asked: Question, ids: Ids) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{ids.alphanumeric('completion', 29)}",
        "object": kind,
        "created": ids.created,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": f"fp_{ids.hexadecimal('fingerprint', 10)}",
    }


def _usage(answer: Answer, asked: Question, body: Mapping[str, Any]) -> dict[str, Any]:
    prompt = prompt_tokens(asked)
    completion = answer_tokens(answer) * _choices(body)
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


def _finish_reason(answer: Answer) -> str:
    usual = "length" if answer.truncated else "tool_calls" if answer.calls else "stop"
    return answer.finish_reason or usual


def _message(answer: Answer, ids: Ids, choice: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = [
            {**_call_head(call, ids, choice, position), "function": _function(call.name, call.text)}
            for position, call in enumerate(answer.calls)
        ]
    return {**message, "refusal": answer.refusal, "annotations": []}


def _call_head(call: Call, ids: Ids, choice: int, position: int) -> dict[str, Any]:
    call_id = call.id if call.id is not None else f"call_{ids.alphanumeric(f'call/{choice}/{position}', 24)}"
    return {"id": call_id, "type": "function"}


def _function(name: str, arguments: str | None) -> dict[str, Any]:
    return {"name": name} if arguments is None else {"name": name, "arguments": arguments}


def _deltas(answer: Answer, ids: Ids, choice: int) -> Iterator[tuple[int | None, dict[str, Any], str | None]]:
    """The deltas of one choice: the call that each begins, the delta, and its finish reason."""
    yield None, {"role": "assistant", "content": None if answer.text is None else "", "refusal": None}, None
    for name, text in (("content", answer.text), ("refusal", answer.refusal)):
        for fragment in fragments(text or "", answer.delta_size):
            yield None, {name: fragment}, None
    for begins, delta in of_calls(answer, lambda position: _call_deltas(answer, ids, choice, position)):
        yield begins, {"tool_calls": [delta]}, None
    yield len(answer.calls), {}, _finish_reason(answer)


def _call_deltas(answer: Answer, ids: Ids, choice: int, position: int) -> list[dict[str, Any]]:
    call = answer.calls[position]
    start = {"index": position, **_call_head(call, ids, choice, position)}
    if call.text is None:
        return [{**start, "function": _function(call.name, None)}]
    rest = [
        {"index": position, "function": {"arguments": fragment}} for fragment in fragments(call.text, answer.delta_size)
    ]
    return [{**start, "function": _function(call.name, "")}, *rest]
