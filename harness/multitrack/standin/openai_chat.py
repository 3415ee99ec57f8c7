"""OpenAI's chat completions: a request body to a question, an answer to JSON or server-sent events.

The shapes are those of https://platform.openai.com/docs/api-reference/chat and its ``/streaming`` page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

from multitrack.standin.identity import OPENAI_HOST, OPENAI_ORGANIZATION, OPENAI_PROJECT, openai_headers
from multitrack.standin.ids import Ids
from multitrack.standin.question import Question, Tool
from multitrack.standin.received import Received, is_loopback
from multitrack.standin.reply import HttpReply, events, fragments, shaped
from multitrack.standin.script import Answer, Call, Error
from multitrack.standin.source import Source, refusal
from multitrack.standin.usage import answer_tokens, prompt_tokens

_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "text/event-stream; charset=utf-8")

_ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "insufficient_permissions",
        "Project {project} has no access to the model.",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: (
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached in organization {organization}, project {project}, on requests per min (RPM): "
        "Limit 500, Used 500, Requested 1. Please try again in 120ms.",
    ),
}
_SERVER_ERROR = ("server_error", None, "The server had an error while processing your request.")


class InvalidRequestError(ValueError):
    """A request that the provider would refuse with 400; the message is the provider's."""


def question(body: Any) -> Question:
    """What ``body``, parsed JSON, asks. Raises `InvalidRequestError` where model or messages are missing."""
    if not isinstance(body, Mapping):
        raise InvalidRequestError("We could not parse the JSON body of your request.")
    messages = body.get("messages")
    if not isinstance(messages, Sequence) or not messages or not all(isinstance(m, Mapping) for m in messages):
        raise InvalidRequestError("Missing required parameter: 'messages'.")
    tools = tuple(_tools(body.get("tools") or ()))
    prompts = [_text(message.get("content")) for message in messages if message.get("role") == "user"]
    return Question(
        model=str(body.get("model", "")),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(_text(message.get("content")) for message in messages),
        tools=tools,
        callable_tools=_callable(tools, body),
        after_results=messages[-1].get("role") in ("tool", "function"),
    )


def _text(content: Any) -> str:
    if isinstance(content, Sequence) and not isinstance(content, str):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[Tool]:
    for tool in tools:
        function = tool.get("function")
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise InvalidRequestError("Missing required parameter: 'tools[0].function'.")
        yield Tool(function["name"], function.get("parameters") or {"type": "object", "properties": {}})


def _callable(tools: tuple[Tool, ...], body: Mapping[str, Any]) -> tuple[Tool, ...]:
    choice = body.get("tool_choice")
    if choice == "none":
        return ()
    if isinstance(choice, Mapping):
        named = choice.get("function", {}).get("name")
        return tuple(tool for tool in tools if tool.name == named)
    return tools[:1] if body.get("parallel_tool_calls") is False else tools


def respond(request: Received, source: Source) -> HttpReply:
    """The reply to ``request``."""
    ids = source.ids("openai.chat", request.body)
    host = OPENAI_HOST if is_loopback(request.host) else request.host
    try:
        asked = question(request.body)
    except InvalidRequestError as error:
        return _reply(refusal(error), Question(model="", prompt="", texts=()), {}, ids, host)
    return _reply(source.answer(asked), asked, request.body, ids, host)


def _reply(answer: Answer, asked: Question, body: Mapping[str, Any], ids: Ids, host: str) -> HttpReply:
    headers = openai_headers(host, f"req_{ids.hexadecimal('request', 32)}")
    streamed = bool(body.get("stream"))
    if answer.error is not None and not (streamed and answer.after is not None):
        content = _error_content(answer.error)
        return shaped(answer, answer.error.status, (_JSON, *headers), [content], streamed=False)
    if streamed:
        pieces = _stream(answer, asked, body, ids)
        if answer.error is not None:
            pieces = [*pieces[: answer.after], _event(_error_object(answer.error))]
        return shaped(answer, 200, (_EVENTS, *headers), pieces, streamed=True)
    return shaped(answer, 200, (_JSON, *headers), [_whole(answer, asked, body, ids)], streamed=False)


def _error_content(error: Error) -> bytes:
    if isinstance(error.body, str):
        return error.body.encode()
    return _pretty(_error_object(error) if error.body is None else error.body)


def _error_object(error: Error) -> dict[str, Any]:
    kind, code, message = _ERRORS.get(error.status, _SERVER_ERROR)
    message = message.format(organization=OPENAI_ORGANIZATION, project=OPENAI_PROJECT)
    return {
        "error": {
            "message": error.message if error.message is not None else message,
            "type": error.type or kind,
            "param": None,
            "code": error.code or code,
        }
    }


def _pretty(document: Any) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def _event(document: Any) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _whole(answer: Answer, asked: Question, body: Mapping[str, Any], ids: Ids) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    if answer.body is not None:
        return _pretty(answer.body)
    choices = [
        {
            "index": choice,
            "message": _message(answer, ids, choice),
            "logprobs": None,
            "finish_reason": _finish_reason(answer),
        }
        for choice in range(_choices(body))
    ]
    return _pretty(
        {**_envelope("chat.completion", asked, ids), "choices": choices, "usage": _usage(answer, asked, body)}
    )


def _stream(answer: Answer, asked: Question, body: Mapping[str, Any], ids: Ids) -> list[bytes]:
    if isinstance(answer.body, str):
        return events(answer.body)
    if answer.body is not None:
        return [_event(answer.body), b"data: [DONE]\n\n"]
    envelope = _envelope("chat.completion.chunk", asked, ids)
    wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    no_usage = {"usage": None} if wants_usage else {}
    pieces = []
    for choice in range(_choices(body)):
        for delta, finish_reason in _deltas(answer, ids, choice):
            part = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            pieces.append(_event({**envelope, "choices": [part], **no_usage}))
    if wants_usage:
        pieces.append(_event({**envelope, "choices": [], "usage": _usage(answer, asked, body)}))
    return [*pieces, b"data: [DONE]\n\n"]


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
    return answer.finish_reason or ("tool_calls" if answer.calls else "stop")


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


def _deltas(answer: Answer, ids: Ids, choice: int) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The deltas of one choice, each with its finish reason."""
    yield {"role": "assistant", "content": None if answer.text is None else "", "refusal": None}, None
    for name, text in (("content", answer.text), ("refusal", answer.refusal)):
        for fragment in fragments(text or "", answer.delta_size):
            yield {name: fragment}, None
    calls = [_call_deltas(call, ids, choice, position, answer) for position, call in enumerate(answer.calls)]
    in_turn = chain.from_iterable(zip_longest(*calls)) if answer.interleave else chain.from_iterable(calls)
    for delta in in_turn:
        if delta is not None:
            yield {"tool_calls": [delta]}, None
    yield {}, _finish_reason(answer)


def _call_deltas(call: Call, ids: Ids, choice: int, position: int, answer: Answer) -> list[dict[str, Any]]:
    start = {"index": position, **_call_head(call, ids, choice, position)}
    if call.text is None:
        return [{**start, "function": _function(call.name, None)}]
    rest = [
        {"index": position, "function": {"arguments": fragment}} for fragment in fragments(call.text, answer.delta_size)
    ]
    return [{**start, "function": _function(call.name, "")}, *rest]
