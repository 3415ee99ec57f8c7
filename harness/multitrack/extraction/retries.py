"""Ask the model again if calls are invalid: keep the valid calls, and replace each invalid call with its correction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from multitrack.errors import ExtractionError, UnknownTool
from multitrack.extraction.continuation import FollowUp, accept_call, reject_call
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.response_reader import ResponseReader, ValidatedResponse
from multitrack.extraction.validation import CallError
from multitrack.tool_call import ToolCall
from multitrack.wires import WireAnswer

T = TypeVar("T")


class Retries(Generic[T]):
    """The retries of one call to ``create``.

    If tool calls in a response are invalid, the model is asked again, at most ``max_retries`` times.

    Refusals, truncated responses and responses without tool calls are not retried, because they have no invalid call
    that could be sent back.
    """

    def __init__(self, reader: ResponseReader[T], max_retries: int) -> None:
        self._reader = reader
        self._remaining = max_retries
        self._last: ValidatedResponse | None = None
        self._attempts: tuple[ExtractionError, ...] = ()
        self.latest_calls: Sequence[ToolCall] = ()
        """The calls in the last response. The ``index`` of each is its position among all calls of the extraction."""

    def handle_response(self, answer: WireAnswer, *, raw: Any, usage: Any) -> Extraction[T] | FollowUp:
        """Return the result, or what to send with the next attempt.

        Raises:
            ExtractionError: As ``Toolset.extract`` does, with the errors of earlier responses in ``attempts``.
        """
        self.latest_calls = answer.calls
        if self._last is not None:
            calls, self.latest_calls = _merge_corrections(self._last, answer.calls)
            answer = replace(answer, calls=tuple(calls))
        validated = self._reader.read(answer, raw=raw, usage=usage)
        if validated.call_errors and validated.response_error is None and self._remaining > 0:
            return self._follow_up(validated, self.latest_calls)
        validated.extraction.attempts = self._attempts
        if validated.error is not None and self._attempts:
            validated.error.attempts = self._attempts
            count = len(self._attempts) + 1
            validated.error.add_note(
                f"the model was asked {count} times; .attempts has the errors of earlier responses"
            )
        return self._reader.unwrap(validated)

    def _follow_up(self, validated: ValidatedResponse, latest: Sequence[ToolCall]) -> FollowUp:
        self._remaining -= 1
        self._last = validated
        self._reader.remember_models(validated)
        self._attempts += (validated.error,) if validated.error else ()
        errors = {id(error.call): error for error in validated.call_errors}
        results = [
            accept_call(call) if (error := errors.pop(id(call), None)) is None else reject_call(call, error)
            for call in latest
        ]
        return FollowUp(results, _format_remark(list(errors.values())))


def _merge_corrections(last: ValidatedResponse, new_calls: Sequence[ToolCall]) -> tuple[list[ToolCall], list[ToolCall]]:
    """Replace the invalid calls of ``last`` with ``new_calls``.

    Each new call replaces one invalid call. If several invalid calls are left, the new call replaces the first of
    these:

    1. a call with the same name
    2. a call to a tool that was not offered
    3. any other invalid call

    If no invalid call is left, the new call is appended.

    Returns:
        All calls, and the new calls. The ``index`` of a new call is its position among all calls.
    """
    calls = list(last.extraction.calls)
    invalid = {id(error.call): error for error in last.call_errors}
    positions = [position for position, call in enumerate(calls) if id(call) in invalid]
    # the correction of invalid arguments has the same name; the correction of a wrong name has a different one
    positions.sort(key=lambda position: not isinstance(invalid[id(calls[position])], UnknownTool))
    accepted = [_call_content(call) for call in calls if id(call) not in invalid]
    indexed = list(new_calls)
    corrections = list(range(len(new_calls)))
    if len(new_calls) > len(positions):
        # the model repeated accepted calls, although the tool results say not to
        corrections = [
            number for number in corrections if not _remove_if_present(_call_content(new_calls[number]), accepted)
        ]
    by_name = {
        number: position
        for number in corrections
        if (position := _pop_same_name(new_calls[number], calls, positions)) is not None
    }
    for number in corrections:
        position = by_name.get(number)
        if position is None and positions:
            position = positions.pop(0)
        if position is None:
            position = len(calls)
            calls.append(new_calls[number])
        calls[position] = indexed[number] = replace(new_calls[number], index=position)
    return calls, indexed


def _pop_same_name(call: ToolCall, calls: Sequence[ToolCall], positions: list[int]) -> int | None:
    """Remove and return the first of ``positions`` whose call has the same name as ``call``. None if no call has that
    name.
    """
    found = next((position for position in positions if calls[position].name == call.name), None)
    if found is not None:
        positions.remove(found)
    return found


def _call_content(call: ToolCall) -> tuple[str, Any]:
    try:
        return call.name, json.loads(call.arguments or "{}")
    except ValueError:
        return call.name, call.arguments


def _remove_if_present(content: tuple[str, Any], accepted: list[tuple[str, Any]]) -> bool:
    if content not in accepted:
        return False
    accepted.remove(content)
    return True


def _format_remark(uncorrected: Sequence[CallError]) -> str | None:
    if not uncorrected:
        return None
    head = "These calls were rejected and are still missing. Correct them and make them again:"
    return "\n".join([head, *(f"- {error}" for error in uncorrected)])
