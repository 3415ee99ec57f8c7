"""The wire format ``gemini.stream``: ``streamGenerateContent``, as server-sent events or as a JSON array.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.gemini import (
    join_text,
    read_arguments,
    read_filter_reason,
    read_finish_reason,
    read_function_call,
)
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.stream_decoder import StreamDecoder


class GeminiStreamDecoder(StreamDecoder):
    """Collect the parts of a Gemini stream. A call arrives whole in one part, or as partial arguments."""

    def __init__(self) -> None:
        super().__init__()
        self._candidates: dict[int, _Candidate] = {}
        self._arrivals = count()
        self._model: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._block_reason: str | None = None

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        self._error = self._error or error_message(chunk.get("error"))
        self._model = self._model or as_text(chunk.get("modelVersion"))
        self._usage = as_object(chunk.get("usageMetadata")) or self._usage
        self._block_reason = self._block_reason or read_filter_reason(chunk, None)
        completed: list[ToolCall] = []
        for entry in as_objects(chunk.get("candidates")):
            index = entry.get("index")
            candidate = self._candidates.setdefault(index if isinstance(index, int) else 0, _Candidate())
            completed += [ToolCall(*fields, next(self._arrivals)) for fields in candidate.feed(entry)]
        return completed

    @property
    def answer(self) -> WireAnswer:
        candidates = [candidate for _, candidate in sorted(self._candidates.items())]
        calls = [fields for candidate in candidates for fields in candidate.calls()]
        finish_reason = next((candidate.finish_reason for candidate in candidates if candidate.finish_reason), None)
        is_finished = bool(candidates) and all(candidate.finish_reason for candidate in candidates)
        return WireAnswer(
            calls=tuple(ToolCall(*fields, index) for index, fields in enumerate(calls)),
            text=next((text for candidate in candidates if (text := candidate.text)), None),
            finish_reason=finish_reason,
            refusal=self._block_reason or read_filter_reason({}, finish_reason),
            error=self._error,
            model=self._model,
            usage=self._usage,
            is_complete=self._error is None and (is_finished or self._block_reason is not None),
        )


# The id, the name and the arguments of a call.
_CallFields = tuple[str | None, str, str | None]


class _Candidate:
    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._text: list[str] = []
        self._message: str | None = None
        self._calls: list[_CallFields] = []
        self._partial: _PartialCall | None = None

    @property
    def text(self) -> str | None:
        return "".join(self._text) or self._message

    def calls(self) -> list[_CallFields]:
        return [*self._calls, *([self._partial.fields] if self._partial else [])]

    def feed(self, entry: Mapping[str, Any]) -> list[_CallFields]:
        """Return the calls that ``entry`` completes."""
        parts = as_objects(as_object(entry.get("content")).get("parts"))
        if text := join_text(parts):
            self._text.append(text)
        self._message = as_text(entry.get("finishMessage")) or self._message
        self.finish_reason = read_finish_reason(entry) or self.finish_reason
        functions = [call for part in parts if (call := read_function_call(part)) is not None]
        completed = [call for function in functions for call in self._add(function)]
        self._calls += completed
        return completed

    def _add(self, function: Mapping[str, Any]) -> list[_CallFields]:
        continues = bool(function.get("willContinue"))
        if self._partial is None and not continues and "partialArgs" not in function:
            return [(as_text(function.get("id")), as_text(function.get("name")) or "", read_arguments(function))]
        self._partial = self._partial or _PartialCall()
        self._partial.add(function)
        if continues:
            return []
        completed, self._partial = self._partial, None
        return [completed.fields]


class _PartialCall:
    """A call whose arguments arrive value by value, each with its JSON path.

    https://ai.google.dev/api/caching#PartialArg
    """

    def __init__(self) -> None:
        self._id: str | None = None
        self._name: str | None = None
        self._args: dict[str, Any] | None = None

    @property
    def fields(self) -> _CallFields:
        return self._id, self._name or "", read_arguments({"args": self._args})

    def add(self, function: Mapping[str, Any]) -> None:
        self._id = self._id or as_text(function.get("id"))
        self._name = self._name or as_text(function.get("name"))
        args = function.get("args")
        if isinstance(args, Mapping):
            self._args = {**(self._args or {}), **args}
        for partial in as_objects(function.get("partialArgs")):
            steps = _parse_path(as_text(partial.get("jsonPath")) or "")
            if steps:
                self._args = _insert(self._args, steps, _read_value(partial))


_STEP = re.compile(r"""\.?([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")


def _parse_path(path: str) -> list[str | int]:
    found = _STEP.finditer(path.removeprefix("$"))
    return [int(item) if item else plain or re.sub(r"\\(.)", r"\1", single or double or "")
            for plain, item, single, double in (match.groups() for match in found)]  # fmt: skip


def _read_value(partial: Mapping[str, Any]) -> Any:
    return next((partial[kind] for kind in ("stringValue", "numberValue", "boolValue") if kind in partial), None)


def _insert(target: Any, steps: list[str | int], value: Any) -> Any:
    """Return ``target`` with ``value`` inserted at ``steps``. Text is appended to text that is already there."""
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
