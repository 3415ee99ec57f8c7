"""Change the calls, text, refusal and finish reason of a recorded ``gemini`` answer, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import have_same_calls, place_calls, spread_text
from multitrack.wires.gemini.gemini_answer import join_text, read_answer, read_finish_reason, read_function_call
from multitrack.wires.gemini.gemini_encoder import own_refusal, write_call, write_feedback
from multitrack.wires.gemini.gemini_stream import GeminiStreamDecoder
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.stream_text import StreamChunk

_Fields = dict[str, Any]
"""A JSON object that is changed in place."""


def edit_response(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``original`` (a response body) with the calls, text, refusal and finish reason of ``answer``.

    Raises:
        ValueError: If the arguments of a new or changed call are not a JSON object.
    """
    document = deepcopy(dict(original))
    # Without an index, the candidates follow each other.
    candidates = [[entry] for entry in as_objects(document.get("candidates"))]
    _edit(answer, read_answer(original), [document], candidates, is_stream=False)
    return document


def edit_chunks(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return copies of the chunks in ``original`` that have the calls, text, refusal and finish reason of ``answer``.

    Raises:
        ValueError: If the arguments of a new or changed call are not a JSON object.
    """
    chunks = [StreamChunk(deepcopy(document), frame) for document, frame in original]
    documents = [document for document, _ in chunks if document is not None]
    decoder = GeminiStreamDecoder()
    by_index: dict[int, list[Any]] = defaultdict(list)
    for document in documents:
        decoder.feed_chunk(document)
        for entry in as_objects(document.get("candidates")):
            index = entry.get("index")
            by_index[index if isinstance(index, int) else 0].append(entry)
    candidates = [by_index[index] for index in sorted(by_index)]
    _edit(answer, decoder.answer, documents, candidates, is_stream=True)
    return chunks


def _edit(
    answer: WireAnswer,
    before: WireAnswer,
    documents: Sequence[_Fields],
    candidates: Sequence[Sequence[Any]],
    *,
    is_stream: bool,
) -> None:
    """Edit the recorded answer in ``documents`` until it contains the new answer.

    Args:
        answer: The new answer.
        before: The recorded answer.
        documents: The chunks of the recorded answer, or a single document if it is not streamed.
        candidates: For each candidate, its entries in ``documents``. The candidates are in decoding order.
        is_stream: Whether a call can be split into several parts.
    """
    changes_calls = not have_same_calls(answer.calls, before.calls)
    if not candidates and (answer.text or changes_calls or answer.finish_reason != before.finish_reason):
        candidates = [[{"content": {"parts": [], "role": "model"}}]]
        documents[-1]["candidates"] = candidates[0]
    if answer.text != before.text:
        _edit_text(candidates, answer.text)
    if changes_calls:
        _edit_calls(candidates, before.calls, answer.calls, is_stream=is_stream)
    if answer.finish_reason != before.finish_reason:
        for entries in candidates:
            for entry in [entry for entry in entries if read_finish_reason(entry)] or entries[-1:]:
                entry["finishReason"] = answer.finish_reason
    if own_refusal(answer) != own_refusal(before):
        for document in documents:
            document.pop("promptFeedback", None)
        documents[0].update(write_feedback(answer))


def _edit_text(candidates: Sequence[Sequence[_Fields]], text: str | None) -> None:
    """Distribute ``text`` over the text parts of the first candidate that has text. If ``text`` is None, delete all
    text.
    """
    found = [
        [(parts, part) for entry in entries for parts in [_get_parts(entry)] for part in _list_text_parts(parts)]
        for entries in candidates
    ]
    first = next(filter(None, found), [])
    if text is None:
        for parts, part in [pair for pairs in found for pair in pairs]:
            _replace(parts, part, [])
        for entry in [entry for entries in candidates for entry in entries]:
            # A decoder would read this message as the text of a candidate that has no other text.
            entry.pop("finishMessage", None)
    elif first:
        for (_, part), piece in zip(first, spread_text(text, len(first)), strict=True):
            part["text"] = piece
    else:
        _add_parts(candidates[0])[:0] = [{"text": text}]


def _list_text_parts(parts: list[Any]) -> list[Any]:
    return [part for part in as_objects(parts) if join_text([part])]


def _edit_calls(
    candidates: Sequence[Sequence[_Fields]],
    recorded: Sequence[ToolCall],
    calls: Sequence[ToolCall],
    *,
    is_stream: bool,
) -> None:
    """Replace the ``recorded`` calls with ``calls``. A new call is inserted after the call that precedes it in
    ``calls``.
    """
    slots = [slot for entries in candidates for slot in _find_calls(entries, is_stream=is_stream)]
    if not slots:
        _add_parts(candidates[0]).extend(write_call({}, call) for call in calls)
        return
    # For each recorded call: its parts or the parts that replace them, and the new parts before and after them.
    new = [_NewParts() for _ in slots]
    for position, source, call in place_calls(recorded, calls, slots):
        parts = new[position]
        if source == position and have_same_calls([call], [recorded[position]]):
            parts.is_kept = True
        else:
            part = write_call({} if source is None else slots[source][0][1], call)
            (parts.after if parts.is_kept else parts.before).append(part)
    for slot, parts in zip(slots, new, strict=True):
        for number, (recorded_parts, part) in enumerate(slot):
            opening = parts.before if number == 0 else []
            closing = parts.after if number == len(slot) - 1 else []
            _replace(recorded_parts, part, [*opening, *([part] if parts.is_kept else ()), *closing])


@dataclass
class _NewParts:
    is_kept: bool = False
    before: list[_Fields] = field(default_factory=list)
    after: list[_Fields] = field(default_factory=list)


def _find_calls(entries: Sequence[_Fields], *, is_stream: bool) -> list[list[tuple[list[Any], _Fields]]]:
    """Return the parts of each call in a candidate. Each part is paired with the list that contains it."""
    slots: list[list[tuple[list[Any], _Fields]]] = []
    has_name: bool | None = None
    for parts in map(_get_parts, entries):
        part: Any
        for part in as_objects(parts):
            function = read_function_call(part)
            if function is None:
                continue
            name = as_text(function.get("name"))
            if has_name is None or (has_name and name):
                slots.append([])
                has_name = False
            slots[-1].append((parts, part))
            has_name = bool(has_name or name) if is_stream and function.get("willContinue") else None
    return slots


def _get_parts(entry: Mapping[str, Any]) -> list[Any]:
    """Return the list of parts in ``entry``. Changes to this list change ``entry``."""
    parts = as_object(entry.get("content")).get("parts")
    return parts if isinstance(parts, list) else []


def _add_parts(entries: Sequence[_Fields]) -> list[Any]:
    """Return the last list of parts in ``entries``. If no entry has one, add an empty list to the last entry, and
    return it.
    """
    content = entries[-1].get("content")
    if not isinstance(content, dict):
        content = entries[-1]["content"] = {"role": "model"}
    if not isinstance(content.get("parts"), list):
        content["parts"] = []
    lists = [parts for parts in map(_get_parts, entries) if parts]
    return lists[-1] if lists else _get_parts(entries[-1])


def _replace(parts: list[Any], part: _Fields, new: Sequence[_Fields]) -> None:
    position = next(n for n, other in enumerate(parts) if other is part)
    parts[position : position + 1] = new
