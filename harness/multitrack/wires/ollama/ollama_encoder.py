"""Write an answer in the format of Ollama's chat API, from scratch or by editing a recorded answer.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import (
    PIECE_SIZE,
    have_same_calls,
    parse_object_arguments,
    place_calls,
    set_or_delete,
    split_text,
    spread_text,
)
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.ollama.ollama_answer import OllamaStreamDecoder, find_message, read_answer, read_arguments
from multitrack.wires.stream_text import StreamChunk

_Fields = dict[str, Any]
"""A JSON object that is changed in place."""

# Ollama sends the time of each chunk. Encoded answers must not differ from run to run.
_CREATED = "2026-01-01T00:00:00Z"


# --- from scratch ---------------------------------------------------------------------------------------------------


def build_answer(answer: WireAnswer) -> dict[str, Any]:
    """Return the body of an answer."""
    calls = [write_call({}, call) for call in answer.calls]
    message = {"content": answer.text or "", **({"tool_calls": calls} if calls else {})}
    return _build_chunk(answer, message, is_last=answer.is_complete)


def build_chunks(answer: WireAnswer, *, piece_size: int = PIECE_SIZE) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a stream, with ``piece_size`` characters of text in each.

    If the answer is incomplete, the chunk that ends the stream is left out.
    """
    for piece in split_text(answer.text or "", piece_size):
        yield _build_chunk(answer, {"content": piece})
    for call in answer.calls:
        yield _build_chunk(answer, {"content": "", "tool_calls": [write_call({}, call)]})
    if answer.is_complete:
        yield _build_chunk(answer, {"content": ""}, is_last=True)


def _build_chunk(answer: WireAnswer, message: Mapping[str, Any], *, is_last: bool = False) -> dict[str, Any]:
    chunk = {
        "model": answer.model or "",
        "created_at": _CREATED,
        "message": {"role": "assistant", **message},
        "done": is_last,
    }
    return {**chunk, "done_reason": answer.finish_reason, **(answer.usage or {})} if is_last else chunk


def write_call(entry: Mapping[str, Any], call: ToolCall) -> dict[str, Any]:
    """Return ``entry`` with the id, the name and the arguments of ``call``.

    ``entry`` is an entry of ``tool_calls``, or empty for a new call.

    Raises:
        ValueError: If the arguments are not a JSON object.
    """
    written = dict(entry)
    function = dict(as_object(entry.get("function")))
    if as_text(entry.get("id")) != call.id:
        set_or_delete(written, "id", call.id)
    if (as_text(function.get("name")) or "") != call.name or not entry:
        function["name"] = call.name
    if read_arguments(entry) != call.arguments:
        set_or_delete(function, "arguments", None if call.arguments is None else parse_object_arguments(call))
    return {**written, "function": function}


# --- with an original -----------------------------------------------------------------------------------------------


def edit_answer(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``original``, a response body, with the calls, text and ``done_reason`` of ``answer``."""
    document = deepcopy(dict(original))
    before = read_answer(original)
    _edit_messages([document], before, answer)
    if answer.finish_reason != before.finish_reason:
        set_or_delete(document, "done_reason", answer.finish_reason)
    return document


def edit_chunks(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return copies of the ``original`` chunks, with the calls, the text and the ``done_reason`` of ``answer``."""
    decoder = OllamaStreamDecoder()
    chunks = [StreamChunk(deepcopy(document), frame) for document, frame in original]
    documents = [chunk.document for chunk in chunks if chunk.document is not None]
    for document in documents:
        decoder.feed_chunk(document)
    before = decoder.answer
    # A chunk with an error has no message. It gets one only if there is no other chunk.
    parts = [document for document in documents if "message" in document or "response" in document]
    _edit_messages(parts or documents[-1:], before, answer)
    if answer.finish_reason != before.finish_reason:
        last = next((document for document in documents if document.get("done") is True), documents[-1])
        set_or_delete(last, "done_reason", answer.finish_reason)
    return chunks


def _edit_messages(documents: Sequence[_Fields], before: WireAnswer, answer: WireAnswer) -> None:
    """Replace the text and the calls in ``documents`` with those of ``answer``. Changes ``documents`` in place.

    ``before`` is the recorded answer, and ``documents`` are its body or its chunks.
    """
    changes_calls = not have_same_calls(answer.calls, before.calls)
    if answer.text == before.text and not changes_calls:
        return
    for document in documents:
        if not isinstance(document.get("message"), dict) and "response" not in document:
            document["message"] = {"role": "assistant", "content": ""}
    messages: list[tuple[Any, str]] = [find_message(document) for document in documents]
    if answer.text != before.text:
        places = [(message, key) for message, key in messages if as_text(message.get(key))] or messages[:1]
        for (message, key), piece in zip(places, spread_text(answer.text or "", len(places)), strict=True):
            message[key] = piece
    if changes_calls:
        _edit_calls([message for message, _ in messages], before.calls, answer.calls)


def _edit_calls(messages: Sequence[_Fields], recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> None:
    """Replace the ``recorded`` calls with ``calls``. A new call is inserted after the call that precedes it in
    ``calls``.
    """
    slots = [entry for message in messages for entry in as_objects(message.get("tool_calls"))]
    new: list[list[Mapping[str, Any]]] = [[] for _ in slots] or [[]]
    for position, source, call in place_calls(recorded, calls, slots):
        new[position].append(write_call({} if source is None else slots[source], call))
    if not slots:
        messages[-1]["tool_calls"] = new[0]
    entries = iter(new)
    for message in messages if slots else ():
        if found := as_objects(message.get("tool_calls")):
            written = [entry for _ in found for entry in next(entries)]
            set_or_delete(message, "tool_calls", written or None)
