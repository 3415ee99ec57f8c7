"""Encode an answer: write its calls, text and finish reason as a provider would send them.

This module is shared by all wire formats. Each format writes its own documents and chunks: see
``WireFormat.write_answer`` and ``WireFormat.write_stream``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.json_rewriting import format_json, rewrite_json
from multitrack.wires.stream_text import StreamText, parse_stream

if TYPE_CHECKING:
    from multitrack.wires.wire_format import WireFormat

T = TypeVar("T")

PIECE_SIZE = 12
"""The number of characters of text or arguments in one chunk of a stream, unless the caller chooses a different one."""


def encode_answer(wire_format: WireFormat, answer: WireAnswer, original: bytes | None = None) -> bytes:
    """Return the body of an answer in one piece. See ``multitrack.wires.encode_answer``."""
    if original is None:
        document = wire_format.write_answer(_complete(answer, wire_format), None)
        body = format_json(document, indent=2).encode()
    else:
        text, recorded = _parse_answer(original, wire_format.name)
        before = wire_format.read_answer(recorded)
        if is_same_content(before, answer):
            return original
        answer = _complete(answer, wire_format) if before.finish_reason else answer
        document = wire_format.write_answer(answer, recorded)
        body = original[: len(original) - len(text.encode())] + rewrite_json(text, document).encode()
    _check(wire_format.read_answer(json.loads(body.decode("utf-8-sig"))), answer, wire_format.name)
    return body


def encode_stream(wire_format: WireFormat, answer: WireAnswer, original: bytes | None = None) -> list[bytes]:
    """Return the frames of a streamed answer. See ``multitrack.wires.encode_stream``."""
    if original is None:
        chunks = wire_format.write_stream(_complete(answer, wire_format), None)
        frames = [wire_format.format_chunk(chunk.document) for chunk in chunks]
        # A stream that breaks off has no finish reason.
        answer = answer if answer.is_complete else replace(answer, finish_reason=None)
    else:
        recorded = _parse_stream(original, wire_format.stream_name)
        chunks = recorded.chunks
        before = _read_stream(wire_format, [original])
        if is_same_content(before, answer):
            return recorded.write(chunks)
        if all(chunk.document is None for chunk in chunks):
            raise _build_original_error(wire_format.stream_name, "it has no JSON object")
        answer = _complete(answer, wire_format) if before.finish_reason else answer
        frames = recorded.write(wire_format.write_stream(answer, chunks))
    _check(_read_stream(wire_format, frames), answer, wire_format.stream_name)
    return frames


def _parse_answer(original: bytes, name: str) -> tuple[str, dict[str, Any]]:
    """Return the text of ``original`` without its byte order mark, and the JSON object parsed from that text."""
    try:
        text = original.decode("utf-8-sig")
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _build_original_error(name, str(error)) from error
    if not isinstance(document, dict):
        raise _build_original_error(name, "it is not a JSON object")
    return text, document


def _parse_stream(original: bytes, name: str) -> StreamText:
    try:
        return parse_stream(original)
    except ValueError as error:
        raise _build_original_error(name, str(error)) from error


def _build_original_error(name: str, reason: str) -> ValueError:
    return ValueError(
        f"the original answer is not valid in the wire format {name}: {reason}; "
        f"pass the body of a recorded answer without changes, or omit original="
    )


def have_same_calls(one: Sequence[ToolCall], other: Sequence[ToolCall]) -> bool:
    """Return whether both lists contain the same calls in the same order. The ``index`` of a call is not compared."""
    return [*map(read_fields, one)] == [*map(read_fields, other)]


def is_same_content(one: WireAnswer, other: WireAnswer) -> bool:
    """Return whether two answers have the same calls, text, refusal and finish reason."""
    return _content(one) == _content(other)


def _content(answer: WireAnswer) -> tuple[Any, ...]:
    return (
        list(map(read_fields, answer.calls)),
        answer.text or None,
        answer.refusal or None,
        answer.finish_reason or None,
    )


def read_fields(call: ToolCall) -> tuple[str | None, str, str | None]:
    """Return the fields of ``call`` that are encoded. The index is left out, because the position implies it."""
    return call.id or None, call.name, call.arguments


def _complete(answer: WireAnswer, wire_format: WireFormat) -> WireAnswer:
    """Return ``answer`` with the provider's usual finish reason if it has none."""
    reason = answer.finish_reason or wire_format.usual_finish_reason(answer)
    return replace(answer, text=answer.text or None, refusal=answer.refusal or None, finish_reason=reason)


def _read_stream(wire_format: WireFormat, frames: Sequence[bytes]) -> WireAnswer:
    decoder = wire_format.create_stream_decoder()
    for frame in frames:
        decoder.feed(frame)
    decoder.close()
    return decoder.answer


def _check(encoded: WireAnswer, answer: WireAnswer, name: str) -> None:
    """Raise ValueError if encoding lost a part of ``answer``.

    ``encoded`` is the answer after encoding and decoding.
    """
    calls, expected = _normalize(encoded.calls), _normalize(answer.calls)
    if any(call.arguments and _canonicalize_arguments(call) is None for call in answer.calls):
        # In a stream, the calls after a cut-off call are released before it, so the order is not compared.
        calls, expected = sorted(calls), sorted(expected)
    # An answer without a finish reason is encoded with the provider's default. A finish reason may imply a refusal.
    for part, is_encoded in (
        ("calls", calls == expected),
        ("text", (encoded.text or None) == (answer.text or None)),
        ("refusal", (answer.refusal or None) in (None, encoded.refusal)),
        ("finish reason", (answer.finish_reason or None) in (None, encoded.finish_reason)),
    ):
        if not is_encoded:
            raise ValueError(
                f"the wire format {name} cannot express the {part} of this answer together with its other parts: "
                f"after encoding and decoding, the answer is {encoded}; change the answer, or omit original="
            )


def _normalize(calls: Sequence[ToolCall]) -> list[tuple[str, str, str]]:
    """Return the calls as tuples that can be compared. Arguments in JSON are compared as values, not as text."""
    return [(call.id or "", call.name, _canonicalize_arguments(call) or repr(call.arguments)) for call in calls]


def _canonicalize_arguments(call: ToolCall) -> str | None:
    try:
        return json.dumps(json.loads(call.arguments or ""), sort_keys=True)
    except (ValueError, RecursionError):
        return None


def match_calls(recorded: Sequence[ToolCall], calls: Sequence[ToolCall]) -> list[int | None]:
    """For each of ``calls``, return the position of the recorded call that it comes from, or None for a new call.

    Each recorded call is used at most once. To find the recorded call, these are tried in order:

    - an equal call
    - a call with the same id
    - a call with the same name
    - the call in the same position

    A call keeps the other fields of its recorded call, such as the signature of a thought.
    """
    sources: list[int | None] = [None] * len(calls)
    free = set(range(len(recorded)))
    for key in (read_fields, lambda call: call.id or object(), lambda call: call.name):
        for position, call in enumerate(calls):
            if sources[position] is None:
                wanted = key(call)
                sources[position] = next((one for one in sorted(free) if key(recorded[one]) == wanted), None)
                free.discard(-1 if (found := sources[position]) is None else found)
    for position, source in enumerate(sources):
        if source is None and position in free:
            sources[position] = position
            free.discard(position)
    return sources


def place_calls(
    recorded: Sequence[ToolCall], calls: Sequence[ToolCall], slots: Sequence[object]
) -> list[tuple[int, int | None, ToolCall]]:
    """Find where each of the new ``calls`` belongs in the recorded answer.

    For each call, return two positions in ``recorded``, its source and its place:

    - The source is the position of the recorded call that the call comes from, or None for a new call. See
      ``match_calls``.
    - The place is the position of the recorded call that the call replaces or follows.

    The calls must keep their order, so a place is never less than the place of the previous call:

    - The place of a call is its source or the place of the previous call, whichever is greater.
    - A new call has the place of the previous call.
    - A new call at the beginning has the place 0.

    Args:
        recorded: The recorded calls.
        calls: The calls that replace the recorded calls.
        slots: Where the recorded calls are in the original answer: one slot for each call.

    Returns:
        For each call, its place, its source and the call itself.

    Raises:
        ValueError: If the numbers of slots and recorded calls differ, because the events of the original answer
            contradict each other.
    """
    if len(slots) != len(recorded):
        raise ValueError(
            f"cannot edit the original answer, because its events contradict each other: {len(recorded)} calls were "
            f"decoded, but {len(slots)} calls can be changed; encode the new answer without original="
        )
    placed: list[tuple[int, int | None, ToolCall]] = []
    last = 0
    for call, source in zip(calls, match_calls(recorded, calls), strict=True):
        last = max(last, source or 0)
        placed.append((last, source, call))
    return placed


def create_id(answer: WireAnswer, label: str, length: int) -> str:
    """Return an id of ``length`` hexadecimal digits, at most 64. Equal answers and labels give equal ids."""
    content = json.dumps([*map(read_fields, answer.calls), answer.text, answer.refusal, label])
    return sha256(content.encode()).hexdigest()[:length]


def split_text(text: str, size: int) -> list[str]:
    """Return ``text`` in pieces of ``size`` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def spread_text(text: str, count: int) -> list[str]:
    """Return ``text`` in ``count`` pieces of about the same length."""
    return [text[len(text) * n // count : len(text) * (n + 1) // count] for n in range(count)]


def set_or_delete(fields: dict[str, Any], key: str, value: object) -> None:
    """Set ``key`` of a JSON object, or delete it if ``value`` is None."""
    if value is None:
        fields.pop(key, None)
    else:
        fields[key] = value


def order_deltas(calls: Sequence[Sequence[T]], *, is_interleaved: bool) -> Iterator[tuple[int | None, T]]:
    """Yield the deltas of all calls, either one call after another or interleaved.

    Args:
        calls: The deltas of each call.
        is_interleaved: Whether the calls take turns: one delta of each call, then the next delta of each call.

    Yields:
        Pairs of a position and a delta. With the first delta of a call, the position is that of the call; otherwise
        it is None.
    """
    numbered = [
        [(None if number else position, delta) for number, delta in enumerate(deltas)]
        for position, deltas in enumerate(calls)
    ]
    ordered = chain.from_iterable(zip_longest(*numbered)) if is_interleaved else chain.from_iterable(numbered)
    return (delta for delta in ordered if delta is not None)


def parse_arguments(arguments: str) -> dict[str, Any] | str:
    """Return ``arguments`` as an object. Some gateways send something else, which is returned unchanged."""
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def parse_object_arguments(call: ToolCall) -> dict[str, Any]:
    """Return the arguments of ``call``, for a format that sends them as an object.

    Raises:
        ValueError: If the arguments are not a JSON object.
    """
    try:
        arguments = json.loads(call.arguments or "", parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise ValueError(
            f"the arguments of {call.name} are not a JSON object, which this wire format requires: {call.arguments!r}"
        )
    return arguments


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
