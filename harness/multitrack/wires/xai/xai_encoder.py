"""Write an answer in the format of xAI's gRPC API, from scratch or by editing a recorded answer.

The format is protobuf JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import (
    PIECE_SIZE,
    create_id,
    have_same_calls,
    place_calls,
    set_or_delete,
    split_text,
    spread_text,
)
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.stream_text import StreamChunk
from multitrack.wires.xai.xai_answer import (
    XaiStreamDecoder,
    find_message,
    find_texts,
    is_call,
    read_answer,
    read_arguments,
    read_index,
)

_Fields = dict[str, Any]
"""A JSON object that is changed in place."""

# xAI sends the time of each answer. Encoded answers must not differ from run to run.
_CREATED = "2026-01-01T00:00:00Z"


# --- from scratch ---------------------------------------------------------------------------------------------------


def build_response(answer: WireAnswer) -> dict[str, Any]:
    """Return the message of an answer with one output."""
    calls = [write_call({}, call) for call in answer.calls]
    message = {"role": "ROLE_ASSISTANT", **_if_set(content=answer.text, toolCalls=calls)}
    output = {"message": message, "finishReason": answer.finish_reason}
    return {**_build_envelope(answer), "outputs": [output], **_if_set(usage=answer.usage)}


def build_chunks(answer: WireAnswer, *, piece_size: int = PIECE_SIZE) -> Iterator[dict[str, Any]]:
    """Yield the messages of a stream, with ``piece_size`` characters of text in each.

    The last message is left out if the answer is incomplete.
    """
    envelope = _build_envelope(answer)
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in split_text(answer.text or "", piece_size)]
    deltas += [{"toolCalls": [write_call({}, call)]} for call in answer.calls]
    for delta in deltas:
        yield {**envelope, "outputs": [{"delta": {"role": "ROLE_ASSISTANT", **delta}}]}
    if answer.is_complete:
        output = {"delta": {"role": "ROLE_ASSISTANT"}, "finishReason": answer.finish_reason}
        yield {**envelope, "outputs": [output], **_if_set(usage=answer.usage)}


def _build_envelope(answer: WireAnswer) -> dict[str, Any]:
    return {"id": create_id(answer, "completion", 32), "created": _CREATED, **_if_set(model=answer.model)}


def _if_set(**fields: object) -> dict[str, Any]:
    # as protobuf JSON, which omits default values
    return {key: value for key, value in fields.items() if value}


def write_call(entry: Mapping[str, Any], call: ToolCall) -> dict[str, Any]:
    """Return ``entry`` with the id, the name and the arguments of ``call``.

    Args:
        entry: An existing entry of ``toolCalls``, or an empty mapping to create an entry.
    """
    written = dict(entry) if entry else {"type": "TOOL_CALL_TYPE_CLIENT_SIDE_TOOL"}
    function = dict(as_object(entry.get("function")))
    if as_text(entry.get("id")) != call.id:
        set_or_delete(written, "id", call.id)
    if (as_text(function.get("name")) or "") != call.name:
        function["name"] = call.name
    if read_arguments(entry) != call.arguments:
        set_or_delete(function, "arguments", call.arguments)
    return {**written, "function": function}


# --- with an original -----------------------------------------------------------------------------------------------


def edit_response(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the response message ``original`` that has the calls, text and finish reason of ``answer``."""
    document = deepcopy(dict(original))
    _edit_documents([document], read_answer(original), answer, "message")
    return document


def edit_chunks(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return copies of the chunks in ``original`` that have the calls, text and finish reason of ``answer``."""
    decoder = XaiStreamDecoder()
    chunks = [StreamChunk(deepcopy(document), frame) for document, frame in original]
    documents = [chunk.document for chunk in chunks if chunk.document is not None]
    for document in documents:
        decoder.feed_chunk(document)
    _edit_documents(documents, decoder.answer, answer, "delta")
    return chunks


def _edit_documents(documents: Sequence[_Fields], before: WireAnswer, answer: WireAnswer, kind: str) -> None:
    """Change the text, the calls and the finish reason of one answer, in place.

    Args:
        documents: The chunks of a streamed answer, or the single message of an answer in one piece.
        before: The answer that ``documents`` contain.
        answer: The answer to write.
        kind: The key of the message in an output: ``message`` or ``delta``.
    """
    outputs: list[Any] = [output for document in documents for output in as_objects(document.get("outputs"))]
    if not any(find_message(output) for output in outputs):
        outputs = [{kind: {"role": "ROLE_ASSISTANT"}}]
        documents[-1]["outputs"] = [*as_objects(documents[-1].get("outputs")), *outputs]
    # in the order of the decoder, which sorts the outputs by their index
    outputs.sort(key=read_index)
    own = [output for output in outputs if find_message(output)]
    if answer.text != before.text:
        _edit_text(own, answer.text)
    if not have_same_calls(answer.calls, before.calls):
        messages: list[Any] = [find_message(output) for output in own]
        _edit_calls(messages, before.calls, answer.calls)
    if answer.finish_reason != before.finish_reason:
        ended = [output for output in own if as_text(output.get("finishReason"))] or own[-1:]
        for output in ended:
            set_or_delete(output, "finishReason", answer.finish_reason)


def _edit_text(outputs: Sequence[_Fields], text: str | None) -> None:
    groups: list[Any] = find_texts(outputs)
    if not groups:
        last: Any = find_message(outputs[-1])
        last["content"] = text
        return
    for number, (_, messages) in enumerate(groups):
        pieces = spread_text(text or "", len(messages))
        if number and text is not None:
            # a decoder reads only the text of the first output
            break
        for message, piece in zip(messages, pieces, strict=True):
            set_or_delete(message, "content", piece or None)


def _edit_calls(messages: Sequence[_Fields], recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> None:
    """Replace the ``recorded`` calls in ``messages`` with ``calls``. Insert a new call after its predecessor."""
    slots = [entry for message in messages for entry in as_objects(message.get("toolCalls")) if is_call(entry)]
    new: list[list[Mapping[str, Any]]] = [[] for _ in slots] or [[]]
    for position, source, call in place_calls(recorded, calls, slots):
        new[position].append(write_call({} if source is None else slots[source], call))
    if not slots:
        messages[-1]["toolCalls"] = [*as_objects(messages[-1].get("toolCalls")), *new[0]]
        return
    entries = iter(new)
    for message in messages:
        written: list[Mapping[str, Any]] = []
        for entry in as_objects(message.get("toolCalls")):
            written += next(entries) if is_call(entry) else [entry]
        if "toolCalls" in message:
            set_or_delete(message, "toolCalls", written or None)
