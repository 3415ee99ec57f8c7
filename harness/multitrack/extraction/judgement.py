"""Which calls of an answer are good, and what is wrong with the others or with the answer itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from multitrack.errors import (
    ExtractionError,
    InvalidArguments,
    NoToolCalls,
    Refusal,
    StreamBroken,
    TruncatedResponse,
    UnknownTool,
)
from multitrack.toolcall import ToolCall
from multitrack.wires import WireAnswer

Models = Mapping[str, type[BaseModel]]
BadCall = UnknownTool | InvalidArguments


def judged(call: ToolCall, of: int, offered: Models, context: Any) -> BaseModel | BadCall:
    """The model of ``call``, one ``of`` so many; the error if it is bad."""
    model = offered.get(call.name)
    if model is None:
        return _unknown(call, of, offered)
    try:
        return model.model_validate_json(_text(call), context=context)
    except ValidationError as error:
        return _invalid(call, of, error)
    except UnicodeEncodeError as error:
        # half of a surrogate pair, which no JSON text can hold
        return InvalidArguments(f"{_place(call, of)}: {error}", call=call)


def left_incomplete(call: ToolCall, of: int) -> BadCall:
    """The error of ``call``, which had not arrived when its stream broke off."""
    reason = f"the stream broke off before it was complete, at {_short(call.arguments)}"
    return InvalidArguments(f"{_place(call, of)}: {reason}", call=call)


def flaw_of(
    answer: WireAnswer, bad: Sequence[BadCall], offered: Models, *, allow_empty: bool
) -> ExtractionError | None:
    """What is wrong with ``answer`` itself, beside its ``bad`` calls; None if nothing is."""
    if answer.error is not None:
        return ExtractionError(f"the provider answered with an error: {answer.error}")
    if answer.refusal is not None:
        return _refused(answer)
    if answer.is_truncated:
        cut = f"a limit on its length cut the answer off (finish reason {answer.finish_reason!r})"
        return TruncatedResponse(_listed(f"{cut}, {_tally(answer, bad)}; raise the limit", bad))
    if not answer.calls and not allow_empty:
        return _empty(answer, offered)
    return None


def broken_off(answer: WireAnswer, bad: Sequence[BadCall], reason: str) -> StreamBroken:
    """What is wrong with ``answer`` whose stream ended before it did."""
    return StreamBroken(_listed(f"the stream broke off ({reason}), {_tally(answer, bad)}", bad))


def joined(answer: WireAnswer, bad: Sequence[BadCall]) -> ExtractionError | None:
    """The ``bad`` calls as one error: one is itself, several of a kind are of that kind, mixed are an
    `ExtractionError`."""
    if len(bad) < 2:
        return next(iter(bad), None)
    message = _listed(f"{len(bad)} of {len(answer.calls)} calls are bad", bad)
    first = bad[0]
    if isinstance(first, UnknownTool) and all(isinstance(error, UnknownTool) for error in bad):
        return UnknownTool(message, call=first.call, offered=first.offered)
    if isinstance(first, InvalidArguments) and all(isinstance(error, InvalidArguments) for error in bad):
        return InvalidArguments(message, call=first.call, details=first.details)
    return ExtractionError(message)


def _text(call: ToolCall) -> str:
    # a tool that takes nothing is called with nothing by some providers, with {} by others
    return call.arguments if call.arguments and not call.arguments.isspace() else "{}"


def _unknown(call: ToolCall, of: int, offered: Models) -> UnknownTool:
    message = f"{_place(call, of)}: no such tool was offered; offered: {', '.join(offered)}"
    return UnknownTool(message, call=call, offered=tuple(offered))


def _invalid(call: ToolCall, of: int, error: ValidationError) -> InvalidArguments:
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        reason = f"the arguments are no JSON: {details[0]['ctx']['error']}, in {_short(call.arguments)}"
        return InvalidArguments(f"{_place(call, of)}: {reason}", call=call)
    lines = [f"  {_path(detail['loc'])}: {detail['msg']}{_given(detail)}" for detail in details]
    message = "\n".join([f"{_place(call, of)}: the arguments do not fit", *lines])
    return InvalidArguments(message, call=call, details=[dict(detail) for detail in details])


def _refused(answer: WireAnswer) -> Refusal:
    refusal = Refusal(f"the model or a filter refused: {answer.refusal}")
    refusal.text = answer.text or answer.refusal
    return refusal


def _empty(answer: WireAnswer, offered: Models) -> NoToolCalls:
    nothing = "no tool call" if answer.text else "no tool call and no text"
    ended = f" (finish reason {answer.finish_reason!r})" if answer.finish_reason else ""
    said = f"; the model said: {_short(answer.text)}" if answer.text else ""
    return NoToolCalls(
        f"the answer holds {nothing}{ended}{said}\n"
        f"  offered: {', '.join(offered)}; pass allow_empty=True to take an empty result"
    )


def _place(call: ToolCall, of: int) -> str:
    named = f" (id {call.id!r})" if call.id else ""
    return f"call {call.index + 1} of {of}{named}, {call.name or 'without a name'}"


def _path(location: Sequence[int | str]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _given(detail: Mapping[str, Any]) -> str:
    return "" if detail["type"] == "missing" else f", not {_short(detail['input'])}"


def _tally(answer: WireAnswer, bad: Sequence[BadCall]) -> str:
    return f"with {len(answer.calls) - len(bad)} of {len(answer.calls)} calls good"


def _listed(head: str, bad: Sequence[BadCall]) -> str:
    return "\n".join([f"{head}:" if bad else head, *(f"- {error}" for error in bad)])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
