"""Validate the tool calls in a response, and describe what is wrong with a call or with the response itself."""

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
from multitrack.tool_call import ToolCall
from multitrack.wires import WireAnswer

Models = Mapping[str, type[BaseModel]]
"""The Pydantic model of each tool, by tool name."""

CallError = UnknownTool | InvalidArguments

_VALIDATE_JSON = BaseModel.model_validate_json.__func__  # type: ignore[attr-defined]


def validate_call(call: ToolCall, total: int, models: Models, context: Any) -> BaseModel | CallError:
    """Validate the arguments of ``call``, one of ``total`` calls, with the model of its tool.

    Returns:
        The validated model, or the error if the call is invalid. The error is not raised.
    """
    model = models.get(call.name)
    if model is None:
        return _unknown_tool_error(call, total, models)
    try:
        # for a tool without arguments, some providers send no arguments, others {}, and others null
        text = call.arguments.strip() if call.arguments else ""
        if text in ("", "null"):
            text = "{}"
        validate = model.model_validate_json
        # without a default, a static method or a function that a test has patched in would raise an AttributeError
        if getattr(validate, "__func__", None) is _VALIDATE_JSON:
            # Pydantic's method only passes its arguments on, and takes a third of the time
            return model.__pydantic_validator__.validate_json(text, context=context)  # type: ignore[no-any-return]
        return validate(text, context=context)
    except ValidationError as error:
        return _invalid_arguments_error(call, total, error)
    except UnicodeEncodeError as error:
        # half of a surrogate pair, which JSON cannot contain
        return InvalidArguments(f"{_locate_call(call, total)}: {error}", call=call)


def incomplete_call_error(call: ToolCall, total: int, *, is_stream: bool = True) -> CallError:
    """Return the error for ``call``, which was still incomplete when its stream ended or a length limit was reached."""
    cause = "the stream ended before this call was complete" if is_stream else "a length limit cut this call off"
    reason = f"{cause}; received so far: {_shorten(call.arguments)}"
    return InvalidArguments(f"{_locate_call(call, total)}: {reason}", call=call)


def find_response_error(
    answer: WireAnswer, call_errors: Sequence[CallError], models: Models, *, allow_empty: bool
) -> ExtractionError | None:
    """Return the error of the response as a whole, apart from its ``call_errors``. None if there is no such error."""
    if answer.error is not None:
        return ExtractionError(f"the provider returned an error: {answer.error}")
    if answer.refusal is not None:
        return _refusal_error(answer)
    if answer.is_truncated:
        cut = f"the response was cut off by a length limit (finish reason {answer.finish_reason!r})"
        return TruncatedResponse(
            _format_list(f"{cut}; {_count_valid(answer, call_errors)}; raise the limit", call_errors)
        )
    if not answer.calls and not allow_empty:
        return _no_tool_calls_error(answer, models)
    return None


def stream_broken_error(answer: WireAnswer, call_errors: Sequence[CallError], reason: str) -> StreamBroken:
    """Return the error for a response whose stream ended early."""
    head = f"the stream ended early ({reason}); {_count_valid(answer, call_errors)}"
    return StreamBroken(_format_list(head, call_errors))


def combine_errors(answer: WireAnswer, call_errors: Sequence[CallError]) -> ExtractionError:
    """Combine ``call_errors``, the errors of the calls in a response, into one error. The list must not be empty.

    Returns:
        A single error is returned unchanged. Several errors of one class become one error of that class; errors of
        different classes become one ``ExtractionError``.
    """
    if len(call_errors) == 1:
        return call_errors[0]
    message = _format_list(f"{len(call_errors)} of {len(answer.calls)} calls are invalid", call_errors)
    first = call_errors[0]
    if isinstance(first, UnknownTool) and all(isinstance(error, UnknownTool) for error in call_errors):
        return UnknownTool(message, call=first.call, offered=first.offered)
    if isinstance(first, InvalidArguments) and all(isinstance(error, InvalidArguments) for error in call_errors):
        return InvalidArguments(message, call=first.call, details=first.details)
    return ExtractionError(message)


def _unknown_tool_error(call: ToolCall, total: int, models: Models) -> UnknownTool:
    message = f"{_locate_call(call, total)}: this tool was not offered; offered tools: {', '.join(models)}"
    return UnknownTool(message, call=call, offered=tuple(models))


def _invalid_arguments_error(call: ToolCall, total: int, error: ValidationError) -> InvalidArguments:
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        reason = f"the arguments are not valid JSON: {details[0]['ctx']['error']}, in {_shorten(call.arguments)}"
        return InvalidArguments(f"{_locate_call(call, total)}: {reason}", call=call)
    lines = [f"  {_json_path(detail['loc'])}: {detail['msg']}{_format_input(detail)}" for detail in details]
    message = "\n".join([f"{_locate_call(call, total)}: the arguments do not match the model", *lines])
    return InvalidArguments(message, call=call, details=[dict(detail) for detail in details])


def _refusal_error(answer: WireAnswer) -> Refusal:
    refusal = Refusal(f"the model refused, or a filter blocked the response: {answer.refusal}")
    refusal.text = answer.text or answer.refusal
    return refusal


def _no_tool_calls_error(answer: WireAnswer, models: Models) -> NoToolCalls:
    no_calls = "no tool calls" if answer.text else "no tool calls and no text"
    finish_reason = f" (finish reason {answer.finish_reason!r})" if answer.finish_reason else ""
    its_text = f"; its text: {_shorten(answer.text)}" if answer.text else ""
    return NoToolCalls(
        f"the response has {no_calls}{finish_reason}{its_text}\n"
        f"  offered tools: {', '.join(models)}; pass allow_empty=True to accept a response without tool calls"
    )


def _locate_call(call: ToolCall, total: int) -> str:
    call_id = f" (id {call.id!r})" if call.id else ""
    return f"call {call.index + 1} of {total}{call_id}, {call.name or 'without a name'}"


def _json_path(location: Sequence[int | str]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _format_input(detail: Mapping[str, Any]) -> str:
    return "" if detail["type"] == "missing" else f", got {_shorten(detail['input'])}"


def _count_valid(answer: WireAnswer, call_errors: Sequence[CallError]) -> str:
    return f"{len(answer.calls) - len(call_errors)} of {len(answer.calls)} calls are valid"


def _format_list(head: str, call_errors: Sequence[CallError]) -> str:
    return "\n".join([f"{head}:" if call_errors else head, *(f"- {error}" for error in call_errors)])


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
