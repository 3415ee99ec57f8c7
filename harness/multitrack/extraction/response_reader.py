"""Turn the tool calls in a response into Pydantic models, with the options that were passed to ``create()``."""

from __future__ import annotations

from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast

from pydantic import BaseModel

from multitrack.errors import ExtractionError, StreamBroken
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.validation import (
    CallError,
    Models,
    combine_errors,
    find_response_error,
    incomplete_call_error,
    stream_broken_error,
    validate_call,
)
from multitrack.tool_call import ToolCall
from multitrack.wires import WireAnswer

T = TypeVar("T")

OnError = Literal["raise", "collect"]


class ValidatedResponse(NamedTuple):
    """A response whose calls have been validated.

    ``extraction`` is the result if no error is raised. ``call_errors`` has one error for each invalid call.
    ``response_error`` describes what is wrong with the whole response. ``error`` combines these errors.
    """

    extraction: Extraction[Any]
    call_errors: list[CallError]
    response_error: ExtractionError | None
    error: ExtractionError | None


class ResponseReader(Generic[T]):
    """A validator for the response to one call to ``create``, including its stream and its retries.

    ``models`` is a dictionary from tool name to Pydantic model. The options are those of ``Toolset.parse``. A valid
    tool call is validated only once: the result is kept for the rest of the stream and for later attempts.
    """

    __slots__ = ("_allow_empty", "_context", "_on_error", "_validated", "models")

    def __init__(
        self, models: Models, on_error: OnError = "raise", allow_empty: bool = False, context: Any = None
    ) -> None:
        if on_error not in ("raise", "collect"):
            raise TypeError(f"on_error must be 'raise' or 'collect', not {on_error!r}")
        self.models = models
        self._on_error = on_error
        self._allow_empty = allow_empty
        self._context = context
        self._validated: list[tuple[ToolCall, BaseModel]] = []

    def read_early_call(self, call: ToolCall) -> T | None:
        """Validate a call that is complete before its response ends.

        Returns:
            The model. None if the call is invalid. The error is then reported at the end of the response.
        """
        model = validate_call(call, 1, self.models, self._context)
        if isinstance(model, ExtractionError):
            return None
        self._validated.append((call, model))
        return cast("T", model)

    def read_result(self, answer: WireAnswer, raw: Any, usage: Any) -> Extraction[T]:
        """Validate a complete response. Return the extraction, or raise its error, as ``unwrap`` does."""
        models, call_errors = self._validate_calls(answer, complete=True)
        response_error = find_response_error(answer, call_errors, self.models, allow_empty=self._allow_empty)
        if response_error is None and not call_errors:
            # almost every call to `create` ends here, so the objects that only an error needs are not created
            return Extraction(cast("list[T]", models), calls=answer.calls, raw=raw, usage=usage, text=answer.text)
        return self.unwrap(_build_result(answer, models, call_errors, response_error, raw, usage))

    def read(self, answer: WireAnswer, *, raw: Any = None, usage: Any = None) -> ValidatedResponse:
        """Validate a complete response."""
        models, call_errors = self._validate_calls(answer, complete=True)
        response_error = find_response_error(answer, call_errors, self.models, allow_empty=self._allow_empty)
        return _build_result(answer, models, call_errors, response_error, raw, usage)

    def read_broken(self, answer: WireAnswer, reason: str, *, raw: Any = None, usage: Any = None) -> ValidatedResponse:
        """Validate a response whose stream ended early.

        Every call that ``read_early_call`` has not received is invalid.
        """
        models, call_errors = self._validate_calls(answer, complete=False)
        response_error = stream_broken_error(answer, call_errors, reason)
        return _build_result(answer, models, call_errors, response_error, raw, usage)

    def unwrap(self, validated: ValidatedResponse) -> Extraction[T]:
        """Return the extraction, or raise its error.

        If errors are collected, only ``StreamBroken`` is raised, because half a stream is not a result.
        """
        error = validated.error
        if error is None or (self._on_error == "collect" and not isinstance(error, StreamBroken)):
            return validated.extraction
        raise error

    def remember_models(self, validated: ValidatedResponse) -> None:
        """Keep the models of the valid calls for the next attempt."""
        invalid = {id(error.call) for error in validated.call_errors}
        valid_calls = [call for call in validated.extraction.calls if id(call) not in invalid]
        self._validated = list(zip(valid_calls, validated.extraction, strict=True))

    def _validate_calls(self, answer: WireAnswer, *, complete: bool) -> tuple[list[BaseModel], list[CallError]]:
        total = len(answer.calls)
        validated = _group_by_key(self._validated) if self._validated else {}
        models: list[BaseModel] = []
        call_errors: list[CallError] = []
        for call in answer.calls:
            if validated and (equal := validated.get(_call_key(call))):
                models.append(equal.pop())
                continue
            is_cut_off = answer.has_cut_off_call and call is answer.calls[-1]
            model = (
                validate_call(call, total, self.models, self._context)
                if complete and not is_cut_off
                else incomplete_call_error(call, total, is_stream=not complete)
            )
            # not isinstance(model, BaseModel): BaseModel has an ABC metaclass, whose check is slow
            if isinstance(model, ExtractionError):
                call_errors.append(model)
            else:
                models.append(model)
        return models, call_errors


_CallKey = tuple[str | None, str, str | None]


def _call_key(call: ToolCall) -> _CallKey:
    # without the index, because an early call is numbered in order of arrival
    return call.id, call.name, call.arguments


def _group_by_key(validated: list[tuple[ToolCall, BaseModel]]) -> dict[_CallKey, list[BaseModel]]:
    """Group the models of equal calls, in reverse order, so that ``list.pop`` returns the first model."""
    models: dict[_CallKey, list[BaseModel]] = {}
    for call, model in reversed(validated):
        models.setdefault(_call_key(call), []).append(model)
    return models


def _build_result(
    answer: WireAnswer,
    models: list[BaseModel],
    call_errors: list[CallError],
    response_error: ExtractionError | None,
    raw: Any,
    usage: Any,
) -> ValidatedResponse:
    combined = response_error or (combine_errors(answer, call_errors) if call_errors else None)
    errors: list[ExtractionError] = []
    if combined is not None:
        errors = [*call_errors, *([response_error] if response_error else [])]
        for error in {*call_errors, combined}:
            error.calls, error.models, error.errors = answer.calls, tuple(models), tuple(call_errors)
            error.text, error.raw = error.text or answer.text, raw
    extraction = Extraction(models, calls=answer.calls, errors=errors, raw=raw, usage=usage, text=answer.text)
    return ValidatedResponse(extraction, call_errors, response_error, combined)
