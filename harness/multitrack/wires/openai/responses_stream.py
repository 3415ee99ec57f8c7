"""Decode answers of the Responses API that are streamed as server-sent events.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.call_queue import CallFields, CallQueue
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message
from multitrack.wires.openai.responses_answer import read_answer, read_call
from multitrack.wires.stream_decoder import StreamDecoder

END_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponsesStreamDecoder(StreamDecoder):
    """Build the output items of a Responses stream from its events.

    OpenAI numbers the items with ``output_index``. Other servers leave it out, send 0 for every item, or change the id
    of an item between its events. Therefore, an item is identified by its ``id``, otherwise by its ``call_id``,
    otherwise by its index.
    """

    def __init__(self) -> None:
        super().__init__()
        self._response: Mapping[str, Any] = {}
        self._items: list[_Item] = []
        self._queue = CallQueue[_Item]()

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        kind = as_text(chunk.get("type")) or ""
        if "response" in chunk:
            self._response = as_object(chunk["response"])
        match kind:
            case "error":
                self._error = self._error or error_message(chunk.get("error") or chunk)
            case "response.output_item.added" | "response.output_item.done":
                return self._set_item(as_object(chunk.get("item")), _read_index(chunk), is_done=kind.endswith("done"))
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                item = self._find_open_item(chunk)
                item.has_arguments = True
                item.texts.append(as_text(chunk.get("delta")) or "")
            case "response.output_text.delta":
                self._find_open_item(chunk).texts.append(as_text(chunk.get("delta")) or "")
            case "response.function_call_arguments.done":
                return self._set_arguments(chunk, "arguments")
            case "response.custom_tool_call_input.done":
                return self._set_arguments(chunk, "input")
            case _ if kind in END_EVENTS:
                return self._finish()
            case _ if not kind:
                self._error = self._error or error_message(chunk.get("error"))
        return []

    def _set_item(self, fields: Mapping[str, Any], index: int | None, *, is_done: bool) -> list[ToolCall]:
        item = self._find_item(fields, index) or self._add_item(index)
        self._error = self._error or item.set_fields(fields)
        if not is_done:
            return []
        item.is_done = True
        return self._queue.release()

    def _set_arguments(self, chunk: Mapping[str, Any], key: str) -> list[ToolCall]:
        item = self._find_open_item(chunk)
        # A stream that resumes in the middle says which call this is only when the item is done.
        if not item.fields_so_far:
            return []
        self._error = self._error or item.set_fields({key: chunk.get(key)})
        item.is_done = True
        return self._queue.release()

    def _finish(self) -> list[ToolCall]:
        self.has_ended = True
        is_cut_off = self._response.get("status") == "incomplete"
        matched: list[_Item] = []
        for position, fields in enumerate(as_objects(self._response.get("output"))):
            item = self._find_item(fields, None, matched) or self._find_unnamed_item(fields, matched)
            if item is None:
                item = self._add_item(None)
            matched.append(item)
            item.position = position
            self._error = self._error or item.set_fields(fields)
        for item in self._items:
            if item.has_arguments and not item.fields_so_far:
                self._error = self._error or "an output item received arguments, but its start is missing"
            item.is_done = not (is_cut_off and item.fields_so_far.get("status") == "incomplete")
        return self._queue.release(is_last=True)

    def _complete_open_calls(self) -> list[ToolCall]:
        return self._queue.release(is_last=True)

    def _find_item(self, fields: Mapping[str, Any], index: int | None, excluded: Sequence[_Item] = ()) -> _Item | None:
        """Return the item that ``fields`` describe, by its id, its call id, or the index of the event."""
        items = [item for item in reversed(self._items) if item not in excluded]
        item_id, call_id = as_text(fields.get("id")), as_text(fields.get("call_id"))
        # Two calls of an answer may have the same call id. They differ in their indices.
        at_index = [item for item in items if index is None or item.index in (None, index)]
        named = (item for item in items if item_id and item_id in item.names("id"))
        called = (item for item in at_index if call_id and call_id in item.names("call_id"))
        numbered = (item for item in at_index if index is not None and item.index == index and item.may_be(fields))
        return next((item for group in (named, called, numbered) for item in group), None)

    def _find_unnamed_item(self, fields: Mapping[str, Any], excluded: Sequence[_Item]) -> _Item | None:
        """Return the first item that ``fields`` of the final answer may describe, for a server that sends no ids."""
        items = (item for item in self._items if item not in excluded)
        return next((item for item in items if item.may_be(fields) and item.describes_same(fields)), None)

    def _find_open_item(self, chunk: Mapping[str, Any]) -> _Item:
        """Return the item that a delta belongs to."""
        index = _read_index(chunk)
        item_id = as_text(chunk.get("item_id"))
        open_items = [item for item in reversed(self._items) if not item.is_done]
        named = (item for item in open_items if item_id and item_id in item.names("id"))
        indexed = (item for item in open_items if index is not None and item.index == index)
        last = iter(open_items if index is None else ())
        found = next((item for group in (named, indexed, last) for item in group), None)
        return found if found is not None else self._add_item(index)

    def _add_item(self, index: int | None) -> _Item:
        item = _Item(index, len(self._items))
        self._items.append(item)
        self._queue.add(item)
        return item

    @property
    def document(self) -> Mapping[str, Any]:
        return {**self._response, "output": self.output}

    @property
    def output(self) -> list[dict[str, Any]]:
        """The output items as far as they have arrived."""
        return [item.as_output() for item in sorted(self._items, key=lambda item: item.order)]

    @property
    def answer(self) -> WireAnswer:
        answer = read_answer(self.document)
        is_complete = self.has_ended and self._error is None
        return replace(answer, calls=self._queue.calls(), error=self._error or answer.error, is_complete=is_complete)


def _read_index(chunk: Mapping[str, Any]) -> int | None:
    index = chunk.get("output_index")
    return index if isinstance(index, int) else None


class _Item:
    """An output item: a call, a message, or an item that the client does not need."""

    def __init__(self, index: int | None, arrival: int) -> None:
        self.index = index
        self.position: int | None = None
        self.texts: list[str] = []
        self.is_done = False
        self.has_arguments = False
        """True if a delta contained arguments of a call."""
        self.fields_so_far: dict[str, Any] = {}
        self._arrival = arrival
        self._names: dict[str, set[str]] = {"id": set(), "call_id": set()}

    @property
    def order(self) -> tuple[int, int]:
        # the index of the event and the position in the final answer are the same number at OpenAI
        return self._arrival if self.index is None else self.index, self._arrival

    @property
    def fields(self) -> CallFields:
        return read_call(self.as_output()) or (None, "", None)

    @property
    def is_empty(self) -> bool:
        return read_call(self.fields_so_far) is None

    @property
    def is_complete(self) -> bool:
        return self.is_done and not self.is_empty

    def names(self, key: str) -> set[str]:
        """Return every value of ``key`` (``"id"`` or ``"call_id"``) that events contained for this item."""
        return self._names[key]

    def may_be(self, fields: Mapping[str, Any]) -> bool:
        """Return whether the type and the call id in ``fields`` fit this item, as far as they are known."""
        own = self.fields_so_far
        if own and fields.get("type") != own.get("type"):
            return False
        call_id = as_text(fields.get("call_id"))
        return not (call_id and self._names["call_id"]) or call_id in self._names["call_id"]

    def describes_same(self, fields: Mapping[str, Any]) -> bool:
        """Return whether ``fields``, whose ids are unknown, have the name and arguments of this item."""
        if self.is_empty:
            return True
        _, name, arguments = self.fields
        other = read_call(fields)
        return other is not None and other[1] == name and (not arguments or not other[2] or other[2] == arguments)

    def set_fields(self, fields: Mapping[str, Any]) -> str | None:
        """Add ``fields`` of an event.

        If they change a call that is complete, return a description of the problem, otherwise None.
        """
        for key, names in self._names.items():
            if name := as_text(fields.get(key)):
                names.add(name)
        if not self.is_complete:
            # an empty value does not replace one that has arrived: some servers end with an empty copy of the item
            known = {key: value for key, value in fields.items() if value or key not in self.fields_so_far}
            self.fields_so_far.update(known)
            return None
        before, after = self.fields, read_call({**self.fields_so_far, **fields})
        if after is None or not after[2] or _parse(after[2]) == _parse(before[2]):
            return None
        return f"the call {before[1]!r} was sent again with different arguments after it was complete"

    def as_output(self) -> dict[str, Any]:
        """Return the item as it appears in the answer, with the text of its deltas."""
        # the event with the type of the item was lost, or a server does not send it
        item = self.fields_so_far or ({} if self.has_arguments else {"type": "message"})
        text = "".join(self.texts)
        match item.get("type"):
            case "message" if not item.get("content") and text:
                return {**item, "content": [{"text": text}]}
            case "function_call" if not item.get("arguments") and text:
                return {**item, "arguments": text}
            case "custom_tool_call" if not item.get("input") and text:
                return {**item, "input": text}
        return item


def _parse(arguments: str | None) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
