"""Write an ``openai.chat`` answer from scratch, either as one body or as a stream.

https://platform.openai.com/docs/api-reference/chat/object and, for streams,
https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import PIECE_SIZE, create_id, order_deltas, set_or_delete, split_text
from multitrack.wires.lenient_json import as_object, as_text
from multitrack.wires.openai.chat_answer import read_function

_CREATED = 1_750_000_000


def build_completion(answer: WireAnswer) -> dict[str, Any]:
    """Return the body of an answer with one choice."""
    choice = {"index": 0, "message": build_message(answer), "logprobs": None, "finish_reason": answer.finish_reason}
    usage = {} if answer.usage is None else {"usage": dict(answer.usage)}
    return {**_build_envelope("chat.completion", answer), "choices": [choice], **usage}


def build_chunks(answer: WireAnswer) -> list[dict[str, Any]]:
    """Return the chunks of an answer with one choice."""
    envelope = _build_envelope("chat.completion.chunk", answer)
    chunks = [
        {**envelope, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
        for _, delta in build_deltas(answer)
    ]
    if not answer.is_complete:
        return chunks[:-1]
    chunks[-1]["choices"][0]["finish_reason"] = answer.finish_reason
    return chunks if answer.usage is None else [*chunks, {**envelope, "choices": [], "usage": dict(answer.usage)}]


def _build_envelope(kind: str, answer: WireAnswer) -> dict[str, Any]:
    completion_id = f"chatcmpl-{create_id(answer, 'completion', 29)}"
    return {"id": completion_id, "object": kind, "created": _CREATED, "model": answer.model or ""}


def build_message(answer: WireAnswer) -> dict[str, Any]:
    """Return the message of one choice."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = [write_call({}, call) for call in answer.calls]
    return {**message, "refusal": own_refusal(answer), "annotations": []}


def build_deltas(
    answer: WireAnswer, *, piece_size: int = PIECE_SIZE, is_interleaved: bool = False
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the deltas of one choice. The last delta is empty and comes with the finish reason.

    Args:
        answer: The answer.
        piece_size: The number of characters of text or arguments in one delta.
        is_interleaved: Whether to interleave the deltas of several calls instead of sending one call after another.

    Yields:
        Pairs ``(position, delta)``. A delta that starts a call has the position of that call, the last delta has the
        position after the last call, and all other deltas have None.
    """
    refusal = own_refusal(answer)
    yield None, {"role": "assistant", "content": None if answer.text is None else "", "refusal": None}
    for key, text in (("content", answer.text), ("refusal", refusal)):
        for piece in split_text(text or "", piece_size):
            yield None, {key: piece}
    calls = [cut_call(write_call({}, call), position, piece_size) for position, call in enumerate(answer.calls)]
    for starts_call, fragment in order_deltas(calls, is_interleaved=is_interleaved):
        yield starts_call, {"tool_calls": [fragment]}
    yield len(answer.calls), {}


def write_call(entry: Mapping[str, Any], call: ToolCall) -> dict[str, Any]:
    """Return ``entry`` with the id, the name and the arguments of ``call``.

    Args:
        entry: An existing entry of ``tool_calls``, or an empty mapping to create an entry.
    """
    kind, key = find_function(entry)
    function = dict(as_object(entry.get(kind)))
    name, arguments = read_function(entry)
    if not entry or (name or "") != call.name:
        function["name"] = call.name
    if arguments != call.arguments:
        set_or_delete(function, key, call.arguments)
    written = {**entry, kind: function} if entry else {"id": None, "type": kind, kind: function}
    if not entry or as_text(entry.get("id")) != call.id:
        set_or_delete(written, "id", call.id)
    return written


def find_function(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key of the function in an entry of ``tool_calls``, and the key of its arguments."""
    is_custom = not as_object(entry.get("function")) and as_object(entry.get("custom"))
    return ("custom", "input") if is_custom else ("function", "arguments")


def cut_call(entry: Mapping[str, Any], position: int, piece_size: int | None) -> list[dict[str, Any]]:
    """Return the fragments of a call: the first opens the call, the others are pieces of its arguments.

    Args:
        entry: The call, as an entry of ``tool_calls``.
        position: The position of the call in its choice.
        piece_size: The number of characters in one piece. None to send the whole call in one fragment.
    """
    kind, key = find_function(entry)
    opening = {"index": position, **{name: value for name, value in entry.items() if name != "index"}}
    arguments = entry[kind].get(key)
    if piece_size is None or not isinstance(arguments, str):
        return [opening]
    pieces = ({"index": position, kind: {key: piece}} for piece in split_text(arguments, piece_size))
    return [{**opening, kind: {**entry[kind], key: ""}}, *pieces]


def own_refusal(answer: WireAnswer) -> str | None:
    """Return the refusal text for the message, or ``None`` if the finish reason already expresses the refusal."""
    return None if answer.refusal == answer.finish_reason == "content_filter" else answer.refusal
