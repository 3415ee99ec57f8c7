"""Write new answers in the format of Amazon Bedrock's Converse API, in one piece or as a stream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and, for streams,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.bedrock.bedrock_answer import LENGTH_LIMITS, read_input
from multitrack.wires.encoding import PIECE_SIZE, order_deltas, parse_arguments, set_or_delete, split_text
from multitrack.wires.lenient_json import as_object, as_text


def build_response(answer: WireAnswer) -> dict[str, Any]:
    """Return the body of an answer."""
    calls = [write_call({}, call) for call in answer.calls]
    content = [*_build_text(answer.text), *calls, *_build_closing_text(answer)]
    output = {"message": {"role": "assistant", "content": content}}
    return {"output": output, "stopReason": answer.finish_reason, **_build_metadata(answer)}


def build_events(
    answer: WireAnswer, *, piece_size: int = PIECE_SIZE, is_interleaved: bool = False
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the events of a stream. The last two events are left out for an incomplete answer.

    Args:
        answer: The answer.
        piece_size: The number of characters of text or input in one delta.
        is_interleaved: Whether to interleave the events of several calls instead of sending one call after another.

    Yields:
        Pairs ``(position, event)``. If the event starts a call, ``position`` is the position of that call. For the
        event after the last call, it is the number of calls. For all other events, it is None.
    """
    yield None, {"messageStart": {"role": "assistant"}}
    texts = _build_text(answer.text)
    for text in texts:
        for event in build_text(0, text["text"], piece_size):
            yield None, event
    calls = [build_call(len(texts) + n, {}, call, piece_size) for n, call in enumerate(answer.calls)]
    if answer.has_cut_off_call:
        calls[-1] = [event for event in calls[-1] if "contentBlockStop" not in event]
    yield from order_deltas(calls, is_interleaved=is_interleaved)
    for _ in _build_closing_text(answer):
        for event in build_text(len(texts) + len(calls), "", piece_size):
            yield None, event
    if answer.is_complete:
        yield len(answer.calls), {"messageStop": {"stopReason": answer.finish_reason}}
        yield None, {"metadata": _build_metadata(answer)}


def _build_metadata(answer: WireAnswer) -> dict[str, Any]:
    usage = {} if answer.usage is None else {"usage": dict(answer.usage)}
    # an answer only names its model if a prompt router has chosen it
    router = {"trace": {"promptRouter": {"invokedModelId": answer.model}}} if answer.model else {}
    return {**usage, **router}


def _build_text(text: str | None) -> list[dict[str, Any]]:
    return [{"text": text}] if text else []


def _build_closing_text(answer: WireAnswer) -> list[dict[str, Any]]:
    """Return a list with an empty text block if a length limit ended the answer after its last call. Otherwise, []."""
    is_after_calls = answer.calls and answer.finish_reason in LENGTH_LIMITS and not answer.has_cut_off_call
    return [{"text": ""}] if is_after_calls else []


def write_call(block: Mapping[str, Any], call: ToolCall) -> dict[str, Any]:
    """Return ``block`` with the id, the name and the arguments of ``call``.

    ``block`` is the block of a recorded call, or empty for a new call.
    """
    recorded = as_object(block.get("toolUse"))
    written = _write_start(recorded, call)
    if not recorded or read_input(recorded) != call.arguments:
        set_or_delete(written, "input", None if call.arguments is None else parse_arguments(call.arguments))
    return {**block, "toolUse": written}


def _write_start(recorded: Mapping[str, Any], call: ToolCall) -> dict[str, Any]:
    written = dict(recorded) if recorded else {"toolUseId": None, "name": call.name}
    if not recorded or as_text(recorded.get("toolUseId")) != call.id:
        set_or_delete(written, "toolUseId", call.id)
    if (as_text(recorded.get("name")) or "") != call.name:
        written["name"] = call.name
    return written


def build_call(index: int, block: Mapping[str, Any], call: ToolCall, piece_size: int) -> list[dict[str, Any]]:
    """Return the events of ``block`` with the id, the name and the arguments of ``call``.

    ``block`` is the block of a recorded call, or empty for a new call.
    """
    started = _write_start(as_object(block.get("toolUse")), call)
    started.pop("input", None)
    start = {"contentBlockStart": {"contentBlockIndex": index, "start": {**block, "toolUse": started}}}
    pieces = [] if call.arguments is None else split_text(call.arguments, piece_size) or [""]
    deltas = [_build_delta(index, {"toolUse": {"input": piece}}) for piece in pieces]
    # If a call stops without any input, a decoder reads an empty object as its input.
    is_stopped = call.arguments is not None and call.arguments.strip()
    return [start, *deltas, *([_build_stop(index)] if is_stopped else [])]


def build_text(index: int, text: str, piece_size: int) -> list[dict[str, Any]]:
    """Return the events of a text block. Unlike other blocks, a text block has no start event."""
    pieces = split_text(text, piece_size) or [""]
    return [*(_build_delta(index, {"text": piece}) for piece in pieces), _build_stop(index)]


def _build_delta(index: int, delta: Mapping[str, Any]) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": delta}}


def _build_stop(index: int) -> dict[str, Any]:
    return {"contentBlockStop": {"contentBlockIndex": index}}
