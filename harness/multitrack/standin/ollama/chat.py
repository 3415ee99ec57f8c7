"""Parse requests to Ollama's chat API, and write answers as JSON or as lines of JSON.

The format is described at https://docs.ollama.com/api/chat, and its errors at https://docs.ollama.com/api/errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from multitrack.hosts import is_loopback
from multitrack.standin.answer_selection import AnswerSelector, internal_error_answer
from multitrack.standin.identity import OLLAMA_HOST, STANDIN_HEADER
from multitrack.standin.model_request import ModelRequest, count_turns
from multitrack.standin.reply import AnswerPart, HttpReply, build_http_reply, end_with_error
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.response_ids import ResponseIds
from multitrack.standin.script import ScriptedAnswer, ScriptedError, ScriptError
from multitrack.standin.usage import count_answer_tokens, count_prompt_tokens
from multitrack.wires.answer import WireAnswer
from multitrack.wires.ollama.ollama_encoder import build_answer, build_chunks
from multitrack.wires.tool import OfferedTool

_JSON = ("content-type", "application/json; charset=utf-8")
_LINES = ("content-type", "application/x-ndjson")
_CHAT = re.compile(r".*/api/chat")
# the durations are in nanoseconds
_DURATIONS = {"total_duration": 812_000_000, "load_duration": 41_000_000, "eval_duration": 600_000_000}
_MESSAGES: Mapping[int, str] = {
    400: "invalid request",
    401: "unauthorized",
    404: "model not found",
    429: "too many requests",
    503: "server busy, please try again. maximum pending requests exceeded",
}


class RejectedChatError(ValueError):
    """Raised for a request that Ollama would reject with status 400. Contains Ollama's message."""


def is_chat(path: str) -> bool:
    """Return whether ``path`` is the path of the chat API."""
    return _CHAT.fullmatch(path) is not None


def parse_request(body: Any) -> ModelRequest:
    """Convert the parsed JSON ``body`` to a request.

    Raises:
        RejectedChatError: If Ollama would reject the request.
    """
    if not isinstance(body, Mapping):
        raise RejectedChatError("invalid character looking for beginning of value")
    if not body.get("model"):
        raise RejectedChatError("model is required")
    messages: Sequence[Mapping[str, Any]] = body.get("messages") or []
    texts = [str(message.get("content") or "") for message in messages]
    roles = [message.get("role") for message in messages]
    prompts = [text for role, text in zip(roles, texts, strict=True) if role == "user"]
    tools = tuple(_read_tools(body))
    return ModelRequest(
        model=str(body["model"]),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(texts),
        tools=tools,
        callable_tools=tools,
        after_results=bool(roles) and roles[-1] == "tool",
        turn=count_turns(role == "assistant" for role in roles),
    )


def _read_tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    for tool in body.get("tools") or ():
        function = tool.get("function") or {}
        if not function.get("name"):
            raise RejectedChatError("a tool has no name")
        yield OfferedTool(str(function["name"]), function.get("parameters") or {"type": "object"})


def respond(received: ReceivedRequest, selector: AnswerSelector) -> HttpReply:
    """Return the reply to a request."""
    ids = selector.next_ids("ollama", received.body)
    headers = ((STANDIN_HEADER, OLLAMA_HOST if is_loopback(received.host) else received.host),)
    try:
        request = parse_request(received.body)
        answer = selector.select(request)
    except RejectedChatError as error:
        request = ModelRequest(model="", prompt="", texts=())
        answer = ScriptedAnswer(error=ScriptedError(status=400, message=str(error)))
    is_streamed = isinstance(received.body, Mapping) and received.body.get("stream") is not False
    try:
        return _build_reply(answer, request, ids, headers, is_streamed=is_streamed)
    except ScriptError as error:
        return _build_reply(internal_error_answer(error), request, ids, headers, is_streamed=is_streamed)


def _build_reply(
    answer: ScriptedAnswer,
    request: ModelRequest,
    ids: ResponseIds,
    headers: tuple[tuple[str, str], ...],
    *,
    is_streamed: bool,
) -> HttpReply:
    if answer.error is not None and not (is_streamed and answer.breaks_off):
        parts = [AnswerPart(_build_error(answer.error))]
        return build_http_reply(answer, answer.error.status, (_JSON, *headers), parts, streamed=False)
    if is_streamed:
        parts = _build_stream(answer, request, ids)
        if answer.error is not None:
            parts = end_with_error(parts, answer, _build_error(answer.error) + b"\n")
        return build_http_reply(answer, 200, (_LINES, *headers), parts, streamed=True)
    parts = [AnswerPart(_build_body(answer, request, ids))]
    return build_http_reply(answer, 200, (_JSON, *headers), parts, streamed=False)


def _build_error(error: ScriptedError) -> bytes:
    message = error.message if error.message is not None else _MESSAGES.get(error.status, "internal server error")
    body = {"error": message} if error.body is None else error.body
    return body.encode() if isinstance(body, str) else _format_json(body)


def _build_body(answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    return _format_json(build_answer(_to_wire_answer(answer, request, ids)) if answer.body is None else answer.body)


def _build_stream(answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds) -> list[AnswerPart]:
    if isinstance(answer.body, str):
        return [AnswerPart(line.encode()) for line in answer.body.splitlines(keepends=True)]
    if answer.body is not None:
        return [AnswerPart(_format_json(answer.body) + b"\n")]
    parts = []
    count = 0
    for chunk in build_chunks(_to_wire_answer(answer, request, ids), piece_size=answer.delta_size):
        is_call = bool(chunk["message"].get("tool_calls"))
        starts_call = count if is_call or chunk["done"] else None
        count += is_call
        parts.append(AnswerPart(_format_json(chunk) + b"\n", starts_call))
    return parts


def _to_wire_answer(answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds) -> WireAnswer:
    for call in answer.calls:
        # raises an error if the arguments are not an object
        _ = call.object
    prompt_tokens, answer_tokens = count_prompt_tokens(request), count_answer_tokens(answer)
    written = answer.to_wire_answer(lambda position: f"call_{ids.alphanumeric(f'call/{position}', 8).lower()}")
    return replace(
        written,
        # Ollama has no field for a refusal
        text=answer.refusal or answer.text or None,
        refusal=None,
        finish_reason=answer.finish_reason or ("length" if answer.truncated else "stop"),
        model=request.model,
        usage={**_DURATIONS, "prompt_eval_count": prompt_tokens, "eval_count": answer_tokens},
    )


def _format_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
