"""Compare the live responses of closed tapes with their cassettes, and build the rows of the drift table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from multitrack.drift import conversation_drift
from multitrack.drift.conversation_drift import CHANGED, RequestDrift
from multitrack.drift.reported_drift import report_drift
from multitrack.drift.response_drift import FAILED, NOT_COMPARED, REORDERED, SAME
from multitrack.drift.sample_agreement import describe_agreement
from multitrack.reporting.drift_table import DriftRow
from multitrack.tape.file import paths
from multitrack.tape.tape import Tape
from multitrack.wording import count_noun, enumerate_positions

NO_TAPE, NO_REQUESTS, FEWER = "no tape", "nothing asked", "fewer requests"

_HARMLESS = {SAME, REORDERED, NOT_COMPARED}
_IN_TROUBLE = {FAILED, NO_TAPE, NO_REQUESTS}


@dataclass(frozen=True, slots=True)
class CassetteDrift:
    """The drift of one cassette in one run of one test.

    Args:
        test: The test or the fixture.
        tape: The path of the cassette, as shown in reports.
        record_hint: The command that records the test.
        exists: Whether the cassette exists.
        requests: The drift of each live request.
        unsent: The positions of the recordings that were not requested.
    """

    test: str
    tape: str
    record_hint: str
    exists: bool = True
    requests: tuple[RequestDrift, ...] = ()
    unsent: frozenset[int] = frozenset()

    @property
    def verdicts(self) -> Sequence[str]:
        """The kinds of drift, in the order of the requests, without duplicates.

        "same" and "not compared" are included only if there is no other kind.
        """
        if not self.exists:
            return [NO_TAPE]
        if not self.requests:
            return [NO_REQUESTS]
        found = dict.fromkeys(request.verdict for request in self.requests)
        if self.unsent and found.keys() <= _HARMLESS and any(request.drift.differs for request in self.requests):
            found[FEWER] = None
        for harmless in (NOT_COMPARED, SAME):
            if len(found) > 1:
                found.pop(harmless, None)
        return list(found)

    @property
    def verdict(self) -> str:
        """The kinds of drift, separated by commas."""
        return ", ".join(self.verdicts)

    def merge(self, other: CassetteDrift) -> CassetteDrift:
        """Combine the drift of two ``use_cassette`` blocks that use the same cassette in the same run."""
        count = max((request.position for request in self.requests), default=0)
        later = (replace(request, position=count + request.position) for request in other.requests)
        return replace(self, requests=(*self.requests, *later), unsent=self.unsent & other.unsent)


def compare_tape(tape: Tape, test: str) -> CassetteDrift | None:
    """Compare the live responses of a closed ``tape`` with the recorded ones.

    Args:
        tape: The tape.
        test: The test that closed the tape. Used if the tape does not know its test.

    Returns:
        The drift. None if there is nothing to compare.
    """
    common = tape.test or test, str(paths.relative_to_cwd(tape.path)), tape.record_hint
    lookup, live = tape.replay_lookup, tape.live_interactions
    if lookup is None:
        return CassetteDrift(*common, exists=False) if live else None
    found = conversation_drift.compare_conversations(
        lookup, live, explain=lambda request: _parse_reason(tape.redact(str(tape.explain_miss(request))))
    )
    unsent = frozenset(entry.position for entry in found.unsent if tape.is_own(entry))
    return CassetteDrift(*common, requests=found.requests, unsent=unsent) if live or unsent else None


def _parse_reason(miss: str) -> Sequence[str]:
    """Return the lines of a miss's message that give the reason.

    The first two lines are left out, because they show the request and the cassette.
    """
    return [line.removeprefix("  ") for line in miss.splitlines()[2:]]


def make_drift_row(runs: Sequence[CassetteDrift], outcomes: Sequence[str], accept_hint: str | None = None) -> DriftRow:
    """Return the row for one cassette of one test.

    Args:
        runs: The drift of each run. With ``--calls-drift-samples``, there are several runs.
        outcomes: How the test ended in each run. An empty string means that it passed.
        accept_hint: The command that records the test and updates its snapshot. None if the test has no snapshot.
    """
    first, verdicts = runs[0], Counter(run.verdict for run in runs)
    failures = Counter(filter(None, outcomes))
    remarks = [_count_runs(outcome, count, len(outcomes)) for outcome, count in failures.most_common()]
    if skipped := sum(
        request.drift.verdict == NOT_COMPARED for request in first.requests if first.verdict != NOT_COMPARED
    ):
        remarks.append(f"{count_noun(skipped, 'request')} not compared")
    details = [*(_detail_lines(first) if len(runs) == 1 else _sample_lines(runs))]
    all_verdicts = {verdict for run in runs for verdict in run.verdicts}
    differs = not any(_HARMLESS.issuperset(run.verdicts) for run in runs)
    # the details of a changed request already contain the command, and a test that fails or sends nothing records
    # nothing
    if differs and not all_verdicts & {*_IN_TROUBLE, CHANGED}:
        details.append(f"  {_format_advice(first.record_hint, accept_hint, has_failed=bool(failures))}")
    return DriftRow(
        test=first.test,
        tape=first.tape,
        verdict=", ".join(_count_runs(verdict, count, len(runs)) for verdict, count in verdicts.most_common()),
        remarks=remarks,
        details=details,
        holds=all_verdicts <= _HARMLESS,
        trouble=bool(failures or all_verdicts & _IN_TROUBLE),
        accept_command=(accept_hint or first.record_hint) if differs and not all_verdicts & _IN_TROUBLE else "",
        requests=[
            report_drift(request, number).model_dump(mode="json")
            for number, run in enumerate(runs, start=1)
            for request in run.requests
        ],
    )


def _format_advice(record_hint: str, accept_hint: str | None, *, has_failed: bool) -> str:
    if accept_hint is not None:
        return f"to accept: {accept_hint}"
    if has_failed:
        return f"to accept: the test fails with these responses, so change it first, then run: {record_hint}"
    return f"to accept: {record_hint}"


def _detail_lines(run: CassetteDrift) -> Iterator[str]:
    for request in run.requests:
        if request.drift.verdict in (SAME, REORDERED) or (request.drift.verdict == NOT_COMPARED != run.verdict):
            continue
        yield f"{run.test}, request {request.position}: {request.verdict}"
        yield from (f"  {line}" for line in request.drift.lines)
    if not run.exists:
        yield f"{run.test}: no cassette at {run.tape}"
        yield f"  to record it: {run.record_hint}"
    elif run.unsent and not _HARMLESS.issuperset(run.verdicts):
        positions, verb = enumerate_positions(sorted(run.unsent)), "were" if len(run.unsent) > 1 else "was"
        yield f"{run.test}: {positions} of the cassette {verb} not requested"


def _sample_lines(runs: Sequence[CassetteDrift]) -> Iterator[str]:
    positions = sorted({request.recording for run in runs for request in run.requests if request.recording is not None})
    for position in positions:
        requests = [request for run in runs for request in run.requests if request.recording == position]
        lines = list(describe_agreement([request.drift for request in requests]))
        if lines:
            compared = sum(request.drift.calls is not None for request in requests)
            yield f"{runs[0].test}, interaction {position}: compared {compared} of {len(runs)} times"
            yield from (f"  {line}" for line in lines)
    others = Counter(request for run in runs for request in run.requests if request.drift.calls is None)
    for request, count in others.items():
        yield f"{runs[0].test}, request {request.position}: {_count_runs(request.verdict, count, len(runs))}"
        yield from (f"  {line}" for line in request.drift.lines)
    if not runs[0].exists:
        yield from _detail_lines(runs[0])


def _count_runs(text: str, count: int, total: int) -> str:
    return text if total == 1 else f"{text} {count}/{total}"
