"""Compare a live response with its recording: the tool calls, and everything else that programs depend on.

The order of parallel calls is ignored. The text that accompanies calls is ignored, too, because its wording differs
each time. Responses without a model's answer, such as embeddings, are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from multitrack.diagnosis.call_results import parse_answer
from multitrack.snapshots.collected_calls import to_snapshot_calls
from multitrack.snapshots.comparison import CallComparison, compare_calls
from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.conversion import UnwritableValue
from multitrack.snapshots.expressions import SnapshotCall
from multitrack.snapshots.rendering import render_comparison
from multitrack.tape.exchange import Response
from multitrack.tape.temporary_errors import describe_temporary_error
from multitrack.wires import WireAnswer

SAME, REORDERED = "same", "reordered"
ARGUMENTS, CALLS = "arguments changed", "calls added or removed"
FAILED, STATUS = "failed", "status changed"
FINISH, REFUSAL, TEXT = "finish reason changed", "refusal changed", "text changed"
NOT_COMPARED = "not compared"

# numbers are compared by value: 1 equals 1.0
_OPTIONS = ComparisonOptions(tolerance=0)
_NONE = "none"
_HTTP_OK = "200 OK"


@dataclass(frozen=True, slots=True)
class AnswerProperty:
    """A property of an answer other than the arguments of its calls, such as the finish reason."""

    name: str
    recorded: str
    live: str

    def __str__(self) -> str:
        return f"{self.name}: was {self.recorded}, now {self.live}"


@dataclass(frozen=True, slots=True)
class ResponseDrift:
    """The result of comparing a live response with the recorded one.

    Args:
        verdict: The kind of drift.
        lines: The differences.
        recorded: The calls in the recorded response.
        calls: The comparison of the calls. None if one of the responses does not contain a model's answer.
        properties: The other properties that were compared.
        differs: Whether the responses differ in their text, in a part that a program can use, or in a part that a
            later request can repeat.
    """

    verdict: str
    lines: tuple[str, ...] = ()
    recorded: tuple[SnapshotCall, ...] = ()
    calls: CallComparison | None = None
    properties: tuple[AnswerProperty, ...] = field(default=())
    differs: bool = True


def compare_responses(recorded: Response, live: Response) -> ResponseDrift:
    """Compare the live response with the recorded one."""
    then, now = parse_answer(recorded.body), parse_answer(live.body)
    before, after = _describe_failure(recorded, then), _describe_failure(live, now)
    if after is not None:
        if before is None or (_failure_kind(before) != _failure_kind(after) and describe_temporary_error(live)):
            return ResponseDrift(FAILED, (after,))
        if _failure_kind(before) == _failure_kind(after):
            return ResponseDrift(SAME, differs=False)
    if "left" in (recorded.ending, live.ending):
        return ResponseDrift(NOT_COMPARED, ("one of the responses was not read to its end",))
    if recorded.ending in ("broken", "unanswered"):
        return ResponseDrift(NOT_COMPARED, (f"the recording ends with a failure ({before})",))
    if before is not None:
        return ResponseDrift(STATUS, (str(AnswerProperty("status", before, after or _HTTP_OK)),))
    if then is None or now is None:
        return ResponseDrift(NOT_COMPARED, ("not a model's response",), differs=recorded.body != live.body)
    try:
        return _compare_answers(then, now)
    except UnwritableValue as error:
        return ResponseDrift(NOT_COMPARED, (str(error),))


def _compare_answers(then: WireAnswer, now: WireAnswer) -> ResponseDrift:
    expected, received = to_snapshot_calls(then.calls), to_snapshot_calls(now.calls)
    calls = compare_calls(expected, received, options=_OPTIONS)
    properties = tuple(_answer_properties(then, now, has_calls=bool(expected or received)))
    changed = [one for one in properties if one.recorded != one.live]
    order = [entry.new for entry in calls.unchanged]
    verdict = SAME
    if any(one.name == "refusal" for one in changed):
        verdict = REFUSAL
    elif calls.added or calls.removed or any(change.before.name != change.after.name for change in calls.changed):
        verdict = CALLS
    elif calls.changed:
        verdict = ARGUMENTS
    elif changed:
        verdict = FINISH if changed[0].name == "finish reason" else TEXT
    elif order != sorted(order):
        verdict = REORDERED
    lines = () if calls.is_same else tuple(render_comparison(calls))
    # even if the verdict is that nothing differs, the text or the spelling of equal calls may differ
    differs = (expected, then.text, then.refusal, then.finish_reason) != (
        received,
        now.text,
        now.refusal,
        now.finish_reason,
    )
    return ResponseDrift(verdict, (*lines, *map(str, changed)), expected, calls, properties, differs)


def _answer_properties(then: WireAnswer, now: WireAnswer, *, has_calls: bool) -> Iterator[AnswerProperty]:
    yield AnswerProperty(
        "refusal",
        _format_refusal(then),
        _format_refusal(now) if not (then.refusal and now.refusal) else _format_refusal(then),
    )
    yield AnswerProperty("finish reason", then.finish_reason or _NONE, now.finish_reason or _NONE)
    yield AnswerProperty("tool set", _format_tools(then), _format_tools(now))
    if not has_calls:
        yield AnswerProperty("text", "present" if then.text else _NONE, "present" if now.text else _NONE)


def _format_refusal(answer: WireAnswer) -> str:
    return repr(answer.refusal) if answer.refusal else _NONE


def _format_tools(answer: WireAnswer) -> str:
    return ", ".join(sorted({call.name for call in answer.calls})) or _NONE


def _describe_failure(response: Response, answer: WireAnswer | None) -> str | None:
    """Return why the provider failed to answer. None if it answered."""
    if response.ending == "unanswered":
        failure = response.failure
        return (
            f"no answer: {failure.error}: {failure.message}"
            if failure
            else "the caller stopped waiting before an answer arrived"
        )
    if (status := response.header("grpc-status") or "0") != "0":
        return f"gRPC status {status}: {response.header('grpc-message') or ''}".rstrip(": ")
    message = answer.error if answer is not None else None
    if response.status >= 400:
        return ": ".join(part for part in (f"{response.status} {response.reason}".rstrip(), message) if part)
    if message is not None:
        return f"error in the answer: {message}"
    if response.ending == "broken":
        return f"broken off: {response.failure.error}" if response.failure else "broken off"
    return None


def _failure_kind(failure: str) -> str:
    """Return the kind of a failure, without the provider's message. The wording of such messages differs each time."""
    return failure.partition(":")[0]
