"""Change the calls, text, refusal and finish reason of a recorded ``openai.chat`` answer, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import PIECE_SIZE, have_same_calls, place_calls, split_text, spread_text
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.openai.chat_answer import read_answer, read_function, read_text
from multitrack.wires.openai.chat_encoder import cut_call, own_refusal, write_call
from multitrack.wires.openai.chat_stream import ChatStreamDecoder
from multitrack.wires.stream_text import StreamChunk

_Fields = dict[str, Any]
"""A JSON object that is changed in place."""


# --- in one piece ---------------------------------------------------------------------------------------------------


def edit_completion(answer: WireAnswer, original: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``original`` with the calls, text, refusal and finish reason of ``answer``."""
    before = read_answer(original)
    document = deepcopy(dict(original))
    choices: list[Any] = as_objects(document.get("choices"))
    if not choices:
        document["choices"] = choices = [{"index": 0, "message": {"role": "assistant"}, "finish_reason": None}]
    if answer.text != before.text:
        _edit_texts(choices, "content", answer.text)
    if own_refusal(answer) != own_refusal(before):
        _edit_texts(choices, "refusal", own_refusal(answer))
    if not have_same_calls(answer.calls, before.calls):
        _edit_calls(choices, before.calls, answer.calls)
    if answer.finish_reason != before.finish_reason:
        for choice in choices:
            choice["finish_reason"] = answer.finish_reason
    return document


def _edit_texts(choices: Sequence[_Fields], key: str, text: str | None) -> None:
    """Replace the text of the first choice that has text. If ``text`` is None, delete the text in all choices."""
    with_text = [choice for choice in choices if read_text(as_object(choice.get("message")).get(key))]
    for choice in with_text if text is None else (with_text or choices)[:1]:
        message = _get_message(choice)
        message[key] = _replace_text(message.get(key), text)


def _replace_text(content: object, text: str | None) -> Any:
    """Return ``content``, a string or a list of parts, with its text replaced by ``text``."""
    if not isinstance(content, list):
        return text
    parts = [part for part in content if isinstance(as_object(part).get("text"), str)]
    others = [part for part in content if part not in parts]
    return others if text is None else [{**(parts[0] if parts else {"type": "text"}), "text": text}, *others]


def _get_message(choice: _Fields) -> _Fields:
    if not isinstance(choice.get("message"), dict):
        choice["message"] = {"role": "assistant", "content": None}
    message: _Fields = choice["message"]
    return message


def _edit_calls(choices: Sequence[_Fields], recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> None:
    slots = [slot for choice in choices for slot in _list_slots(choice)]
    by_choice: dict[int, list[tuple[_Fields, ToolCall]]] = defaultdict(list)
    numbers = {id(choice): number for number, choice in enumerate(choices)}
    for position, source, call in place_calls(recorded, calls, slots):
        choice = slots[position][0] if slots else choices[0]
        by_choice[numbers[id(choice)]].append(({} if source is None else slots[source][1], call))
    for number, choice in enumerate(choices):
        if number in by_choice or _list_slots(choice):
            _write_calls(_get_message(choice), by_choice[number])


def _list_slots(choice: _Fields) -> list[tuple[_Fields, _Fields]]:
    """Return ``(choice, entry)`` for the entry of each call in ``choice``, in decoding order."""
    message = as_object(choice.get("message"))
    entries: list[Any] = as_objects(message.get("tool_calls"))
    legacy = {"function": as_object(message.get("function_call"))}
    return [(choice, entry) for entry in [*entries, *([legacy] if any(read_function(legacy)) else ())]]


def _write_calls(message: _Fields, calls: Sequence[tuple[_Fields, ToolCall]]) -> None:
    legacy = as_object(message.get("function_call"))
    entries = [write_call(entry, call) for entry, call in calls]
    # A legacy call has no id.
    if legacy and calls and calls[-1][0].get("function") is legacy and calls[-1][1].id is None:
        message["function_call"] = entries.pop()["function"]
    elif any(read_function({"function": legacy})):
        del message["function_call"]
    # Some providers number the calls.
    numbered = [
        {**entry, "index": n} if isinstance(entry.get("index"), int) else entry for n, entry in enumerate(entries)
    ]
    if numbered:
        _insert_after(message, "content", "tool_calls", numbered)
    else:
        message.pop("tool_calls", None)


def _insert_after(fields: _Fields, previous: str, key: str, value: Any) -> None:
    """Set ``fields[key]``. A new key is inserted after the ``previous`` key, as in OpenAI's answers."""
    if key not in fields and previous in fields:
        for name in list(fields):
            fields[name] = fields.pop(name)
            if name == previous:
                fields[key] = value
    fields[key] = value


# --- streamed -------------------------------------------------------------------------------------------------------


def edit_chunks(answer: WireAnswer, original: Sequence[StreamChunk]) -> list[StreamChunk]:
    """Return the chunks of ``original`` with the calls, text, refusal and finish reason of ``answer``.

    If one call of a choice changes, all calls of the choice are rewritten at the position of the first one.
    """
    before = _read_chunks(original)
    stream = _ChatStream(original)
    if answer.text != before.text:
        stream.edit_texts("content", answer.text)
    if own_refusal(answer) != own_refusal(before):
        stream.edit_texts("refusal", own_refusal(answer))
    if not have_same_calls(answer.calls, before.calls):
        stream.edit_calls(answer.calls)
    if answer.finish_reason != before.finish_reason:
        stream.edit_finish_reason(answer.finish_reason)
    return stream.chunks


def _read_chunks(chunks: Iterable[StreamChunk], index: int | None = None) -> WireAnswer:
    """Decode the choice ``index`` in ``chunks``, or all choices if ``index`` is None."""
    decoder = ChatStreamDecoder()
    for document, _ in chunks:
        if document is not None:
            entries = as_objects(document.get("choices"))
            chosen = [entry for entry in entries if index in (None, _read_index(entry))]
            decoder.feed_chunk({**document, "choices": chosen})
    decoder.close()
    return decoder.answer


def _read_index(entry: Mapping[str, Any]) -> int:
    index = entry.get("index")
    return index if isinstance(index, int) else 0


class _ChatStream:
    def __init__(self, original: Sequence[StreamChunk]) -> None:
        self.chunks = [StreamChunk(deepcopy(document), frame) for document, frame in original]
        self._indices = sorted({_read_index(entry) for _, entry, _ in self._entries()}) or [0]

    def _entries(self, index: int | None = None) -> Iterator[tuple[int, _Fields, _Fields]]:
        """Yield the entries for the choice ``index`` in the stream, or for all choices if ``index`` is None.

        Yields:
            The position of the chunk, the entry and its delta.
        """
        for position, (document, _) in enumerate(self.chunks):
            entries: list[Any] = as_objects(as_object(document).get("choices"))
            for entry in entries:
                if index in (None, _read_index(entry)):
                    delta: Any = as_object(entry.get("delta")) or as_object(entry.get("message"))
                    yield position, entry, delta

    def edit_texts(self, key: str, text: str | None) -> None:
        """Spread ``text`` over the deltas of the first choice that has text. If ``text`` is None, delete all text."""
        found = [
            (index, delta)
            for index in self._indices
            for _, _, delta in self._entries(index)
            if read_text(delta.get(key))
        ]
        if text is None:
            for _, delta in found:
                del delta[key]
            self._drop_empty_entries([delta for _, delta in found])
        elif found:
            deltas = [delta for index, delta in found if index == found[0][0]]
            for delta, piece in zip(deltas, spread_text(text, len(deltas)), strict=True):
                delta[key] = _replace_text(delta.get(key), piece)
        else:
            place = self._find_calls_or_end(self._indices[0])
            self._insert(self._indices[0], place, [{key: piece} for piece in split_text(text, PIECE_SIZE)])

    def edit_calls(self, calls: Sequence[ToolCall]) -> None:
        """Make the calls in the stream equal to ``calls``. Choices that already have these calls are not changed."""
        recorded = {index: _read_chunks(self.chunks, index).calls for index in self._indices}
        slots = [(index, head) for index in self._indices for head in self._find_heads(index, len(recorded[index]))]
        by_choice: dict[int, list[tuple[_Fields, ToolCall]]] = defaultdict(list)
        all_recorded = [call for index in self._indices for call in recorded[index]]
        for position, source, call in place_calls(all_recorded, calls, slots):
            index = slots[position][0] if slots else self._indices[0]
            by_choice[index].append(({} if source is None else slots[source][1], call))
        for index in self._indices:
            if not have_same_calls([call for _, call in by_choice[index]], recorded[index]):
                self._replace_calls(index, [write_call(head, call) for head, call in by_choice[index]])

    def edit_finish_reason(self, reason: str | None) -> None:
        """Change the finish reason of each choice. Add a final chunk with the reason to a choice that has none."""
        for index in self._indices:
            ends = [entry for _, entry, _ in self._entries(index) if as_text(entry.get("finish_reason"))]
            for entry in ends:
                entry["finish_reason"] = reason
            if not ends:
                self._insert(index, None, [{}], reason)

    def _find_heads(self, index: int, count: int) -> list[_Fields]:
        """Return the fragments that open a call of the choice: those with an id or a name.

        If their number is not ``count``, return ``count`` empty objects instead.
        """
        fragments = [fragment for _, _, delta in self._entries(index) for fragment in _list_fragments(delta)]
        heads = [fragment for fragment in fragments if as_text(fragment.get("id")) or read_function(fragment)[0]]
        return heads if len(heads) == count else [{} for _ in range(count)]

    def _replace_calls(self, index: int, calls: Sequence[_Fields]) -> None:
        with_calls = [delta for _, _, delta in self._entries(index) if _list_fragments(delta)]
        fragments = [fragment for delta in with_calls for fragment in _list_fragments(delta)]
        is_whole = bool(fragments) and all(read_function(fragment)[0] for fragment in fragments)
        # A choice can have only one legacy call, and that has no id.
        is_legacy = bool(with_calls) and all(delta.get("function_call") for delta in with_calls)
        is_legacy = is_legacy and len(calls) == 1 and "id" not in calls[0]
        new = [
            fragment
            for position, call in enumerate(calls)
            for fragment in cut_call(call, position, None if is_whole else PIECE_SIZE)
        ]
        deltas = [{"function_call": one["function"]} if is_legacy else {"tool_calls": [one]} for one in new]
        self._insert(index, self._find_calls_or_end(index), deltas)
        for delta in with_calls:
            delta.pop("tool_calls", None)
            delta.pop("function_call", None)
        self._drop_empty_entries(with_calls)

    def _find_calls_or_end(self, index: int) -> int | None:
        """Return the position of the first chunk in which the choice has a call or a finish reason. None if there is
        none.
        """
        return next(
            (
                position
                for position, entry, delta in self._entries(index)
                if _list_fragments(delta) or as_text(entry.get("finish_reason"))
            ),
            None,
        )

    def _insert(self, index: int, place: int | None, deltas: Sequence[_Fields], reason: str | None = None) -> None:
        """Insert a chunk for each of a choice's ``deltas``.

        Args:
            index: The number of the choice.
            place: The position of the chunk before which the new chunks are inserted. If that chunk opens the message,
                the new chunks are inserted after it. None to insert them after the last chunk of the choice.
            deltas: The deltas.
            reason: The finish reason in each chunk.
        """
        of_choice = [position for position, _, _ in self._entries(index)]
        documents = [position for position, (document, _) in enumerate(self.chunks) if document is not None]
        template = (of_choice or documents)[-1] if place is None else place
        opens = place is not None and any(
            "role" in delta and not as_text(entry.get("finish_reason"))
            for position, entry, delta in self._entries(index)
            if position == place
        )
        chunks = [self._copy_chunk(template, index, delta, reason) for delta in deltas]
        start = template + (place is None or opens)
        self.chunks[start:start] = chunks

    def _copy_chunk(self, position: int, index: int, delta: _Fields, reason: str | None) -> StreamChunk:
        """Return a copy of the chunk at ``position`` whose only content is ``delta``."""
        document, frame = self.chunks[position]
        entries = (entry for at, entry, _ in self._entries(index) if at == position)
        copied = {**next(entries, {"index": index}), "delta": delta, "finish_reason": reason}
        copied.pop("message", None)
        if "logprobs" in copied:
            copied["logprobs"] = None
        usage = {"usage": None} if as_object(document).get("usage") else {}
        return StreamChunk({**as_object(document), "choices": [copied], **usage}, frame)

    def _drop_empty_entries(self, stripped: Sequence[_Fields]) -> None:
        """Remove choices whose delta has become empty, and chunks that contain nothing else."""
        empty = {id(delta) for delta in stripped if not delta}
        kept = []
        for chunk in self.chunks:
            document = chunk.document
            entries = as_objects(as_object(document).get("choices"))
            left = [entry for entry in entries if not self._is_empty(entry, empty)]
            if document is not None and len(left) < len(entries):
                if not left and not document.get("usage"):
                    continue
                document["choices"] = left
            kept.append(chunk)
        self.chunks = kept

    @staticmethod
    def _is_empty(entry: Mapping[str, Any], empty: set[int]) -> bool:
        is_end = as_text(entry.get("finish_reason")) is not None
        return not is_end and (id(entry.get("delta")) in empty or id(entry.get("message")) in empty)


def _list_fragments(delta: Mapping[str, Any]) -> list[Any]:
    """Return the fragments of calls in ``delta``. A legacy function call becomes an entry of ``tool_calls``."""
    legacy = {"function": as_object(delta.get("function_call"))}
    return [*as_objects(delta.get("tool_calls")), *([legacy] if any(read_function(legacy)) else ())]
