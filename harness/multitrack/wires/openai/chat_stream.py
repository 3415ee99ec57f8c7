"""Decode chat completions that are streamed as server-sent events.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer, select_finish_reason
from multitrack.wires.brackets import BracketCounter
from multitrack.wires.call_queue import CallFields, CallQueue
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.openai.chat_answer import (
    LENGTH_LIMITS,
    NORMAL_REASONS,
    RETURNED_FIELDS,
    find_failure,
    find_refusal,
    read_failure,
    read_function,
    read_text,
)
from multitrack.wires.stream_decoder import StreamDecoder

_REASONING = frozenset(RETURNED_FIELDS) - {"refusal"}
_CALL_KEYS = frozenset({"index", "id", "type", "function", "custom"})


class ChatStreamDecoder(StreamDecoder):
    """A decoder that assembles the calls of a chat stream from their deltas."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}
        self._queue = CallQueue[_ChatStreamedCall]()
        self._first_open_choice = 0
        self._model: str | None = None
        self._usage: Mapping[str, Any] | None = None

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        self._error = self._error or error_message(chunk.get("error"))
        self._model = self._model or as_text(chunk.get("model"))
        self._usage = as_object(chunk.get("usage")) or self._usage
        has_completed = False
        for entry in as_objects(chunk.get("choices")):
            index = entry.get("index")
            index = index if isinstance(index, int) else 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(index, self._queue)
            has_completed = choice.feed(entry) or has_completed
            self._error = self._error or choice.late_arguments_error
        return self._release() if has_completed else []

    def _release(self) -> list[ToolCall]:
        # In an answer, the calls of the first choice come first. Hold back other calls until that choice ends.
        while (choice := self._choices.get(self._first_open_choice)) is not None and choice.finish_reason:
            self._first_open_choice += 1
        for index, choice in self._choices.items():
            if index <= self._first_open_choice:
                choice.is_held_back = False
        return self._queue.release()

    def _complete_open_calls(self) -> list[ToolCall]:
        for choice in self._choices.values():
            choice.end()
            choice.is_held_back = False
        return self._queue.release(is_last=True)

    @property
    def document(self) -> Mapping[str, Any]:
        choices = [choice.as_choice() for _, choice in sorted(self._choices.items())]
        return {"object": "chat.completion", "model": self._model, "choices": choices, "usage": self._usage}

    @property
    def answer(self) -> WireAnswer:
        choices = [choice for _, choice in sorted(self._choices.items())]
        finish_reason = select_finish_reason((choice.finish_reason for choice in choices), NORMAL_REASONS)
        is_finished = bool(choices) and all(choice.finish_reason for choice in choices)
        return WireAnswer(
            calls=self._queue.calls(),
            text=next((text for choice in choices if (text := "".join(choice.text))), None),
            finish_reason=finish_reason,
            refusal=find_refusal(("".join(choice.refusal) for choice in choices), finish_reason),
            error=self._error or find_failure((choice.error for choice in choices), finish_reason),
            model=self._model,
            usage=self._usage,
            is_complete=self._error is None and (self.has_ended or is_finished),
            is_truncated=finish_reason in LENGTH_LIMITS,
        )


class _Choice:
    def __init__(self, index: int, queue: CallQueue[_ChatStreamedCall]) -> None:
        self.finish_reason: str | None = None
        self.error: str | None = None
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.reasoning: dict[str, Any] = {}
        self.is_held_back = True
        self.has_ended = False
        self.late_arguments_error: str | None = None
        self._index = index
        self._queue = queue
        self._arrivals = count()
        self._calls: list[_ChatStreamedCall] = []
        self._last_by_index: dict[int | None, _ChatStreamedCall] = {}
        self._by_id: dict[tuple[int | None, str], _ChatStreamedCall] = {}
        self._legacy: _ChatStreamedCall | None = None
        self._first_missing_index = 0

    def is_after_gap(self, index: int) -> bool:
        """Return whether a call with a lower index than ``index`` can still arrive."""
        while self._first_missing_index in self._last_by_index:
            self._first_missing_index += 1
        return not self.has_ended and index > self._first_missing_index

    def feed(self, entry: Mapping[str, Any]) -> bool:
        """Read one entry of ``choices``. Return whether it completes a call or the choice."""
        # A gateway that does not stream sends a whole message. If it also sends a delta, the delta takes precedence.
        delta = as_object(entry.get("delta")) or as_object(entry.get("message"))
        if text := read_text(delta.get("content")):
            self.text.append(text)
        if refusal := as_text(delta.get("refusal")):
            self.refusal.append(refusal)
        if not _REASONING.isdisjoint(delta):
            for key in _REASONING.intersection(delta):
                self.reasoning[key] = _append(self.reasoning.get(key), delta[key])
        self.error = self.error or read_failure(entry)
        in_delta: set[_ChatStreamedCall] = set()
        has_completed = False
        for fragment in as_objects(delta.get("tool_calls")):
            call = self._find_call(fragment, in_delta)
            in_delta.add(call)
            has_completed = self._add(call, fragment) or has_completed
        if legacy := as_object(delta.get("function_call")):
            if self._legacy is None:
                # A legacy call follows the tool calls of its choice.
                self._legacy = self._open_call((self._index, 1, 0, 0), None)
            has_completed = self._add(self._legacy, {"function": legacy}) or has_completed
        if reason := as_text(entry.get("finish_reason")):
            self.finish_reason = reason
            self.end()
        return has_completed or self.finish_reason is not None

    def end(self) -> None:
        """End the choice, and complete its calls."""
        self.has_ended = True
        for call in self._calls:
            call.end()

    def as_choice(self) -> dict[str, Any]:
        """Return the choice as it appears in an answer that is not streamed."""
        # in the order of the answer, because the calls are paired with tool results by their order
        own = set(self._calls)
        calls = [call.as_tool_call() for call in self._queue.ordered_calls() if call in own]
        message = {
            "role": "assistant",
            "content": "".join(self.text) or None,
            "refusal": "".join(self.refusal) or None,
            **self.reasoning,
            **({"tool_calls": calls} if calls else {}),
        }
        return {"index": self._index, "message": message, "finish_reason": self.finish_reason}

    def _add(self, call: _ChatStreamedCall, fragment: Mapping[str, Any]) -> bool:
        had_ended = call.has_ended
        if not call.add(fragment):
            self.late_arguments_error = (
                f"the call {call.fields[1]!r} received more arguments after its JSON object was complete"
            )
        return call.has_ended and not had_ended

    def _open_call(self, order: tuple[int, ...], index: int | None) -> _ChatStreamedCall:
        call = _ChatStreamedCall(order, index, self)
        self._calls.append(call)
        self._queue.add(call)
        return call

    def _find_call(self, fragment: Mapping[str, Any], in_delta: set[_ChatStreamedCall]) -> _ChatStreamedCall:
        """Return the call that ``fragment`` belongs to. Create it if the fragment begins a new call.

        Some providers leave ``index`` out or send 0 for every call. Therefore, a call is identified by its id and its
        index. A fragment with the index of an earlier call begins a new call in these cases:

        - It is in the same delta as the earlier call.
        - It has a different id.
        - It has a name, and the earlier call is complete.
        """
        index = fragment.get("index")
        index = index if isinstance(index, int) else None
        call_id = as_text(fragment.get("id"))
        call = (self._by_id.get((index, call_id)) if call_id else None) or self._last_by_index.get(index)
        if call is None or call in in_delta or call.is_followed_by(fragment):
            arrival = next(self._arrivals)
            call = self._open_call((self._index, 0, arrival if index is None else index, arrival), index)
            self._last_by_index[index] = call
        if call_id:
            self._by_id[index, call_id] = call
        return call


class _ChatStreamedCall:
    def __init__(self, order: tuple[int, ...], index: int | None, choice: _Choice) -> None:
        self.order = order
        self._index = index
        self._choice = choice
        self._id: str | None = None
        self._name = ""
        self._arguments: list[str] | None = None
        self._brackets: BracketCounter | None = None
        self._extra: dict[str, Any] = {}
        self.has_ended = False

    @property
    def fields(self) -> CallFields:
        return self._id, self._name, None if self._arguments is None else "".join(self._arguments)

    @property
    def is_empty(self) -> bool:
        return not (self._id or self._name or (self._arguments and any(self._arguments)))

    @property
    def is_complete(self) -> bool:
        if not self.has_ended or self._choice.is_held_back:
            return False
        return self._index is None or not self._choice.is_after_gap(self._index)

    def is_followed_by(self, fragment: Mapping[str, Any]) -> bool:
        """Return whether ``fragment`` begins another call, although it has the index of this call."""
        name, arguments = read_function(fragment)
        if not name:
            return False
        call_id = as_text(fragment.get("id"))
        if call_id and self._id and call_id != self._id:
            return True
        # Some providers repeat the name or the id in a last, empty delta, which does not begin a new call.
        return self.has_ended and (bool(arguments) or name != self._name)

    def add(self, fragment: Mapping[str, Any]) -> bool:
        """Add a fragment. Return False if the fragment has more arguments for a call that has already ended."""
        name, arguments = read_function(fragment)
        if not _CALL_KEYS.issuperset(fragment):
            # for example, the signature of a thought, which may arrive after the last arguments
            self._extra.update({key: fragment[key] for key in fragment.keys() - _CALL_KEYS})
        if self.has_ended:
            return not (arguments and arguments.strip())
        self._id = self._id or as_text(fragment.get("id"))
        # Several gateways repeat the whole name in each delta. Others send it in pieces.
        if name and name != self._name:
            self._name += name
        if arguments is None:
            return True
        if self._arguments is None:
            self._arguments = []
        self._arguments.append(arguments)
        if self._brackets is None and arguments.lstrip().startswith("{") and not self._has_other_text():
            self._brackets = BracketCounter()
        self.has_ended = self._brackets is not None and self._brackets.feed(arguments) is not None
        return True

    def as_tool_call(self) -> dict[str, Any]:
        """Return the call as it appears in an answer that is not streamed."""
        call_id, name, arguments = self.fields
        return {**self._extra, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def end(self) -> None:
        """End the call, because its choice has ended. Does nothing if the call's arguments are incomplete JSON."""
        self.has_ended = self.has_ended or (self._brackets is None and not self.is_empty)

    def _has_other_text(self) -> bool:
        return any(text.strip() for text in (self._arguments or ())[:-1])


def _append(value: Any, piece: Any) -> Any:
    """Append a streamed piece to a reasoning field. The value of the field is a string or a list of details.

    https://openrouter.ai/docs/use-cases/reasoning-tokens#streaming-response
    """
    if isinstance(value, str) and isinstance(piece, str):
        return value + piece
    if not isinstance(piece, list):
        return piece or value
    details = list(value) if isinstance(value, list) else []
    for detail in piece:
        last = details[-1] if details else None
        if isinstance(last, Mapping) and isinstance(detail, Mapping) and _have_same_place(last, detail):
            details[-1] = {**last, **{key: _join(key, last.get(key), item) for key, item in detail.items()}}
        else:
            details.append(detail)
    return details


def _have_same_place(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return "index" in one and all(one.get(key) == other.get(key) for key in ("index", "type"))


def _join(key: str, value: Any, piece: Any) -> Any:
    if key in ("text", "summary", "data") and isinstance(value, str) and isinstance(piece, str):
        return value + piece
    return value if piece is None else piece
