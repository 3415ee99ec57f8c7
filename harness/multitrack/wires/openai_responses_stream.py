"""The wire format ``openai.responses.stream``: the Responses API as server-sent events.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires import openai_responses
from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.stream_decoder import StreamDecoder

_END_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesStreamDecoder(StreamDecoder):
    """Build the output items of a Responses stream from its events."""

    def __init__(self) -> None:
        super().__init__()
        self._response: Mapping[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, list[str]] = {}
        self._complete_positions: set[int] = set()
        self._arrivals = count()

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        kind = as_text(chunk.get("type")) or ""
        position = chunk.get("output_index")
        position = position if isinstance(position, int) else 0
        if "response" in chunk:
            self._response = as_object(chunk["response"])
        match kind:
            case "error":
                self._error = self._error or error_message(chunk.get("error") or chunk)
            case "response.output_item.added" | "response.output_item.done":
                self._items[position] = dict(as_object(chunk.get("item")))
                return self._complete(position) if kind.endswith("done") else []
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                self._texts.setdefault(position, []).append(as_text(chunk.get("delta")) or "")
            case "response.function_call_arguments.done":
                return self._set_arguments(position, "arguments", chunk.get("arguments"))
            case "response.custom_tool_call_input.done":
                return self._set_arguments(position, "input", chunk.get("input"))
            case "response.output_text.delta":
                self._texts.setdefault(position, []).append(as_text(chunk.get("delta")) or "")
            case _ if kind in _END_EVENTS:
                return self._finish()
            case _ if not kind:
                self._error = self._error or error_message(chunk.get("error"))
        return []

    def _set_arguments(self, position: int, key: str, value: object) -> list[ToolCall]:
        # A stream that resumes in the middle says which call this is only when the item is done.
        if position not in self._items:
            return []
        self._items[position][key] = value
        return self._complete(position)

    def _finish(self) -> list[ToolCall]:
        self.has_ended = True
        output = as_objects(self._response.get("output"))
        self._items.update((position, dict(item)) for position, item in enumerate(output))
        is_cut_off = self._response.get("status") == "incomplete"
        complete = [
            position
            for position, item in sorted(self._items.items())
            if not (is_cut_off and item.get("status") == "incomplete")
        ]
        return [call for position in complete for call in self._complete(position)]

    def _complete(self, position: int) -> list[ToolCall]:
        fields = openai_responses.read_call(self._items[position])
        if fields is None or position in self._complete_positions:
            return []
        self._complete_positions.add(position)
        return [ToolCall(*fields, next(self._arrivals))]

    @property
    def answer(self) -> WireAnswer:
        output = [self._item_so_far(position) for position in sorted(self._items.keys() | self._texts.keys())]
        answer = openai_responses.read_answer({**self._response, "output": output})
        error = self._error or answer.error
        return replace(answer, error=error, is_complete=self.has_ended and error is None)

    def _item_so_far(self, position: int) -> dict[str, Any]:
        item = self._items.get(position, {"type": "message"})
        text = "".join(self._texts.get(position, ()))
        match item.get("type"):
            case "message" if not item.get("content") and text:
                return {**item, "content": [{"text": text}]}
            case "function_call" if not item.get("arguments") and text:
                return {**item, "arguments": text}
            case "custom_tool_call" if not item.get("input") and text:
                return {**item, "input": text}
        return item
