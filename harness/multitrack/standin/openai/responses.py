"""Parse requests to OpenAI's Responses API, and write answers as JSON or as server-sent events.

The formats are described at https://platform.openai.com/docs/api-reference/responses and on its ``-streaming`` page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from threading import Lock
from typing import Any

from multitrack.hosts import is_loopback
from multitrack.standin.answer_selection import AnswerSelector
from multitrack.standin.identity import OPENAI_HOST, Headers, openai_headers
from multitrack.standin.model_request import ModelRequest, count_turns
from multitrack.standin.openai.chat_messages import extract_text
from multitrack.standin.openai.error_objects import (
    InvalidRequestError,
    build_error_content,
    build_error_object,
    format_json,
)
from multitrack.standin.openai.offered_tools import read_tools, select_callable_tools
from multitrack.standin.openai.response_items import (
    OUTPUT_TYPES,
    Item,
    check_calls_and_outputs,
    extract_item_text,
    is_from_model,
    read_items,
)
from multitrack.standin.reply import (
    AnswerPart,
    HttpReply,
    build_http_reply,
    count_parts_before_break,
    end_with_error,
    split_events,
)
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.response_ids import ResponseIds
from multitrack.standin.script import ScriptedAnswer, ScriptedError
from multitrack.standin.usage import count_answer_tokens, count_prompt_tokens
from multitrack.wires.openai.responses_encoder import build_output, build_output_events, end_type, write_status

_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "text/event-stream; charset=utf-8")

_REPEATED_PARAMETERS: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
"""The parameters of a request that its response repeats, with their default values."""


class ResponseStore:
    """A store of conversations, keyed by the id of the response at their end, so that a later request can continue
    them.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._items: dict[str, list[Item]] = {}
        self._lock = Lock()

    def load(self, response_id: Any) -> list[Item]:
        """Return the conversation up to and including a response.

        Raises ``InvalidRequestError`` if the response is not stored.
        """
        if response_id is None:
            return []
        with self._lock:
            if response_id not in self._items:
                raise InvalidRequestError(
                    f"Previous response with id '{response_id}' not found.",
                    param="previous_response_id",
                    code="previous_response_not_found",
                )
            return list(self._items[response_id])

    def save(self, response_id: str, items: Sequence[Item]) -> None:
        """Store the conversation up to and including a response."""
        with self._lock:
            self._items[response_id] = list(items)


def respond(received: ReceivedRequest, selector: AnswerSelector, store: ResponseStore) -> HttpReply:
    """Return the reply to a request. The request may continue a conversation in ``store``."""
    ids = selector.next_ids("openai.responses", received.body)
    host = OPENAI_HOST if is_loopback(received.host) else received.host
    headers = openai_headers(host, f"req_{ids.hexadecimal('request', 32)}")
    try:
        request, items = _parse_request(received.body, store)
    except InvalidRequestError as error:
        return _build_error_reply(ScriptedAnswer(), error.scripted_error, headers)
    answer, body = selector.select(request), received.body
    streamed = bool(body.get("stream"))
    if answer.error is not None and not (streamed and answer.breaks_off):
        return _build_error_reply(answer, answer.error, headers)
    response = _ResponseBuilder(answer, request, body, ids)
    if body.get("store") is not False:
        store.save(response.id, [*items, *response.output])
    if streamed:
        return build_http_reply(answer, 200, (_EVENTS, *headers), _build_stream(answer, response), streamed=True)
    parts = [AnswerPart(_build_body(answer, response))]
    return build_http_reply(answer, 200, (_JSON, *headers), parts, streamed=False)


def _parse_request(body: Any, store: ResponseStore) -> tuple[ModelRequest, list[Item]]:
    """Return the request in ``body`` and the items of the whole conversation.

    Raises ``InvalidRequestError`` if OpenAI would reject the request.
    """
    if not isinstance(body, Mapping):
        raise InvalidRequestError("We could not parse the JSON body of your request.")
    items = [*store.load(body.get("previous_response_id")), *read_items(body)]
    check_calls_and_outputs(items)
    tools = read_tools(body, nested=False)
    prompts = [extract_text(item.get("content")) for item in items if item.get("role") == "user"]
    request = ModelRequest(
        model=str(body.get("model", "")),
        prompt=prompts[-1] if prompts else "",
        texts=(extract_text(body.get("instructions")), *map(extract_item_text, items)),
        tools=tools,
        callable_tools=select_callable_tools(tools, body),
        after_results=bool(items) and items[-1].get("type") in OUTPUT_TYPES.values(),
        turn=count_turns(map(is_from_model, items)),
    )
    return request, items


def _build_error_reply(answer: ScriptedAnswer, error: ScriptedError, headers: Headers) -> HttpReply:
    parts = [AnswerPart(build_error_content(error))]
    return build_http_reply(answer, error.status, (_JSON, *headers), parts, streamed=False)


def _build_body(answer: ScriptedAnswer, response: _ResponseBuilder) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    return format_json(response.completed if answer.body is None else answer.body)


def _build_stream(answer: ScriptedAnswer, response: _ResponseBuilder) -> list[AnswerPart]:
    if isinstance(answer.body, str):
        return [AnswerPart(event) for event in split_events(answer.body)]
    numbers = count()
    if answer.body is not None:
        return [AnswerPart(_format_event(answer.body, numbers))]
    parts = [AnswerPart(_format_event(event, numbers), starts_call) for starts_call, event in response.events()]
    if answer.error is None:
        return parts
    details = build_error_object(answer.error)
    error = {"type": "error", "code": details["code"], "message": details["message"], "param": details["param"]}
    numbers_after_break = count(count_parts_before_break(parts, answer) or 0)
    return end_with_error(parts, answer, _format_event(error, numbers_after_break))


def _format_event(event: Mapping[str, Any], numbers: Iterator[int]) -> bytes:
    document = {"type": event.get("type"), "sequence_number": next(numbers), **event}
    data = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event.get('type')}\ndata: {data}\n\n".encode()


class _ResponseBuilder:
    """A builder that creates the completed response object and the events of its stream."""

    def __init__(
        self, answer: ScriptedAnswer, request: ModelRequest, body: Mapping[str, Any], ids: ResponseIds
    ) -> None:
        self._answer = answer
        self._request = request
        self._body = body
        self._ids = ids
        self.id = f"resp_{ids.hexadecimal('response', 48)}"
        wire_answer = answer.to_wire_answer(lambda position: f"call_{ids.alphanumeric(f'call/{position}', 24)}")
        self.output = build_output(wire_answer, ids.hexadecimal, is_cut_off=answer.truncated)

    @property
    def completed(self) -> dict[str, Any]:
        """The whole response."""
        finish_reason = self._answer.finish_reason or ("max_output_tokens" if self._answer.truncated else "completed")
        return {
            **self._build_envelope("in_progress"),
            **write_status(finish_reason),
            "output": self.output,
            "usage": self._build_usage(),
        }

    def events(self) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """Yield pairs ``(position, event)``.

        An event that starts a call has the position of that call. The last event has the number of calls. All other
        events have None.
        """
        in_progress = self._build_envelope("in_progress")
        yield None, {"type": "response.created", "response": in_progress}
        yield None, {"type": "response.in_progress", "response": in_progress}
        yield from build_output_events(
            self.output, piece_size=self._answer.delta_size, is_interleaved=self._answer.interleave
        )
        completed = self.completed
        yield len(self._answer.calls), {"type": end_type(completed["status"]), "response": completed}

    def _build_envelope(self, status: str) -> dict[str, Any]:
        parameters = {name: self._body.get(name, default) for name, default in _REPEATED_PARAMETERS.items()}
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._ids.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self._request.model,
            "output": [],
            "service_tier": "default",
            "usage": None,
            **parameters,
        }

    def _build_usage(self) -> dict[str, Any]:
        prompt, completion = count_prompt_tokens(self._request), count_answer_tokens(self._answer)
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + completion,
        }
