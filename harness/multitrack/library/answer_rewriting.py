"""Replace the calls in a recorded answer, but keep its structure, such as the deltas of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from multitrack import wires
from multitrack.tool_call import ToolCall
from multitrack.wires.encoding import spread_text
from multitrack.wires.lenient_json import as_objects, as_text
from multitrack.wires.stream_text import parse_stream

_OPEN, _CLOSE = "\ue000", "\ue001"
"""Private-use characters, which mark the numbers of fragments."""


def rewrite_calls(body: bytes, wire: str, calls: Sequence[ToolCall]) -> bytes:
    """Replace the calls in ``body``, an answer in the wire format ``wire``, and return the new body.

    ``calls`` has one new call for each call in the answer, in the same order.
    """
    answer = wires.read_answer(body, wire)
    if [(call.name, call.arguments) for call in answer.calls] == [(call.name, call.arguments) for call in calls]:
        return body
    if wire == "openai.chat.stream":
        # the encoder of this format would write all calls again, one after the other
        return _rewrite_chat_stream(body, answer.calls, calls)
    return wires.encode_answer(replace(answer, calls=tuple(calls)), wire, body)


def _rewrite_chat_stream(body: bytes, recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> bytes:
    """Replace the arguments of the calls in a stream.

    The new arguments of a call are spread over the deltas that contained its recorded arguments. To find out which
    call a delta belongs to, the names and arguments in a copy of the stream are replaced with numbers, and the copy
    is decoded.
    """
    stream = parse_stream(body)
    chunks = [chunk._replace(document=deepcopy(chunk.document)) for chunk in stream.chunks]
    fragments = [*_list_fragments(chunks)]
    numbered = [chunk._replace(document=deepcopy(chunk.document)) for chunk in chunks]
    for number, (function, key) in enumerate(_list_fragments(numbered)):
        function[key] = f"{_OPEN}{number}{_CLOSE}"
    decoder = wires.create_stream_decoder("openai.chat.stream")
    for chunk in numbered:
        if chunk.document is not None:
            decoder.feed_chunk(chunk.document)
    decoder.close()
    for marked, old, new in zip(decoder.answer.calls, recorded, calls, strict=True):
        if new.name != old.name:
            _spread(fragments, _read_numbers(marked.name), [new.name])
        numbers = _read_numbers(marked.arguments or "")
        if new.arguments is not None and new.arguments != old.arguments and numbers:
            _spread(fragments, numbers, spread_text(new.arguments, len(numbers)))
    return b"".join(stream.write(chunks))


def _list_fragments(chunks: Sequence[Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the object and the key of each non-empty name, and of each non-empty piece of arguments."""
    for chunk in chunks:
        for choice in as_objects((chunk.document or {}).get("choices")):
            delta: Any = choice.get("delta")
            for call in as_objects(delta.get("tool_calls")) if isinstance(delta, dict) else ():
                function: Any = call.get("function")
                for key in ("name", "arguments"):
                    if isinstance(function, dict) and as_text(function.get(key)):
                        yield function, key


def _read_numbers(marked: str) -> list[int]:
    return [int(piece.removeprefix(_OPEN)) for piece in marked.split(_CLOSE) if piece.startswith(_OPEN)]


def _spread(fragments: Sequence[tuple[dict[str, Any], str]], numbers: Sequence[int], texts: Sequence[str]) -> None:
    for position, number in enumerate(numbers):
        function, key = fragments[number]
        function[key] = texts[position] if position < len(texts) else ""
