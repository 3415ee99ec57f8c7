"""Add the results of tapes to the reports of tests, and to the summary at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from multitrack.diagnosis.failed_request import find_failed_request
from multitrack.diagnosis.violation_diagnosis import diagnose
from multitrack.errors import CassetteMiss, TapeViolation
from multitrack.printable import escape_controls
from multitrack.reporting import terminal
from multitrack.reporting.savings import measure_savings
from multitrack.tape import call_site, miss
from multitrack.tape.file import paths
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from multitrack.tape.run_context import RunContext
from multitrack.tape.tape import Tape
from pytest_multitrack import failure_diagnosis, pytest_internals
from pytest_multitrack.failure_diagnosis import PhaseFailure
from pytest_multitrack.report_attributes import FINDING, RESULTS

LOST = "multitrack_lost"
"""The attribute of a test report that says that one of the test's recordings could not be saved."""

VIOLATION = "multitrack_violation"
"""The attribute of a test report that holds the first line of the violation that failed the test."""


def fail_for_violation(
    report: pytest.TestReport,
    violation: TapeViolation,
    tapes: Sequence[Tape],
    item: pytest.Item,
    error: pytest.ExceptionInfo[BaseException] | None,
) -> PhaseFailure:
    """Turn ``report`` into a failure because of ``violation``.

    The report then shows the text of the violation and the frames of the user's code.

    Args:
        error: The error that ended the current phase of ``item``. None if the phase ended without an error.

    Returns:
        The diagnosis of the failure.
    """
    report.outcome = "failed"
    # under xfail, the violation would count as the expected failure
    vars(report).pop("wasxfail", None)
    text = terminal.format_violation(violation)
    changed_models = failure_diagnosis.find_changed_models(item.config, violation, tapes)
    cause = changed_models.text if changed_models is not None else ""
    if cause:
        text = f"{cause}\n{text}"
    setattr(report, VIOLATION, text.partition("\n")[0])
    if finding := cause or violation.finding or _find_common_reason(violation):
        setattr(report, FINDING, finding)
    pytest_internals.replace_failure_text(report, text)
    pytest_internals.add_user_frames(
        report,
        item.config,
        error if error is not None and error.value is violation else None,
        violation.frames,
        is_user_frame=call_site.is_user_frame,
    )
    return PhaseFailure(changed_models or diagnose(violation))


def _find_common_reason(violation: TapeViolation) -> str:
    """Return a reason that several tests can have in common: the first line of the message.

    Returns an empty string for a miss, because the first line of its message is about a single request.
    """
    return "" if isinstance(violation, CassetteMiss) else str(violation).partition("\n")[0]


def add_results(
    report: pytest.TestReport, test: RecordingScope, run_context: RunContext, *, config: pytest.Config
) -> None:
    """Extend a ``report`` of ``test`` with the results of the tapes that have been closed so far."""
    closed = tuple(run_context.tape_results)
    run_context.tape_results.clear()
    if report.failed:
        _add_pending_advice(report, test, closed)
    if any(tape.is_lost for tape in test.tapes_with_fixtures):
        setattr(report, LOST, True)
    if closed:
        setattr(report, RESULTS, summarize_tapes(closed, config))


def _add_pending_advice(report: pytest.TestReport, test: RecordingScope, closed: Sequence[TapeResult]) -> None:
    """Add advice to ``report``: how to accept the pending recordings of ``test``, including those saved at its end.

    A recording with a failed request is useless. In this case, the advice says how to record the test again.
    """
    for tape in (*test.tapes_with_fixtures, *(result.tape for result in closed)):
        if (failed := find_failed_request(tape)) is not None and not tape.is_compared:
            lines = terminal.failed_recording_lines(failed, tape.record_hint)
            report.sections.append(("multitrack", escape_controls("\n".join(lines))))
            return
    pending = [paths.pending_path(path) for path in _find_unsaved(test.recorded_paths, closed)]
    pending += [result.saved.path for result in closed if result.saved and result.saved.state == "pending"]
    if pending:
        shown = [str(paths.relative_to_cwd(path)) for path in dict.fromkeys(pending)]
        advice = "\n".join(terminal.pending_advice_lines(shown, test.rerun_hint))
        report.sections.append(("multitrack", escape_controls(advice)))


def remove_lost_advice(terminalreporter: Any) -> None:
    """If a test's recordings could not be saved, remove the advice about accepting them from its reports."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    lost = {report.nodeid for report in reports if hasattr(report, LOST)}
    for report in reports:
        if getattr(report, "nodeid", None) in lost:
            report.sections = [
                (title, text) for title, text in report.sections if title != "multitrack" or "accept" not in text
            ]


def _find_unsaved(recorded: Iterable[Path], closed: Sequence[TapeResult]) -> Iterator[Path]:
    saved = {result.tape.path for result in closed}
    return (path for path in recorded if path not in saved)


def summarize_tapes(closed: Sequence[TapeResult], config: pytest.Config) -> list[dict[str, Any]]:
    """Return a summary for each pair of a test and a cassette, as plain data.

    If a test opened the same cassette in several ``use_cassette`` blocks, the blocks share one summary.
    """
    groups: dict[tuple[str, Path], list[TapeResult]] = {}
    for result in closed:
        name = result.scope.name if result.scope is not None else ""
        groups.setdefault((name, result.tape.resolved_path), []).append(result)
    return [_summarize_blocks(results, is_quiet=_is_quiet(config)).to_dict() for results in groups.values()]


def _is_quiet(config: pytest.Config) -> bool:
    return bool(config.option.verbose < 0)


def _summarize_blocks(results: Sequence[TapeResult], *, is_quiet: bool) -> terminal.TapeSummary:
    tape, scope = results[-1].tape, results[-1].scope
    saved = next((result.saved for result in results if result.saved), None)
    is_pending = saved is not None and saved.state == "pending"
    failed = [found for result in results if is_pending and (found := find_failed_request(result.tape))]
    unplayed = set[int].intersection(*({entry.position for entry in result.tape.unplayed} for result in results))
    # decoding the answers takes a fraction of a millisecond, so it is skipped if nothing is printed
    savings = measure_savings([] if is_quiet else [one for result in results for one in result.tape.played])
    return terminal.TapeSummary(
        test=scope.name if scope is not None else "",
        is_test=scope is not None and scope.is_test,
        mode=tape.mode,
        tape=str(paths.relative_to_cwd(tape.path)),
        played=sum(len(result.tape.played) for result in results),
        recorded=saved.count if saved else 0,
        pending=str(paths.relative_to_cwd(saved.path)) if saved and is_pending else "",
        reason=saved.reason if saved else "",
        unplayed=sorted(unplayed) if all(result.passed for result in results) else [],
        days=tape.days_if_expired,
        failed_request=failed[0] if failed else "",
        record_hint=tape.record_hint if failed else "",
        replaced=(
            [str(paths.relative_to_cwd(other)) for other in paths.find_other_formats(tape.path)]
            if saved is not None and not is_pending
            else []
        ),
        short_variables=saved.short_variables if saved else (),
        rebound=[
            result.tape.redact("\n".join(miss.list_differences(found, {})))
            for result in results
            for found in result.tape.rebound
        ],
        tokens=savings.tokens,
        seconds=savings.seconds,
    )


def find_cassettes(terminalreporter: Any) -> set[Path]:
    """Return the cassettes that the tests in a run used. Empty without a terminal reporter."""
    if terminalreporter is None:
        return set()
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    return {paths.resolve(Path(result["tape"])) for report in reports for result in getattr(report, RESULTS, ())}


def print_summary(terminalreporter: Any, late_results: Sequence[Mapping[str, Any]]) -> None:
    """Print the results of the tapes in a run. Print nothing if no tape was used.

    Args:
        late_results: The results of tapes that were closed after the last test report.
    """
    reports = [report for reports in terminalreporter.stats.values() for report in reports if hasattr(report, RESULTS)]
    # the last attempt counts if a test was rerun
    reports.sort(key=lambda report: report.stop)
    summaries = [
        terminal.TapeSummary(**plain)
        for plain in (*(result for report in reports for result in getattr(report, RESULTS)), *late_results)
    ]
    latest = {(summary.test, summary.tape): summary for summary in summaries}
    for line in terminal.summary_lines(list(latest.values()), is_quiet=_is_quiet(terminalreporter.config)):
        terminalreporter.write_line(escape_controls(line))


def print_violations(terminalreporter: Any, late: Sequence[Sequence[str]]) -> None:
    """Print the violations that several tests have in common, and those that did not make a test fail.

    A violation does not make its test fail if the test had already ended, or if the test passed when it was run
    again.

    Args:
        late: The name and the message of each violation that occurred after its test.
    """
    tests: dict[str, dict[str, None]] = {}
    for outcome in ("failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            if (finding := getattr(report, FINDING, None)) is not None:
                tests.setdefault(finding, {})[report.nodeid] = None
    for line in terminal.finding_lines({finding: list(names) for finding, names in tests.items()}):
        terminalreporter.write_line(escape_controls(line))
    for name, message in late:
        terminalreporter.write_line(escape_controls(f"multitrack: {name}: {message}"), red=True)
    passed = {report.nodeid for report in terminalreporter.stats.get("passed", ())}
    for report in terminalreporter.stats.get("rerun", ()):
        if (violation := getattr(report, VIOLATION, None)) is not None and report.nodeid in passed:
            line = f"multitrack: {report.nodeid}: an earlier attempt failed: {violation}"
            terminalreporter.write_line(escape_controls(line))
