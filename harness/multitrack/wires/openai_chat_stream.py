"""The wire format ``openai.chat.stream``: chat completions as server-sent events.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.brackets import BracketCounter
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.openai_chat import find_refusal, read_function, read_text
from multitrack.wires.stream_decoder import StreamDecoder


class ChatStreamDecoder(StreamDecoder):
    """Assemble the calls of a chat stream from their deltas."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}
        self._arrivals = count()
        self._model: str | None = None
        self._usage: Mapping[str, Any] | None = None

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        self._error = self._error or error_message(chunk.get("error"))
        self._model = self._model or as_text(chunk.get("model"))
        self._usage = as_object(chunk.get("usage")) or self._usage
        completed: list[ToolCall] = []
        for entry in as_objects(chunk.get("choices")):
            index = entry.get("index")
            index = index if isinstance(index, int) else 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(self._arrivals)
            completed += choice.feed(entry)
        return completed

    def _complete_open_calls(self) -> list[ToolCall]:
        return [call for choice in self._choices.values() for call in choice.end()]

    @property
    def answer(self) -> WireAnswer:
        choices = [choice for _, choice in sorted(self._choices.items())]
        calls = [call.fields for choice in choices for call in choice.calls()]
        finish_reason = next((choice.finish_reason for choice in choices if choice.finish_reason), None)
        is_finished = bool(choices) and all(choice.finish_reason for choice in choices)
        return WireAnswer(
            calls=tuple(ToolCall(*fields, index) for index, fields in enumerate(calls)),
            text=next((text for choice in choices if (text := "".join(choice.text))), None),
            finish_reason=finish_reason,
            refusal=find_refusal(("".join(choice.refusal) for choice in choices), finish_reason),
            error=self._error,
            model=self._model,
            usage=self._usage,
            is_complete=self._error is None and (self.has_ended or is_finished),
        )


class _Choice:
    def __init__(self, arrivals: Iterator[int]) -> None:
        self.finish_reason: str | None = None
        self.text: list[str] = []
        self.refusal: list[str] = []
        self._arrivals = arrivals
        self._calls: list[_StreamedCall] = []
        self._last_by_index: dict[int | None, _StreamedCall] = {}
        self._by_id: dict[tuple[int | None, str], _StreamedCall] = {}
        self._legacy: _StreamedCall | None = None

    def calls(self) -> list[_StreamedCall]:
        """Return the calls, ordered by the provider's index, or by arrival if it sent none."""
        legacy = [self._legacy] if self._legacy else []
        return [call for call in sorted(self._calls, key=lambda call: call.order) + legacy if not call.is_empty]

    def feed(self, entry: Mapping[str, Any]) -> list[ToolCall]:
        # A gateway that does not stream sends the whole message. If one sends both, the delta counts.
        delta = as_object(entry.get("delta")) or as_object(entry.get("message"))
        if text := read_text(delta.get("content")):
            self.text.append(text)
        if refusal := as_text(delta.get("refusal")):
            self.refusal.append(refusal)
        seen: set[_StreamedCall] = set()
        completed = []
        for fragment in as_objects(delta.get("tool_calls")):
            call = self._find_call(fragment, seen)
            seen.add(call)
            completed += call.add(fragment)
        if legacy := as_object(delta.get("function_call")):
            self._legacy = self._legacy or _StreamedCall(None, next(self._arrivals))
            completed += self._legacy.add({"function": legacy})
        self.finish_reason = as_text(entry.get("finish_reason")) or self.finish_reason
        return completed + (self.end() if self.finish_reason else [])

    def end(self) -> list[ToolCall]:
        """Return the calls that the end of the choice completes."""
        return [completed for call in self.calls() for completed in call.end()]

    def _find_call(self, fragment: Mapping[str, Any], seen: set[_StreamedCall]) -> _StreamedCall:
        """Return the call that ``fragment`` belongs to, which is a new one if the fragment begins it.

        Some providers leave ``index`` out or send 0 for every call. So an id counts together with the index, and a
        fragment of the same index begins another call if it comes in the same delta, has a different id, or has a
        name although the call before it is complete.
        """
        index = fragment.get("index")
        index = index if isinstance(index, int) else None
        call_id = as_text(fragment.get("id"))
        call = (self._by_id.get((index, call_id)) if call_id else None) or self._last_by_index.get(index)
        if call is None or call in seen or call.is_followed_by(fragment):
            call = _StreamedCall(index, next(self._arrivals))
            self._calls.append(call)
            self._last_by_index[index] = call
        if call_id:
            self._by_id[index, call_id] = call
        return call


class _StreamedCall:
    def __init__(self, index: int | None, arrival: int) -> None:
        self.order = (arrival if index is None else index, arrival)
        self._arrival = arrival
        self._id: str | None = None
        self._name = ""
        self._arguments: list[str] | None = None
        self._brackets: BracketCounter | None = None
        self._is_complete = False

    @property
    def fields(self) -> tuple[str | None, str, str | None]:
        """The id, name and arguments, as far as they have arrived."""
        return self._id, self._name, None if self._arguments is None else "".join(self._arguments)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has arrived that makes it a call."""
        return not (self._id or self._name or (self._arguments and any(self._arguments)))

    def is_followed_by(self, fragment: Mapping[str, Any]) -> bool:
        """Return whether ``fragment``, which has the index of this call, begins another call."""
        name, arguments = read_function(fragment)
        if not name:
            return False
        call_id = as_text(fragment.get("id"))
        if call_id and self._id and call_id != self._id:
            return True
        # Some providers repeat the name or the id in a last, empty delta, which does not begin a new call.
        return self._is_complete and (bool(arguments) or name != self._name)

    def add(self, fragment: Mapping[str, Any]) -> list[ToolCall]:
        """Add a fragment. Return the call if the fragment completes it."""
        self._id = self._id or as_text(fragment.get("id"))
        name, arguments = read_function(fragment)
        # Several gateways repeat the whole name in each delta. Others send it in pieces.
        if name and name != self._name:
            self._name += name
        if arguments is None:
            return []
        if self._arguments is None:
            self._arguments = []
        self._arguments.append(arguments)
        if self._brackets is None and arguments.lstrip().startswith("{") and not self._has_other_text():
            self._brackets = BracketCounter()
        is_closed = self._brackets is not None and self._brackets.feed(arguments) is not None
        return self._complete() if is_closed else []

    def end(self) -> list[ToolCall]:
        """Return the call if it is complete at the end of the choice. A call with JSON that was cut off never is."""
        return [] if self._brackets is not None else self._complete()

    def _has_other_text(self) -> bool:
        return any(text.strip() for text in (self._arguments or ())[:-1])

    def _complete(self) -> list[ToolCall]:
        if self._is_complete:
            return []
        self._is_complete = True
        return [ToolCall(*self.fields, self._arrival)]
