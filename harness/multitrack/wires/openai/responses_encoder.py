"""Write an ``openai.responses`` answer from scratch, either as one body or as a stream.

https://platform.openai.com/docs/api-reference/responses/object and, for streams,
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import PIECE_SIZE, create_id, order_deltas, set_or_delete, split_text
from multitrack.wires.lenient_json import as_objects, as_text
from multitrack.wires.openai.responses_answer import LENGTH_LIMITS, read_call

_CREATED = 1_750_000_000
_STATUSES = frozenset({"completed", "failed", "in_progress", "cancelled", "queued", "incomplete"})


def build_response(answer: WireAnswer) -> dict[str, Any]:
    """Return the body of an answer."""
    output = build_output(answer, partial(create_id, answer), is_cut_off=answer.finish_reason in LENGTH_LIMITS)
    usage = None if answer.usage is None else dict(answer.usage)
    return {**_build_envelope(answer), **write_status(answer.finish_reason), "output": output, "usage": usage}


def build_events(answer: WireAnswer) -> list[dict[str, Any]]:
    """Return the events of an answer."""
    envelope = _build_envelope(answer)
    response = build_response(answer)
    events = [
        {"type": "response.created", "response": envelope},
        {"type": "response.in_progress", "response": envelope},
        *(event for _, event in build_output_events(response["output"])),
        *([{"type": end_type(response["status"]), "response": response}] if answer.is_complete else ()),
    ]
    return [{"type": event["type"], "sequence_number": number, **event} for number, event in enumerate(events)]


def _build_envelope(answer: WireAnswer) -> dict[str, Any]:
    return {
        "id": f"resp_{create_id(answer, 'response', 48)}",
        "object": "response",
        "created_at": _CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": answer.model or "",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def write_status(finish_reason: str | None) -> dict[str, Any]:
    """Return the fields for ``finish_reason``: a status, or the reason why an answer is incomplete."""
    if finish_reason in _STATUSES:
        return {"status": finish_reason, "incomplete_details": None}
    return {"status": "incomplete", "incomplete_details": {"reason": finish_reason}}


def end_type(status: str) -> str:
    """Return the type of the event that ends the stream of a response with ``status``."""
    return f"response.{status if status in ('incomplete', 'failed') else 'completed'}"


def build_output(
    answer: WireAnswer, create_item_id: Callable[[str, int], str], *, is_cut_off: bool
) -> list[dict[str, Any]]:
    """Return the output items: a message, if the answer has one, and then the calls.

    The answer has a message if it has text or a refusal, or if it has no calls.

    Args:
        answer: The answer.
        create_item_id: Takes a label and a number of characters, and returns an id.
        is_cut_off: Whether the last item is incomplete.
    """
    refusal = own_refusal(answer)
    items: list[dict[str, Any]] = []
    if answer.text is not None or refusal is not None or not answer.calls:
        parts = [build_text_part("text", answer.text), build_text_part("refusal", refusal)]
        items.append(build_message(create_item_id("message", 48), [part for part in parts if part is not None]))
    for position, call in enumerate(answer.calls):
        items.append(build_call(create_item_id(f"item/{position}", 48), call))
    if is_cut_off:
        items[-1]["status"] = "incomplete"
    return items


def own_refusal(answer: WireAnswer) -> str | None:
    """Return the refusal text for the message, or ``None`` if the finish reason already expresses the refusal."""
    return None if answer.refusal == answer.finish_reason == "content_filter" else answer.refusal


def build_text_part(key: str, text: str | None) -> dict[str, Any] | None:
    """Return the message part that holds a text or a refusal, or ``None`` if ``text`` is ``None``.

    Args:
        key: ``text`` or ``refusal``.
    """
    if text is None:
        return None
    if key == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def build_message(item_id: str, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a message with the id ``msg_{item_id}``."""
    return {
        "id": f"msg_{item_id}",
        "type": "message",
        "status": "completed",
        "content": list(content),
        "role": "assistant",
    }


def build_call(item_id: str, call: ToolCall) -> dict[str, Any]:
    """Return a function call with the id ``fc_{item_id}``."""
    arguments = {} if call.arguments is None else {"arguments": call.arguments}
    call_id = {} if call.id is None else {"call_id": call.id}
    item = {"id": f"fc_{item_id}", "type": "function_call", "status": "completed"}
    return {**item, **arguments, **call_id, "name": call.name}


def write_call(item: Mapping[str, Any], call: ToolCall) -> Mapping[str, Any]:
    """Return ``item`` with the id, name and arguments of ``call``. If nothing changes, return the same object."""
    recorded = read_call(item)
    if recorded == (call.id or None, call.name, call.arguments):
        return item
    key = "input" if item.get("type") == "custom_tool_call" else "arguments"
    written = dict(item)
    for name, old, new in zip(
        ("call_id", "name", key), recorded or (), (call.id, call.name, call.arguments), strict=True
    ):
        if new != old:
            set_or_delete(written, name, new)
    return written


def build_output_events(
    output: Sequence[Mapping[str, Any]], *, piece_size: int = PIECE_SIZE, is_interleaved: bool = False
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the events of the output items, but not those of the response itself.

    Args:
        output: The items: messages, and then calls.
        piece_size: The number of characters of text or arguments in one event.
        is_interleaved: Whether to interleave the events of several calls instead of sending one call after another.

    Yields:
        Pairs ``(position, event)``. If the event starts a call, ``position`` is the position of that call. Otherwise,
        it is None.
    """
    calls = [build_item_events(item, index, piece_size) for index, item in enumerate(output) if read_call(item)]
    for index, item in enumerate(output):
        if not read_call(item):
            for event in build_item_events(item, index, piece_size):
                yield None, event
    yield from order_deltas(calls, is_interleaved=is_interleaved)


def build_item_events(item: Mapping[str, Any], index: int, piece_size: int = PIECE_SIZE) -> list[dict[str, Any]]:
    """Return the events of one output item at the position ``index``."""
    build = _build_message_events if item.get("type") == "message" else _build_call_events
    added, *others = build(item, {"item_id": item.get("id"), "output_index": index}, piece_size)
    return [
        {"type": "response.output_item.added", "output_index": index, "item": added},
        *others,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _build_message_events(
    item: Mapping[str, Any], place: Mapping[str, Any], piece_size: int
) -> Iterator[dict[str, Any]]:
    yield {**item, "status": "in_progress", "content": []}
    for index, part in enumerate(as_objects(item.get("content"))):
        key = "refusal" if part.get("type") == "refusal" else "text"
        kind = "refusal" if key == "refusal" else "output_text"
        position = {**place, "content_index": index}
        text = as_text(part.get(key)) or ""
        logprobs: dict[str, Any] = {} if key == "refusal" else {"logprobs": []}
        yield {"type": "response.content_part.added", **position, "part": {**part, key: ""}}
        for piece in split_text(text, piece_size):
            yield {"type": f"response.{kind}.delta", **position, "delta": piece, **logprobs}
        yield {"type": f"response.{kind}.done", **position, key: text, **logprobs}
        yield {"type": "response.content_part.done", **position, "part": part}


def _build_call_events(item: Mapping[str, Any], place: Mapping[str, Any], piece_size: int) -> Iterator[dict[str, Any]]:
    is_custom = item.get("type") == "custom_tool_call"
    kind, key = ("custom_tool_call_input", "input") if is_custom else ("function_call_arguments", "arguments")
    arguments = item.get(key)
    yield {**item, "status": "in_progress", **({} if arguments is None else {key: ""})}
    for piece in split_text(as_text(arguments) or "", piece_size):
        yield {"type": f"response.{kind}.delta", **place, "delta": piece}
    # The arguments of a call that was cut off are never done.
    if arguments is not None and item.get("status") != "incomplete":
        yield {"type": f"response.{kind}.done", **place, key: arguments}
