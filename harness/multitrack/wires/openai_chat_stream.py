"""The wire ``openai.chat.stream``: chat completions as server-sent chunks.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from multitrack.toolcall import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.brackets import BracketCounter
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.openai_chat import find_refusal, read_function, read_text
from multitrack.wires.stream_decoder import StreamDecoder


class ChatStreamDecoder(StreamDecoder):
    """Assembles the calls of a chat stream from their deltas."""

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
            completed += choice.take(entry)
        return completed

    def _done(self) -> list[ToolCall]:
        return [call for choice in self._choices.values() for call in choice.end()]

    @property
    def answer(self) -> WireAnswer:
        choices = [choice for _, choice in sorted(self._choices.items())]
        calls = [call.parts for choice in choices for call in choice.calls()]
        finish = next((choice.finish for choice in choices if choice.finish), None)
        finished = bool(choices) and all(choice.finish for choice in choices)
        return WireAnswer(
            calls=tuple(ToolCall(*parts, index) for index, parts in enumerate(calls)),
            text=next((text for choice in choices if (text := "".join(choice.text))), None),
            finish_reason=finish,
            refusal=find_refusal(("".join(choice.refusal) for choice in choices), finish),
            error=self._error,
            model=self._model,
            usage=self._usage,
            is_complete=self._error is None and (self.has_ended or finished),
        )


class _Choice:
    def __init__(self, arrivals: Iterator[int]) -> None:
        self.finish: str | None = None
        self.text: list[str] = []
        self.refusal: list[str] = []
        self._arrivals = arrivals
        self._calls: list[_Call] = []
        self._last: dict[int | None, _Call] = {}
        self._named: dict[tuple[int | None, str], _Call] = {}
        self._legacy: _Call | None = None

    def calls(self) -> list[_Call]:
        """By the provider's index where it gave one, else as they came."""
        legacy = [self._legacy] if self._legacy else []
        return [call for call in sorted(self._calls, key=lambda call: call.order) + legacy if not call.empty]

    def take(self, entry: Mapping[str, Any]) -> list[ToolCall]:
        # a gateway that does not stream sends the message whole; one that sends both means the delta
        delta = as_object(entry.get("delta")) or as_object(entry.get("message"))
        if text := read_text(delta.get("content")):
            self.text.append(text)
        if refusal := as_text(delta.get("refusal")):
            self.refusal.append(refusal)
        touched: set[_Call] = set()
        completed = []
        for fragment in as_objects(delta.get("tool_calls")):
            call = self._owner(fragment, touched)
            touched.add(call)
            completed += call.add(fragment)
        if legacy := as_object(delta.get("function_call")):
            self._legacy = self._legacy or _Call(None, next(self._arrivals))
            completed += self._legacy.add({"function": legacy})
        self.finish = as_text(entry.get("finish_reason")) or self.finish
        return completed + (self.end() if self.finish else [])

    def end(self) -> list[ToolCall]:
        """Nothing more comes: the calls that only this completes."""
        return [given for call in self.calls() for given in call.end()]

    def _owner(self, fragment: Mapping[str, Any], touched: set[_Call]) -> _Call:
        """The call that ``fragment`` belongs to, a new one if it begins one.

        Not all providers count: some leave ``index`` out or send 0 for every call. So a call is told by its
        index, then by its id, then by a name that comes where the call before has all that it needs.
        """
        index = fragment.get("index")
        index = index if isinstance(index, int) else None
        call_id = as_text(fragment.get("id"))
        owner = (self._named.get((index, call_id)) if call_id else None) or self._last.get(index)
        if owner is None or owner in touched or owner.is_followed_by(fragment):
            owner = _Call(index, next(self._arrivals))
            self._calls.append(owner)
            self._last[index] = owner
        if call_id:
            self._named[index, call_id] = owner
        return owner


class _Call:
    def __init__(self, index: int | None, arrival: int) -> None:
        self.order = (arrival if index is None else index, arrival)
        self._arrival = arrival
        self._id: str | None = None
        self._name = ""
        self._arguments: list[str] | None = None
        self._json: BracketCounter | None = None
        self._given = False

    @property
    def parts(self) -> tuple[str | None, str, str | None]:
        """Id, name and arguments, as far as they have come."""
        return self._id, self._name, None if self._arguments is None else "".join(self._arguments)

    @property
    def empty(self) -> bool:
        """Whether nothing has come that makes it a call."""
        return not (self._id or self._name or (self._arguments and any(self._arguments)))

    def is_followed_by(self, fragment: Mapping[str, Any]) -> bool:
        """Whether ``fragment``, which has this call's index, begins another call."""
        name, arguments = read_function(fragment)
        if not name:
            return False
        call_id = as_text(fragment.get("id"))
        if call_id and self._id and call_id != self._id:
            return True
        # a name or an id repeated in a last, empty delta is no new call
        return self._given and (bool(arguments) or name != self._name)

    def add(self, fragment: Mapping[str, Any]) -> list[ToolCall]:
        """Take a fragment. The call itself, if that completes it."""
        self._id = self._id or as_text(fragment.get("id"))
        name, arguments = read_function(fragment)
        # several gateways repeat the whole name in each delta; others cut it in pieces
        if name and name != self._name:
            self._name += name
        if arguments is None:
            return []
        if self._arguments is None:
            self._arguments = []
        self._arguments.append(arguments)
        if self._json is None and arguments.lstrip().startswith("{") and not self._has_other_text():
            self._json = BracketCounter()
        closed = self._json is not None and self._json.feed(arguments) is not None
        return self._give() if closed else []

    def end(self) -> list[ToolCall]:
        """The call, if it is complete now that nothing more can come; JSON that was cut off never is."""
        return [] if self._json is not None else self._give()

    def _has_other_text(self) -> bool:
        return any(text.strip() for text in (self._arguments or ())[:-1])

    def _give(self) -> list[ToolCall]:
        if self._given:
            return []
        self._given = True
        return [ToolCall(*self.parts, self._arrival)]
