"""Decode answers from the Responses API that are streamed as server-sent events.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
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
    """A decoder that builds the output items of a Responses stream from its events.

    OpenAI numbers the items with ``output_index``. Other servers leave out this index, send 0 for every item, or
    change the id of an item between its events. Therefore, an item is identified by its ``id``, otherwise by its
    ``call_id``, otherwise by its index.
    """

    def __init__(self) -> None:
        super().__init__()
        self._response: Mapping[str, Any] = {}
        self._items: list[_OutputItem] = []
        self._indices: set[int | None] = set()
        self._first_missing_index = 0
        self._unknown_items: list[_OutputItem] = []
        self._has_stable_ids = False
        """True if a delta had the id of an item that an earlier event announced."""
        self._queue = CallQueue[_OutputItem]()

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
                item = self._find_open_item(chunk) or self._add_lost_item(chunk)
                self._note_arguments(item)
                item.texts.append(as_text(chunk.get("delta")) or "")
            case "response.output_text.delta":
                item = self._find_open_item(chunk) or self._add_lost_item(chunk)
                item.texts.append(as_text(chunk.get("delta")) or "")
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
        item = self._find_item(fields, index)
        if item is None or (not is_done and item.is_unknown and as_text(fields.get("id")) not in item.names("id")):
            # an item that has received arguments has not just started, so this is another one
            item = self._add_item(index)
        self._error = self._error or item.set_fields(fields)
        if not is_done:
            return []
        item.is_done = True
        return self._queue.release()

    def _set_arguments(self, chunk: Mapping[str, Any], key: str) -> list[ToolCall]:
        item = self._find_open_item(chunk)
        if item is None:
            if self._repeats_call(chunk, key):
                return []
            item = self._add_lost_item(chunk)
        self._note_arguments(item)
        if item.is_unknown:
            # A stream that resumes in the middle does not say which call this is until the item is done.
            item.texts = [as_text(chunk.get(key)) or ""]
            item.is_done = True
            return []
        self._error = self._error or item.set_fields({key: chunk.get(key)})
        item.is_done = True
        return self._queue.release()

    def _repeats_call(self, chunk: Mapping[str, Any], key: str) -> bool:
        """Return whether ``chunk`` repeats the arguments of a call that is already done."""
        index, item_id = _read_index(chunk), as_text(chunk.get("item_id"))
        same = [item for item in self._items if item_id and item_id in item.names("id")]
        same = same or [item for item in self._items if item.index == index]
        arguments = _parse(as_text(chunk.get(key)))
        return any(item.is_settled and _parse(item.fields[2]) == arguments for item in same)

    def _note_arguments(self, item: _OutputItem) -> None:
        if not item.has_arguments:
            item.has_arguments = True
            self._unknown_items.append(item)

    def _finish(self) -> list[ToolCall]:
        self.has_ended = True
        is_cut_off = self._response.get("status") == "incomplete"
        matched: list[_OutputItem] = []
        for position, fields in enumerate(as_objects(self._response.get("output"))):
            item = self._find_item(fields, None, matched) or self._find_unnamed_item(fields, matched)
            if item is None:
                item = self._add_item(None)
            matched.append(item)
            item.position = position
            self._error = self._error or item.set_fields(fields)
        for item in self._items:
            if item.is_unknown:
                self._error = self._error or _describe_missing_start(item.names("id"), item.index)
            item.is_done = not (is_cut_off and item.fields_so_far.get("status") == "incomplete")
        return self._queue.release(is_last=True)

    def _complete_open_calls(self) -> list[ToolCall]:
        return self._queue.release(is_last=True)

    def _find_item(
        self, fields: Mapping[str, Any], index: int | None, excluded: Sequence[_OutputItem] = ()
    ) -> _OutputItem | None:
        """Return the item that ``fields`` describe, by its id, its call id, or the index of the event."""
        items = [item for item in reversed(self._items) if item not in excluded]
        item_id, call_id = as_text(fields.get("id")), as_text(fields.get("call_id"))
        # Two calls in an answer may have the same call id. They differ in their indices.
        at_index = [item for item in items if index is None or item.index in (None, index)]
        named = (item for item in items if item_id and item_id in item.names("id"))
        called = (item for item in at_index if call_id and call_id in item.names("call_id"))
        numbered = (
            item
            for item in at_index
            if index is not None
            and item.index == index
            and item.may_be(fields)
            and not self._has_other_id(item, item_id)
        )
        return next((item for group in (named, called, numbered) for item in group), None)

    def _has_other_id(self, item: _OutputItem, item_id: str | None) -> bool:
        """Return whether the ids prove that ``item`` is not the item with the id ``item_id``.

        A difference between the ids is a proof only if the server never changes ids and the start of ``item`` was
        lost.
        """
        return self._has_stable_ids and item.is_unknown and bool(item_id and item.names("id"))

    def _find_unnamed_item(self, fields: Mapping[str, Any], excluded: Sequence[_OutputItem]) -> _OutputItem | None:
        """Return the first item that ``fields`` could describe. Used if the complete response has no known ids."""
        item_id = as_text(fields.get("id"))
        items = (item for item in self._items if item not in excluded and not self._has_other_id(item, item_id))
        return next((item for item in items if item.may_be(fields) and item.describes_same(fields)), None)

    def _find_open_item(self, chunk: Mapping[str, Any]) -> _OutputItem | None:
        """Return the item that a delta belongs to, or None if the start of that item was lost.

        If a server never changes the ids of its items, an unknown id in a delta means that the start of the item was
        lost. As long as it is unclear whether the ids change, the item is chosen by its index.
        """
        index, item_id = _read_index(chunk), as_text(chunk.get("item_id"))
        open_items = [item for item in reversed(self._items) if not item.is_done]
        named = next((item for item in open_items if item_id and item_id in item.names("id")), None)
        if named is not None:
            self._has_stable_ids = self._has_stable_ids or not named.is_unknown
            if self._has_stable_ids and named.foreign_id is not None:
                self._error = self._error or _describe_missing_start({named.foreign_id}, index)
            return named
        for item in open_items:
            if index is not None and item.index != index:
                continue
            if item_id and item.names("id"):
                if self._has_stable_ids or item.is_unknown:
                    continue
                item.foreign_id = item_id
            return item
        return None

    def _add_lost_item(self, chunk: Mapping[str, Any]) -> _OutputItem:
        """Add an item for a delta that arrived without the start event of its item."""
        item = self._add_item(_read_index(chunk))
        if item_id := as_text(chunk.get("item_id")):
            item.names("id").add(item_id)
        return item

    def is_after_gap(self, item: _OutputItem) -> bool:
        """Return whether a call before ``item`` can still arrive."""
        if self.has_ended:
            return False
        while self._first_missing_index in self._indices:
            self._first_missing_index += 1
        if item.index is not None and item.index > self._first_missing_index:
            return True
        self._unknown_items = [other for other in self._unknown_items if other.is_unknown]
        return any(other.order < item.order for other in self._unknown_items)

    def _add_item(self, index: int | None) -> _OutputItem:
        item = _OutputItem(index, len(self._items), self)
        self._items.append(item)
        self._indices.add(index)
        self._queue.add(item)
        return item

    @property
    def document(self) -> Mapping[str, Any]:
        return {**self._response, "output": self.output}

    @property
    def output(self) -> list[dict[str, Any]]:
        """The output items that have arrived so far.

        The calls are in the order of the answer, because each tool result belongs to the call in the same position.
        """
        calls = iter(self._queue.ordered_calls())
        items = sorted((item for item in self._items if not item.is_unknown), key=lambda item: item.order)
        return [(item if item.is_empty else next(calls)).as_output() for item in items]

    @property
    def answer(self) -> WireAnswer:
        answer = read_answer(self.document)
        is_complete = self.has_ended and self._error is None
        return replace(answer, calls=self._queue.calls(), error=self._error or answer.error, is_complete=is_complete)


def _read_index(chunk: Mapping[str, Any]) -> int | None:
    index = chunk.get("output_index")
    return index if isinstance(index, int) else None


def _describe_missing_start(ids: Collection[str], index: int | None) -> str:
    name = f"id {min(ids)!r}" if ids else f"output_index {index}"
    return f"the event response.output_item.added is missing for the item with the {name}, which received arguments"


class _OutputItem:
    """An output item in a stream. Items other than calls and messages are read but ignored."""

    def __init__(self, index: int | None, arrival: int, decoder: ResponsesStreamDecoder) -> None:
        self.index = index
        self.position: int | None = None
        self.texts: list[str] = []
        self.is_done = False
        self.has_arguments = False
        """True if an event contained arguments of a call."""
        self.foreign_id: str | None = None
        """The id in a delta that was added to this item because of its index, although the item has another id."""
        self.fields_so_far: dict[str, Any] = {}
        self._arrival = arrival
        self._decoder = decoder
        self._names: dict[str, set[str]] = {"id": set(), "call_id": set()}

    @property
    def order(self) -> tuple[int, int]:
        # OpenAI uses the same number for the event's index and the position in the final answer
        known = (place for place in (self.position, self.index) if place is not None)
        return next(known, self._arrival), self._arrival

    @property
    def fields(self) -> CallFields:
        return read_call(self.as_output()) or (None, "", None)

    @property
    def is_empty(self) -> bool:
        return read_call(self.fields_so_far) is None

    @property
    def is_unknown(self) -> bool:
        """True if arguments have arrived, but no event has said which call they belong to."""
        return self.has_arguments and not self.fields_so_far

    @property
    def is_settled(self) -> bool:
        """True if the call is done. Later events can only repeat it."""
        return self.is_done and not self.is_empty

    @property
    def is_complete(self) -> bool:
        return self.is_settled and not self._decoder.is_after_gap(self)

    def names(self, key: str) -> set[str]:
        """Return every id (``key`` is ``"id"`` or ``"call_id"``) that the events of this item contained."""
        return self._names[key]

    def may_be(self, fields: Mapping[str, Any]) -> bool:
        """Return whether ``fields`` can describe this item, judging by the type and the call id.

        A value that is not known yet is not compared.
        """
        own = self.fields_so_far
        if own and fields.get("type") != own.get("type"):
            return False
        call_id = as_text(fields.get("call_id"))
        return not (call_id and self._names["call_id"]) or call_id in self._names["call_id"]

    def describes_same(self, fields: Mapping[str, Any]) -> bool:
        """Return whether ``fields`` have the same name and arguments as this item. Used if their ids are unknown."""
        if self.is_empty:
            return True
        _, name, arguments = self.fields
        other = read_call(fields)
        return other is not None and other[1] == name and (not arguments or not other[2] or other[2] == arguments)

    def set_fields(self, fields: Mapping[str, Any]) -> str | None:
        """Add the ``fields`` in an event to the item.

        If the fields change a call that is done, return a description of the problem, otherwise None.
        """
        for key, names in self._names.items():
            if name := as_text(fields.get(key)):
                names.add(name)
        if not self.is_settled:
            # an empty value does not replace one that has arrived: some servers end with an empty copy of the item
            known = {key: value for key, value in fields.items() if value or key not in self.fields_so_far}
            self.fields_so_far.update(known)
            return None
        (_, name, arguments), after = self.fields, read_call({**self.fields_so_far, **fields})
        if after is None or not after[2] or _parse(after[2]) == _parse(arguments):
            return None
        return f"the call {name!r} was complete, and was then sent again with different arguments"

    def as_output(self) -> dict[str, Any]:
        """Return the item as it appears in the answer, with the text of its deltas."""
        # the event with the type of the item was lost, or a server does not send it
        item = self.fields_so_far or {"type": "message"}
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
