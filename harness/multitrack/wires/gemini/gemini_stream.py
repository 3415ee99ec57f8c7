"""Decode the responses of ``streamGenerateContent``, which are server-sent events or a JSON array.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer, select_finish_reason
from multitrack.wires.call_queue import CallFields, CallQueue
from multitrack.wires.gemini.gemini_answer import (
    LENGTH_LIMITS,
    NORMAL_REASONS,
    find_failure,
    join_text,
    read_arguments,
    read_filter_reason,
    read_finish_reason,
    read_function_call,
)
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.stream_decoder import StreamDecoder


class GeminiStreamDecoder(StreamDecoder):
    """A decoder that collects the parts of a Gemini stream.

    A call arrives either in one part, or in several parts that each contain some of the arguments.
    """

    def __init__(self) -> None:
        super().__init__()
        self._candidates: dict[int, _StreamedCandidate] = {}
        self._queue = CallQueue[_GeminiStreamedCall]()
        self._first_open_candidate = 0
        self._model: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._block_reason: str | None = None

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        self._error = self._error or error_message(chunk.get("error"))
        self._model = self._model or as_text(chunk.get("modelVersion"))
        self._usage = as_object(chunk.get("usageMetadata")) or self._usage
        self._block_reason = self._block_reason or read_filter_reason(chunk, None)
        for entry in as_objects(chunk.get("candidates")):
            index = entry.get("index")
            index = index if isinstance(index, int) else 0
            candidate = self._candidates.get(index)
            if candidate is None:
                candidate = self._candidates[index] = _StreamedCandidate(index, self._queue)
            candidate.feed(entry)
        return self._release()

    def _release(self) -> list[ToolCall]:
        # In an answer, the calls of the first candidate come first. Hold back other calls until it ends.
        while (first := self._candidates.get(self._first_open_candidate)) is not None and first.finish_reason:
            self._first_open_candidate += 1
        for index, candidate in self._candidates.items():
            if index <= self._first_open_candidate:
                candidate.is_held_back = False
        return self._queue.release()

    def _complete_open_calls(self) -> list[ToolCall]:
        for candidate in self._candidates.values():
            candidate.end()
            candidate.is_held_back = False
        return self._queue.release(is_last=True)

    @property
    def document(self) -> Mapping[str, Any]:
        candidates = [
            {
                "index": index,
                "content": {"role": "model", "parts": candidate.join_parts()},
                "finishReason": candidate.finish_reason,
            }
            for index, candidate in sorted(self._candidates.items())
        ]
        return {"candidates": candidates, "modelVersion": self._model, "usageMetadata": self._usage}

    @property
    def answer(self) -> WireAnswer:
        candidates = [candidate for _, candidate in sorted(self._candidates.items())]
        finish_reason = select_finish_reason((candidate.finish_reason for candidate in candidates), NORMAL_REASONS)
        is_finished = bool(candidates) and all(candidate.finish_reason for candidate in candidates)
        return WireAnswer(
            calls=self._queue.calls(),
            text=next((text for candidate in candidates if (text := candidate.text)), None),
            finish_reason=finish_reason,
            refusal=self._block_reason or read_filter_reason({}, finish_reason),
            error=self._error or find_failure(finish_reason, [candidate.message for candidate in candidates]),
            model=self._model,
            usage=self._usage,
            is_complete=self._error is None and (is_finished or self._block_reason is not None),
            is_truncated=finish_reason in LENGTH_LIMITS,
        )


class _StreamedCandidate:
    def __init__(self, index: int, queue: CallQueue[_GeminiStreamedCall]) -> None:
        self.finish_reason: str | None = None
        self.message: str | None = None
        self.is_held_back = True
        self._text: list[str] = []
        self._parts: list[tuple[Mapping[str, Any], _GeminiStreamedCall | None]] = []
        self._index = index
        self._queue = queue
        self._arrivals = count()
        self._open_call: _GeminiStreamedCall | None = None

    @property
    def text(self) -> str | None:
        return "".join(self._text) or self.message

    def feed(self, entry: Mapping[str, Any]) -> None:
        parts = as_objects(as_object(entry.get("content")).get("parts"))
        if text := join_text(parts):
            self._text.append(text)
        self.message = as_text(entry.get("finishMessage")) or self.message
        for part in parts:
            function = read_function_call(part)
            self._parts.append((part, None if function is None else self._add(function)))
        self.finish_reason = read_finish_reason(entry) or self.finish_reason
        if self.finish_reason == "STOP":
            self.end()

    def end(self) -> None:
        """Treat the open call as complete, although its last part announced more parts."""
        if self._open_call is not None:
            self._open_call.has_ended = True
            self._open_call = None

    def join_parts(self) -> list[dict[str, Any]]:
        """Return the parts as they appear in an answer that is not streamed.

        A part with the signature of a thought stays separate: https://ai.google.dev/gemini-api/docs/thought-signatures
        """
        written: list[dict[str, Any]] = []
        part_of_call: dict[_GeminiStreamedCall, dict[str, Any]] = {}
        for part, call in self._parts:
            fields = {key: value for key, value in part.items() if value is not None}
            if call is not None:
                # the parts of a call whose arguments arrive in pieces are one part
                fields["functionCall"] = call.as_function_call(fields["functionCall"])
            if call is not None and call in part_of_call:
                part_of_call[call].update(fields)
            elif written and _is_plain_text(written[-1]) and _is_plain_text(fields, like=written[-1]):
                written[-1]["text"] += fields["text"]
            else:
                written.append(fields)
                if call is not None:
                    part_of_call[call] = fields
        return written

    def _add(self, function: Mapping[str, Any]) -> _GeminiStreamedCall:
        call = self._open_call
        if call is None or call.is_followed_by(function):
            self.end()
            call = _GeminiStreamedCall((self._index, next(self._arrivals)), self)
            self._queue.add(call)
        call.add(function)
        self._open_call = call if function.get("willContinue") else None
        return call


class _GeminiStreamedCall:
    """A streamed call. It arrives in one part, or its arguments arrive one value at a time, each with a JSON path.

    https://ai.google.dev/api/caching#PartialArg
    """

    is_empty = False

    def __init__(self, order: tuple[int, int], candidate: _StreamedCandidate) -> None:
        self.order = order
        self.has_ended = False
        self._candidate = candidate
        self._id: str | None = None
        self._name: str | None = None
        self._args: Any = None
        self._is_in_pieces = False

    @property
    def fields(self) -> CallFields:
        return self._id, self._name or "", read_arguments({"args": self._args})

    @property
    def is_complete(self) -> bool:
        return self.has_ended and not self._candidate.is_held_back

    def as_function_call(self, received: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the call as it appears in an answer that is not streamed.

        Args:
            received: The most recently received part of the call.
        """
        if not self._is_in_pieces:
            return received
        args = {} if self._args is None else {"args": self._args}
        return {**({"id": self._id} if self._id else {}), "name": self._name or "", **args}

    def is_followed_by(self, function: Mapping[str, Any]) -> bool:
        """Return whether ``function`` begins another call. Only the first part of a call contains the name of its
        function.
        """
        return bool(self._name and as_text(function.get("name")))

    def add(self, function: Mapping[str, Any]) -> None:
        self._id = self._id or as_text(function.get("id"))
        self._name = self._name or as_text(function.get("name"))
        args = function.get("args")
        if isinstance(args, Mapping) and isinstance(self._args, Mapping):
            self._args = {**self._args, **args}
        elif args is not None:
            self._args = args
        for partial in as_objects(function.get("partialArgs")):
            steps = _parse_path(as_text(partial.get("jsonPath")) or "")
            if steps:
                self._args = _insert(self._args, steps, _read_value(partial))
        self.has_ended = not function.get("willContinue")
        self._is_in_pieces = self._is_in_pieces or not self.has_ended or bool(function.get("partialArgs"))


def _is_plain_text(part: Mapping[str, Any], like: Mapping[str, Any] | None = None) -> bool:
    """Return whether ``part`` contains only text.

    If ``like`` is passed, also require that both parts are thoughts, or that neither is.
    """
    return (
        part.keys() <= {"text", "thought"}
        and isinstance(part.get("text"), str)
        and (like is None or bool(part.get("thought")) == bool(like.get("thought")))
    )


_STEP = re.compile(r"""\.?([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")


def _parse_path(path: str) -> list[str | int]:
    found = _STEP.finditer(path.removeprefix("$"))
    return [int(item) if item else plain or re.sub(r"\\(.)", r"\1", single or double or "")
            for plain, item, single, double in (match.groups() for match in found)]  # fmt: skip


def _read_value(partial: Mapping[str, Any]) -> Any:
    # The SDK's objects have None for each absent value, but also for a value that is null.
    values = (partial.get(kind) for kind in ("stringValue", "numberValue", "boolValue"))
    return next((value for value in values if value is not None), None)


def _insert(target: Any, steps: list[str | int], value: Any) -> Any:
    """Return ``target`` with ``value`` inserted at ``steps``. A string is appended to an existing string."""
    if not steps:
        return target + value if isinstance(target, str) and isinstance(value, str) else value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        items = list(target) if isinstance(target, list) else []
        items += [None] * (step + 1 - len(items))
        items[step] = _insert(items[step], rest, value)
        return items
    fields = dict(target) if isinstance(target, dict) else {}
    fields[step] = _insert(fields.get(step), rest, value)
    return fields
