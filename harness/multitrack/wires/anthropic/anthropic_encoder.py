"""Write new answers in the format of Anthropic's Messages API, in one piece or as a stream.

https://platform.claude.com/docs/en/api/messages and, for streams,
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.anthropic.anthropic_answer import LENGTH_LIMITS, read_input
from multitrack.wires.encoding import PIECE_SIZE, create_id, order_deltas, parse_arguments, set_or_delete, split_text
from multitrack.wires.lenient_json import as_text


def build_message(answer: WireAnswer) -> dict[str, Any]:
    """Return the body of an answer."""
    usage = {} if answer.usage is None else {"usage": dict(answer.usage)}
    calls = [write_call({}, call) for call in answer.calls]
    content = [*_build_text(answer.text), *calls, *_build_closing_text(answer)]
    return {**_build_envelope(answer), "content": content, **build_stop(answer), **usage}


def build_events(
    answer: WireAnswer, *, piece_size: int = PIECE_SIZE, is_interleaved: bool = False
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the events of a stream. The last two events are left out for an incomplete answer.

    Args:
        answer: The answer.
        piece_size: The number of characters of text or input in one delta.
        is_interleaved: Whether to interleave the events of several calls instead of sending one call after another.

    Yields:
        Pairs ``(position, event)``. If the event starts a call, ``position`` is the index of that call. For the event
        after the last call, it is the number of calls. For all other events, it is None.
    """
    usage = dict(answer.usage or {})
    started = {**_build_envelope(answer), "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield None, {"type": "message_start", "message": started}
    texts = _build_text(answer.text)
    for text in texts:
        for event in build_block(0, {**text, "text": ""}, cut_text(text["text"], piece_size)):
            yield None, event
    calls = [build_call(len(texts) + n, {}, call, piece_size) for n, call in enumerate(answer.calls)]
    if answer.has_cut_off_call:
        calls[-1].pop()
    yield from order_deltas(calls, is_interleaved=is_interleaved)
    for text in _build_closing_text(answer):
        for event in build_block(len(texts) + len(calls), text, []):
            yield None, event
    if answer.is_complete:
        yield len(answer.calls), {"type": "message_delta", "delta": build_stop(answer), "usage": usage}
        yield None, {"type": "message_stop"}


def _build_envelope(answer: WireAnswer) -> dict[str, Any]:
    message_id = f"msg_01{create_id(answer, 'message', 22)}"
    return {"id": message_id, "type": "message", "role": "assistant", "model": answer.model or ""}


def _build_text(text: str | None) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text else []


def _build_closing_text(answer: WireAnswer) -> list[dict[str, Any]]:
    """Return an empty text block, in a list, if a length limit ended the answer after its last call.

    Otherwise, return [].
    """
    is_after_calls = answer.calls and answer.finish_reason in LENGTH_LIMITS and not answer.has_cut_off_call
    return [{"type": "text", "text": ""}] if is_after_calls else []


def build_stop(answer: WireAnswer) -> dict[str, Any]:
    """Return the fields that say why the answer ended."""
    refusal = own_refusal(answer)
    details = {} if refusal is None else {"stop_details": build_refusal(refusal)}
    return {"stop_reason": answer.finish_reason, "stop_sequence": None, **details}


def build_refusal(refusal: str) -> dict[str, Any]:
    """Return the value of ``stop_details`` for a refusal."""
    return {"type": "refusal", "category": None, "explanation": refusal}


def own_refusal(answer: WireAnswer) -> str | None:
    """Return the answer's explanation of its refusal. None if the answer has only the stop reason ``refusal``."""
    return None if answer.refusal == answer.finish_reason == "refusal" else answer.refusal


def write_call(block: Mapping[str, Any], call: ToolCall, *, is_stream: bool = False) -> dict[str, Any]:
    """Return ``block`` with the id, the name and the arguments of ``call``.

    Args:
        block: The block of a recorded call; empty for a new call.
        call: The call.
        is_stream: Whether the arguments follow in the deltas of a stream.
    """
    written = dict(block) if block else {"type": "tool_use", "id": None, "name": call.name}
    if not block or as_text(block.get("id")) != call.id:
        set_or_delete(written, "id", call.id)
    if (as_text(block.get("name")) or "") != call.name:
        written["name"] = call.name
    if is_stream:
        has_text = call.arguments is not None and call.arguments.strip()
        set_or_delete(written, "input", {} if has_text else call.arguments)
    elif not block or read_input(block) != call.arguments:
        set_or_delete(written, "input", None if call.arguments is None else parse_arguments(call.arguments))
    return written


def build_call(index: int, block: Mapping[str, Any], call: ToolCall, piece_size: int) -> list[dict[str, Any]]:
    """Return the events of ``block`` with the id, the name and the arguments of ``call``.

    ``block`` is the block of a recorded call, or empty for a new call.
    """
    written = write_call(block, call, is_stream=True)
    deltas: list[dict[str, Any]] = []
    if call.arguments is not None and call.arguments.strip():
        pieces = ["", *split_text(call.arguments, piece_size)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return build_block(index, written, deltas)


def cut_text(text: str, piece_size: int) -> list[dict[str, Any]]:
    """Return the deltas of a text block."""
    return [{"type": "text_delta", "text": piece} for piece in split_text(text, piece_size)]


def build_block(index: int, block: Mapping[str, Any], deltas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the events of a content block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]
