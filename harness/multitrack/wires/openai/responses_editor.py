"""Change the calls, text, refusal and finish reason of a recorded ``openai.responses`` answer, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import create_id, have_same_calls, place_calls
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.openai.responses_answer import read_answer, read_call
from multitrack.wires.openai.responses_encoder import (
    build_call,
    build_item_events,
    build_message,
    build_text_part,
    end_type,
    own_refusal,
    write_call,
    write_status,
)
from multitrack.wires.openai.responses_stream import END_EVENTS, ResponsesStreamDecoder
from multitrack.wires.stream_text import StreamChunk

_Item = Mapping[str, Any]


# --- in one piece ---------------------------------------------------------------------------------------------------


def edit_response(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``original``, a response body, with the calls, text, refusal and finish reason of ``answer``."""
    before = read_answer(original)
    output = edit_output(answer, before, as_objects(original.get("output")))
    return {**original, "output": output, **_edit_status(answer, before)}


def _edit_status(answer: WireAnswer, before: WireAnswer) -> dict[str, Any]:
    return write_status(answer.finish_reason) if answer.finish_reason != before.finish_reason else {}


def edit_output(answer: WireAnswer, before: WireAnswer, items: Sequence[_Item]) -> list[_Item]:
    """Return output items with the content of ``answer``. Unchanged items are returned as the same objects."""
    if answer.text != before.text:
        items = _edit_texts(answer, items, "text", answer.text)
    if own_refusal(answer) != own_refusal(before):
        items = _edit_texts(answer, items, "refusal", own_refusal(answer))
    if not have_same_calls(answer.calls, before.calls):
        items = _edit_calls(answer, items, before.calls)
    return list(items)


def _edit_texts(answer: WireAnswer, items: Sequence[_Item], key: str, text: str | None) -> list[_Item]:
    """Replace the text or the refusal in the messages. Delete messages that have no content left.

    Args:
        key: The key of the edited parts: ``text`` or ``refusal``.
        text: The new text, or ``None`` to delete all such parts.
    """
    part = build_text_part(key, text)
    edited: list[_Item] = []
    for item in items:
        content = as_objects(item.get("content")) if item.get("type") == "message" else []
        if not any(as_text(old.get(key)) for old in content):
            edited.append(item)
            continue
        parts: list[Mapping[str, Any]] = []
        for old in content:
            if not as_text(old.get(key)):
                parts.append(old)
            elif part is not None:
                parts.append({**old, key: text})
                part = None
        if parts:
            edited.append({**item, "content": parts})
    if part is not None:
        _add_part(answer, edited, part)
    return edited


def _add_part(answer: WireAnswer, items: list[_Item], part: Mapping[str, Any]) -> None:
    """Add a part to the first message. If there is no message, insert one with this part before the first call."""
    for position, item in enumerate(items):
        if item.get("type") == "message":
            items[position] = {**item, "content": [*as_objects(item.get("content")), part]}
            return
    first_call = next((position for position, item in enumerate(items) if read_call(item)), len(items))
    items.insert(first_call, build_message(create_id(answer, "message", 48), [part]))


def _edit_calls(answer: WireAnswer, items: Sequence[_Item], recorded: Sequence[ToolCall]) -> list[_Item]:
    slots = [position for position, item in enumerate(items) if read_call(item) is not None]
    by_slot: dict[int, list[_Item]] = defaultdict(list)
    for number, (position, source, call) in enumerate(place_calls(recorded, answer.calls, slots)):
        new = build_call(create_id(answer, f"item/{number}", 48), call)
        item = new if source is None else write_call(items[slots[source]], call)
        by_slot[slots[position] if slots else len(items)].append(item)
    edited: list[_Item] = []
    for position, item in enumerate(items):
        edited += by_slot[position] if position in slots else [item]
    return edited + by_slot[len(items)]


# --- streamed -------------------------------------------------------------------------------------------------------


def edit_events(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return copies of the events in ``original``, a recorded stream, with the content and finish reason of ``answer``.

    The content consists of calls, text and a refusal. If an item changes, its events are written again, at the
    position of the item.
    """
    decoder = ResponsesStreamDecoder()
    for chunk in original:
        decoder.feed_chunk(chunk.document or {})
    before = decoder.answer
    last = next((as_object(as_object(document).get("response")) for document, _ in reversed(original)
                 if _is_end(document)), {})  # fmt: skip
    items = as_objects(last.get("output")) or decoder.output
    edited = edit_output(answer, before, items)
    chunks = _edit_item_events(original, items, edited)
    chunks = [_edit_end(chunk, answer, before, edited) for chunk in chunks]
    return _number_events(chunks)


def _is_end(document: Mapping[str, Any] | None) -> bool:
    return as_text(as_object(document).get("type")) in END_EVENTS


def _edit_item_events(
    original: Sequence[StreamChunk], items: Sequence[_Item], edited: Sequence[_Item]
) -> list[StreamChunk]:
    """Remove the events of removed items, and write the events of new and changed items after their predecessors."""
    owners = [_find_owner(chunk.document or {}, items) for chunk in original]
    kept = _find_kept(items, edited)
    with_events = [position for position, owner in enumerate(owners) if owner is not None]
    ends = [position for position, (document, _) in enumerate(original) if _is_end(document)]
    place = with_events[0] if with_events else ends[0] if ends else len(original)
    template = next(position for position, chunk in enumerate(original) if chunk.document is not None)
    inserted: dict[int, list[StreamChunk]] = defaultdict(list)
    old_positions = {edited_position: position for position, edited_position in kept.items()}
    for index, item in enumerate(edited):
        if index in old_positions:
            own = [position for position, owner in enumerate(owners) if owner == old_positions[index]]
            place = max(place, *(position + 1 for position in own)) if own else place
        else:
            inserted[place] += [StreamChunk(event, template) for event in build_item_events(item, index)]
    chunks: list[StreamChunk] = []
    for position, (chunk, owner) in enumerate(zip(original, owners, strict=True)):
        chunks += inserted[position]
        if owner is None:
            chunks.append(chunk)
        elif owner in kept:
            chunks.append(_renumber(chunk, owner, kept[owner]))
    return chunks + inserted[len(original)]


def _find_kept(items: Sequence[_Item], edited: Sequence[_Item]) -> dict[int, int]:
    """Map the old position of each unchanged item to its new position. Leave out items that changed their order."""
    kept: dict[int, int] = {}
    for index, item in enumerate(edited):
        position = next((position for position, other in enumerate(items) if other is item), -1)
        if position > max(kept, default=-1):
            kept[position] = index
    return kept


def _find_owner(event: Mapping[str, Any], items: Sequence[_Item]) -> int | None:
    """Return the position of the item that ``event`` belongs to, or None if it belongs to the response."""
    item = as_object(event.get("item"))
    index = event.get("output_index")
    for key, value in (("id", event.get("item_id") or item.get("id")), ("call_id", item.get("call_id"))):
        if as_text(value):
            for position, candidate in enumerate(items):
                if candidate.get(key) == value:
                    return position
    return index if isinstance(index, int) and index < len(items) else None


def _renumber(chunk: StreamChunk, old: int, new: int) -> StreamChunk:
    document = chunk.document or {}
    # Some servers number every item with 0.
    if old == new or document.get("output_index") != old:
        return chunk
    return StreamChunk({**document, "output_index": new}, chunk.frame)


def _edit_end(chunk: StreamChunk, answer: WireAnswer, before: WireAnswer, edited: Sequence[_Item]) -> StreamChunk:
    """Write the content and the status of ``answer`` into ``chunk``, the last event, which repeats the whole answer."""
    document = chunk.document
    if document is None or not _is_end(document):
        return chunk
    response = dict(as_object(document.get("response")))
    status = _edit_status(answer, before)
    # Some servers end with an answer that repeats no items.
    output = {"output": list(edited)} if response.get("output") else {}
    kind = end_type(status["status"]) if status else document["type"]
    return StreamChunk({**document, "type": kind, "response": {**response, **output, **status}}, chunk.frame)


def _number_events(chunks: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Number the events without gaps, if the server numbers them."""
    numbers = [(chunk.document or {}).get("sequence_number") for chunk in chunks]
    first = next((number for number in numbers if isinstance(number, int)), None)
    if first is None:
        return list(chunks)
    numbered: list[StreamChunk] = []
    for document, frame in chunks:
        if document is None:
            numbered.append(StreamChunk(None, frame))
            continue
        numbered.append(StreamChunk(_set_number(document, first), frame))
        first += 1
    return numbered


def _set_number(event: Mapping[str, Any], number: int) -> dict[str, Any]:
    head = {key: event[key] for key in ("type",) if key in event}
    return (
        {**event, "sequence_number": number}
        if "sequence_number" in event
        else {**head, "sequence_number": number, **event}
    )
