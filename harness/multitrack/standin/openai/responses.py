"""OpenAI's Responses API: a request body to a question, an answer to JSON or server-sent events.

The shapes are those of https://platform.openai.com/docs/api-reference/responses and its ``-streaming`` page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from threading import Lock
from typing import Any

from multitrack.standin.identity import OPENAI_HOST, Headers, openai_headers
from multitrack.standin.ids import Ids
from multitrack.standin.openai.error import InvalidRequestError, error_content, error_object, pretty
from multitrack.standin.openai.input import OUTPUTS, Item, check, is_the_models, items_of, text_of_item
from multitrack.standin.openai.messages import text_of
from multitrack.standin.openai.tools import callable_tools, offered
from multitrack.standin.question import Question, turns
from multitrack.standin.received import Received, is_loopback
from multitrack.standin.reply import HttpReply, Piece, broken_off, ended_by, events, fragments, of_calls, shaped
from multitrack.standin.script import Answer, Error
from multitrack.standin.source import Source
from multitrack.standin.usage import answer_tokens, prompt_tokens

_JSON = ("content-type", "application/json")
_EVENTS = ("content-type", "text/event-stream; charset=utf-8")

_ECHOED: Mapping[str, Any] = {
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
"""What a response repeats of its request, with what stands there for a request that does not say."""

_INCOMPLETE = ("max_output_tokens", "content_filter")


class Conversations:
    """What was said up to each stored response, for requests that go on from one. Safe to use from many threads."""

    def __init__(self) -> None:
        self._items: dict[str, list[Item]] = {}
        self._lock = Lock()

    def until(self, response_id: Any) -> list[Item]:
        """The items up to a response, itself included. Raises `InvalidRequestError` where it is not stored."""
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

    def store(self, response_id: str, items: Sequence[Item]) -> None:
        """Keep the ``items`` that were said up to a response."""
        with self._lock:
            self._items[response_id] = list(items)


def respond(request: Received, source: Source, conversations: Conversations) -> HttpReply:
    """The reply to ``request``, which may go on from one of the ``conversations``."""
    ids = source.ids("openai.responses", request.body)
    host = OPENAI_HOST if is_loopback(request.host) else request.host
    headers = openai_headers(host, f"req_{ids.hexadecimal('request', 32)}")
    try:
        asked, items = _understood(request.body, conversations)
    except InvalidRequestError as error:
        return _failed(Answer(), error.refusal, headers)
    answer, body = source.answer(asked), request.body
    streamed = bool(body.get("stream"))
    if answer.error is not None and not (streamed and answer.breaks_off):
        return _failed(answer, answer.error, headers)
    response = _Response(answer, asked, body, ids)
    if body.get("store") is not False:
        conversations.store(response.id, [*items, *response.output])
    if streamed:
        return shaped(answer, 200, (_EVENTS, *headers), _stream(answer, response), streamed=True)
    return shaped(answer, 200, (_JSON, *headers), [Piece(_whole(answer, response))], streamed=False)


def _understood(body: Any, conversations: Conversations) -> tuple[Question, list[Item]]:
    """What ``body`` asks, and all that was said. Raises `InvalidRequestError` where it would be refused."""
    if not isinstance(body, Mapping):
        raise InvalidRequestError("We could not parse the JSON body of your request.")
    items = [*conversations.until(body.get("previous_response_id")), *items_of(body)]
    check(items)
    tools = offered(body, nested=False)
    prompts = [text_of(item.get("content")) for item in items if item.get("role") == "user"]
    asked = Question(
        model=str(body.get("model", "")),
        prompt=prompts[-1] if prompts else "",
        texts=(text_of(body.get("instructions")), *map(text_of_item, items)),
        tools=tools,
        callable_tools=callable_tools(tools, body),
        after_results=bool(items) and items[-1].get("type") in OUTPUTS.values(),
        turn=turns(map(is_the_models, items)),
    )
    return asked, items


def _failed(answer: Answer, error: Error, headers: Headers) -> HttpReply:
    return shaped(answer, error.status, (_JSON, *headers), [Piece(error_content(error))], streamed=False)


def _whole(answer: Answer, response: _Response) -> bytes:
    if isinstance(answer.body, str):
        return answer.body.encode()
    return pretty(response.ended if answer.body is None else answer.body)


def _stream(answer: Answer, response: _Response) -> list[Piece]:
    if isinstance(answer.body, str):
        return [Piece(event) for event in events(answer.body)]
    numbers = count()
    if answer.body is not None:
        return [Piece(_event(answer.body, numbers))]
    pieces = [Piece(_event(event, numbers), begins) for begins, event in response.events()]
    if answer.error is None:
        return pieces
    told = error_object(answer.error)
    error = {"type": "error", "code": told["code"], "message": told["message"], "param": told["param"]}
    return ended_by(pieces, answer, _event(error, count(broken_off(pieces, answer) or 0)))


def _event(event: Mapping[str, Any], numbers: Iterator[int]) -> bytes:
    document = {"type": event.get("type"), "sequence_number": next(numbers), **event}
    data = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event.get('type')}\ndata: {data}\n\n".encode()


class _Response:
    """One response, as it is when it has ended, and the events that lead there."""

    def __init__(self, answer: Answer, asked: Question, body: Mapping[str, Any], ids: Ids) -> None:
        self._answer = answer
        self._asked = asked
        self._body = body
        self._ids = ids
        self.id = f"resp_{ids.hexadecimal('response', 48)}"
        self._says = answer.text is not None or answer.refusal is not None or not answer.calls
        message = [self._message()] if self._says else []
        self.output = [*message, *(self._call(position) for position in range(len(answer.calls)))]

    @property
    def ended(self) -> dict[str, Any]:
        """The whole response."""
        finish = self._answer.finish_reason or ("max_output_tokens" if self._answer.truncated else "completed")
        status, reason = ("incomplete", {"reason": finish}) if finish in _INCOMPLETE else (finish, None)
        return {**self._envelope(status), "incomplete_details": reason, "output": self.output, "usage": self._usage()}

    def events(self) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """The events, each with the position of the call that it begins, or the number of calls at the end."""
        begun = self._envelope("in_progress")
        yield None, {"type": "response.created", "response": begun}
        yield None, {"type": "response.in_progress", "response": begun}
        if self._says:
            for event in self._message_events(self.output[0]):
                yield None, event
        yield from of_calls(self._answer, self._call_events)
        ended = self.ended
        kind = ended["status"] if ended["status"] in ("incomplete", "failed") else "completed"
        yield len(self._answer.calls), {"type": f"response.{kind}", "response": ended}

    def _envelope(self, status: str) -> dict[str, Any]:
        told = {name: self._body.get(name, usual) for name, usual in _ECHOED.items()}
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._ids.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self._asked.model,
            "output": [],
            "service_tier": "default",
            "usage": None,
            **told,
        }

    def _usage(self) -> dict[str, Any]:
        prompt, completion = prompt_tokens(self._asked), answer_tokens(self._answer)
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + completion,
        }

    def _status(self, *, last: bool) -> str:
        return "incomplete" if last and self._answer.truncated else "completed"

    def _message(self) -> dict[str, Any]:
        refusal = self._answer.refusal
        said: list[dict[str, Any]] = []
        if self._answer.text is not None:
            said.append({"type": "output_text", "annotations": [], "logprobs": [], "text": self._answer.text})
        if refusal is not None:
            said.append({"type": "refusal", "refusal": refusal})
        return {
            "id": f"msg_{self._ids.hexadecimal('message', 48)}",
            "type": "message",
            "status": self._status(last=not self._answer.calls),
            "content": said,
            "role": "assistant",
        }

    def _call(self, position: int) -> dict[str, Any]:
        call = self._answer.calls[position]
        arguments = {} if call.text is None else {"arguments": call.text}
        return {
            "id": f"fc_{self._ids.hexadecimal(f'item/{position}', 48)}",
            "type": "function_call",
            "status": self._status(last=position == len(self._answer.calls) - 1),
            **arguments,
            "call_id": call.id if call.id is not None else f"call_{self._ids.alphanumeric(f'call/{position}', 24)}",
            "name": call.name,
        }

    def _message_events(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        begun = {**message, "status": "in_progress", "content": []}
        yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
        for index, part in enumerate(message["content"]):
            kind, text = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
            place = {"item_id": message["id"], "output_index": 0, "content_index": index}
            logprobs: dict[str, Any] = {} if kind == "refusal" else {"logprobs": []}
            yield {"type": "response.content_part.added", **place, "part": {**part, text: ""}}
            for fragment in fragments(part[text], self._answer.delta_size):
                yield {"type": f"response.{kind}.delta", **place, "delta": fragment, **logprobs}
            yield {"type": f"response.{kind}.done", **place, text: part[text], **logprobs}
            yield {"type": "response.content_part.done", **place, "part": part}
        yield {"type": "response.output_item.done", "output_index": 0, "item": message}

    def _call_events(self, position: int) -> list[dict[str, Any]]:
        index = position + (1 if self._says else 0)
        item = self.output[index]
        arguments = item.get("arguments")
        place = {"item_id": item["id"], "output_index": index}
        begun = {**item, "status": "in_progress", **({} if arguments is None else {"arguments": ""})}
        deltas = [
            {"type": "response.function_call_arguments.delta", **place, "delta": fragment}
            for fragment in fragments(arguments or "", self._answer.delta_size)
        ]
        # a call that was cut off never has its arguments done
        whole = [{"type": "response.function_call_arguments.done", **place, "arguments": arguments}]
        return [
            {"type": "response.output_item.added", "output_index": index, "item": begun},
            *deltas,
            *(whole if arguments is not None and item["status"] == "completed" else ()),
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]
