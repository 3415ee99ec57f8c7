"""Two answers to one request: how the calls of the second differ from those of the first, and all else that a program
goes by.

Parallel calls have no order, and what a model says beside its calls is other words each time; neither counts. An
answer that is not one of a model, such as embeddings, is not compared.
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
from multitrack.tape.recorder import describe_temporary_error
from multitrack.wires import WireAnswer

SAME, REORDERED = "same", "reordered"
ARGUMENTS, CALLS = "arguments changed", "calls added or removed"
FAILED, STATUS = "failed", "status changed"
FINISH, REFUSAL, TEXT = "finish reason changed", "refusal changed", "text changed"
NOT_COMPARED = "not compared"

# of a number, how it is written plays no part
_TERMS = ComparisonOptions(tolerance=0)
_NONE = "none"
_HTTP_OK = "200 OK"


@dataclass(frozen=True, slots=True)
class AnswerProperty:
    """Something about an answer beside the arguments of its calls: what it ``was`` on the tape, and is ``now``."""

    name: str
    recorded: str
    live: str

    def __str__(self) -> str:
        return f"{self.name}: was {self.recorded}, now {self.live}"


@dataclass(frozen=True, slots=True)
class ResponseDrift:
    """How a live answer differs from the recorded one: a ``verdict``, and ``lines`` that say more.

    ``calls`` and ``properties`` are there where both are answers of a model; ``recorded`` are the calls of the first.
    ``differs``: whether it is another answer in any way that a program or a later request could show, in words, too.
    """

    verdict: str
    lines: tuple[str, ...] = ()
    recorded: tuple[SnapshotCall, ...] = ()
    calls: CallComparison | None = None
    properties: tuple[AnswerProperty, ...] = field(default=())
    differs: bool = True


def compare_responses(recorded: Response, live: Response) -> ResponseDrift:
    """How the ``live`` answer differs from the ``recorded`` one."""
    then, now = parse_answer(recorded.body), parse_answer(live.body)
    before, after = _failure(recorded, then), _failure(live, now)
    if after is not None:
        if before is None or (_outcome(before) != _outcome(after) and describe_temporary_error(live)):
            return ResponseDrift(FAILED, (after,))
        if _outcome(before) == _outcome(after):
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
        return _of_models(then, now)
    except UnwritableValue as error:
        return ResponseDrift(NOT_COMPARED, (str(error),))


def _of_models(then: WireAnswer, now: WireAnswer) -> ResponseDrift:
    expected, came = to_snapshot_calls(then.calls), to_snapshot_calls(now.calls)
    calls = compare_calls(expected, came, options=_TERMS)
    properties = tuple(_answer_properties(then, now, has_calls=bool(expected or came)))
    moved = [one for one in properties if one.recorded != one.live]
    order = [entry.new for entry in calls.unchanged]
    verdict = SAME
    if any(one.name == "refusal" for one in moved):
        verdict = REFUSAL
    elif calls.added or calls.removed or any(change.before.name != change.after.name for change in calls.changed):
        verdict = CALLS
    elif calls.changed:
        verdict = ARGUMENTS
    elif moved:
        verdict = FINISH if moved[0].name == "finish reason" else TEXT
    elif order != sorted(order):
        verdict = REORDERED
    lines = () if calls.is_same else tuple(render_comparison(calls))
    # an answer may be another one only by its words, or by how its calls are written
    differs = (expected, then.text, then.refusal, then.finish_reason) != (
        came,
        now.text,
        now.refusal,
        now.finish_reason,
    )
    return ResponseDrift(verdict, (*lines, *map(str, moved)), expected, calls, properties, differs)


def _answer_properties(then: WireAnswer, now: WireAnswer, *, has_calls: bool) -> Iterator[AnswerProperty]:
    yield AnswerProperty(
        "refusal", _refusal(then), _refusal(now) if not (then.refusal and now.refusal) else _refusal(then)
    )
    yield AnswerProperty("finish reason", then.finish_reason or _NONE, now.finish_reason or _NONE)
    yield AnswerProperty("tool set", _tools(then), _tools(now))
    if not has_calls:
        yield AnswerProperty("text", "there" if then.text else _NONE, "there" if now.text else _NONE)


def _refusal(answer: WireAnswer) -> str:
    return repr(answer.refusal) if answer.refusal else _NONE


def _tools(answer: WireAnswer) -> str:
    return ", ".join(sorted({call.name for call in answer.calls})) or _NONE


def _failure(response: Response, answer: WireAnswer | None) -> str | None:
    """In what an answer is none, None where it is one."""
    if response.ending == "unanswered":
        failure = response.failure
        return f"no answer: {failure.error}: {failure.message}" if failure else "left without an answer"
    if (status := response.header("grpc-status") or "0") != "0":
        return f"gRPC status {status}: {response.header('grpc-message') or ''}".rstrip(": ")
    said = answer.error if answer is not None else None
    if response.status >= 400:
        return ": ".join(word for word in (f"{response.status} {response.reason}".rstrip(), said) if word)
    if said is not None:
        return f"error in the answer: {said}"
    if response.ending == "broken":
        return f"broken off: {response.failure.error}" if response.failure else "broken off"
    return None


def _outcome(failure: str) -> str:
    """A failure without the provider's own words, which differ from time to time."""
    return failure.partition(":")[0]
