"""``--calls-drift``: compare live responses with the recorded ones.

``DriftRun`` is a separate pytest plugin, which is registered only in a drift run.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from multitrack.diagnosis.failed_request import find_failed_request
from multitrack.drift import cassette_drift
from multitrack.drift.cassette_drift import CassetteDrift
from multitrack.printable import escape_controls
from multitrack.reporting import drift_table
from multitrack.reporting.drift_table import DriftRow
from multitrack.tape import run_context
from multitrack.tape.file import paths
from pytest_multitrack import commands, markers, pytest_internals
from pytest_multitrack.report_attributes import DRIFT_ROWS, EXCUSED
from pytest_multitrack.run_state import ItemState, list_tapes

if TYPE_CHECKING:
    from pytest_multitrack.flags import DriftOptions

DRIFTED = "drifted"
"""The category of the reports with ``EXCUSED`` in pytest's summary."""


@dataclass
class _DriftingTest:
    """The running test, with the outcome of each of its runs, and the drift of its tapes in each run."""

    name: str = ""
    accept_hint: str | None = None
    """The command that records the test and updates its snapshot. None if it has no snapshot."""
    outcomes: list[str] = field(default_factory=list)
    runs: list[dict[tuple[str, str], CassetteDrift]] = field(default_factory=list)

    @classmethod
    def from_item(cls, item: pytest.Item) -> _DriftingTest:
        has_snapshot = "calls_snapshot" in getattr(item, "fixturenames", ())
        hint = commands.record_command(item, "--snapshot-update") if has_snapshot else None
        return cls(pytest_internals.get_test_name(item), hint)

    def begin_run(self) -> None:
        self.outcomes.append("")
        self.runs.append({})

    def note_outcome(self, outcome: str) -> None:
        """Set the outcome of the test's current run to the outcome of a phase, unless an earlier phase has already set
        it.
        """
        self.outcomes[-1] = self.outcomes[-1] or outcome

    def add(self, found: CassetteDrift) -> None:
        """Add the drift of a tape that was closed in this run."""
        earlier = self.runs[-1].get((found.test, found.tape))
        self.runs[-1][found.test, found.tape] = found if earlier is None else earlier.merge(found)

    @property
    def has_drift(self) -> bool:
        """True if this run compared the recorded responses of a tape with live ones."""
        return bool(self.runs[-1])

    def rows(self) -> list[dict[str, Any]]:
        """Return the drift table's rows for this test, one for each cassette."""
        was_skipped = {"skipped", "xfailed"}.issuperset(self.outcomes)
        by_tape: dict[tuple[str, str], list[CassetteDrift]] = {}
        for run in self.runs:
            for key, found in run.items():
                if found.requests or not found.exists or not was_skipped:
                    by_tape.setdefault(key, []).append(found)
        # the tape of a fixture is closed in the last test that uses the fixture, and the outcomes of that test are not
        # the fixture's
        return [
            (
                cassette_drift.make_drift_row(runs, self.outcomes, self.accept_hint)
                if test == self.name
                else cassette_drift.make_drift_row(runs, ())
            ).to_dict()
            for (test, _), runs in by_tape.items()
        ]


class DriftRun:
    """The pytest plugin for ``--calls-drift``."""

    def __init__(self, options: DriftOptions) -> None:
        self._samples = options.samples
        self._fails = options.fails
        self._test = _DriftingTest()
        self._is_sampling = False
        self._excused = 0
        self._rows: dict[str, list[dict[str, Any]]] = {}

    # before plugins that rerun failed tests: each sample counts, whatever its outcome
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if self._samples == 1 or not markers.uses_cassette(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        self._test, self._is_sampling = _DriftingTest.from_item(item), True
        try:
            runs = list(pytest_internals.run_repeatedly(item, nextitem, self._samples))
        finally:
            self._is_sampling = False
        # log only one run: the first that failed (if possible, for a reason other than drift), otherwise the last
        failed = [reports for reports in runs if any(report.failed for report in reports)]
        unexcused = [reports for reports in failed if any(map(_counts_as_failure, reports))]
        logged = (*unexcused, *failed, runs[-1])[0]
        setattr(logged[-1], DRIFT_ROWS, self._test.rows())
        for report in logged:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    # registered after the main plugin, so this wraps its hook and sees the final outcome of the test
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "setup":
            if not self._is_sampling:
                self._test = _DriftingTest.from_item(item)
            self._test.begin_run()
        run = run_context.current_run()
        for tape in run.tapes_to_compare:
            if (found := cassette_drift.compare_tape(tape, self._test.name)) is not None:
                self._test.add(found)
            # interactions that were compared count as used
            run.played_positions[paths.resolve(tape.path)].update(tape.played_positions)
        run.tapes_to_compare.clear()
        self._test.note_outcome(_describe_outcome(report, call))
        if report.failed and self._is_drift(item):
            setattr(report, EXCUSED, True)
        if report.when == "teardown" and not self._is_sampling:
            setattr(report, DRIFT_ROWS, self._test.rows())
        return report

    def _is_drift(self, item: pytest.Item) -> bool:
        """Return whether ``item`` could have failed because a response differs from the recorded one.

        A request that bypasses the tape, a failed request, and an unreadable cassette are not drift.
        """
        tapes = list_tapes(item)
        if any(map(find_failed_request, tapes)):
            return False
        if ItemState.of(item).tape is not None:
            return ItemState.of(item).violation is None
        return self._test.has_drift or any(tape.is_compared and tape.sent for tape in tapes)

    # count excused failures as drifted, so that pytest's summary agrees with its exit code
    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        if hasattr(report, EXCUSED) and (report.failed or report.skipped):
            return DRIFTED, "D", ("DRIFTED", {"yellow": True})
        return None

    # a wrapper, so that pytest and other plugins see the result; plugins that rerun failures have already seen this one
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        if report.failed and hasattr(report, EXCUSED) and not self._fails:
            # an expected failure: otherwise, a JUnit file would report a failure although the exit code is 0
            # https://docs.pytest.org/en/stable/how-to/skipping.html#xfail-mark-test-functions-as-expected-to-fail
            report.outcome = "skipped"
            report.wasxfail = f"{DRIFTED}: a live response differs from the recorded one"
        self._excused += report.failed and hasattr(report, EXCUSED)
        # the last attempt counts if a test was rerun
        self._rows[report.nodeid] = getattr(report, DRIFT_ROWS, [])
        return (yield)

    # before the terminal reporter prints how the run ended
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        if hasattr(session.config, "workeroutput"):
            return result
        # with --calls-drift-fail, the verdicts decide: a test may fail although the calls differ only in their order
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and 0 < session.testsfailed == self._excused:
            session.exitstatus = pytest.ExitCode.OK
        if session.exitstatus == pytest.ExitCode.OK and self._fails and not all(row.holds for row in self.rows):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    # the outermost wrapper: the table is the last thing that the run prints
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, object, object]:
        pytest_internals.print_failures(terminalreporter, DRIFTED)
        result = yield
        terminalreporter.section("drift")
        for line, colour in drift_table.drift_lines(self.rows, fails=self._fails):
            terminalreporter.write_line(escape_controls(line), **({colour: True} if colour else {}))
        return result

    @property
    def rows(self) -> Sequence[DriftRow]:
        """The table rows of all tests so far."""
        rows: list[DriftRow] = []
        for plain in (row for test_rows in self._rows.values() for row in test_rows):
            # several workers set up the same fixture if they share the tests of its module
            if (row := DriftRow(**plain)) not in rows:
                rows.append(row)
        return rows


def _counts_as_failure(report: pytest.TestReport) -> bool:
    return report.failed and not hasattr(report, EXCUSED)


def _describe_outcome(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    """Return the outcome of a test's phase for the drift table, or an empty string if the phase passed."""
    has_xfail = hasattr(report, "wasxfail")
    if report.passed:
        return "xpassed" if has_xfail else ""
    if report.skipped:
        return "xfailed" if has_xfail else "skipped"
    if report.when != "call":
        return f"{report.when} failed"
    error = call.excinfo.value if call.excinfo is not None else None
    if error is None or isinstance(error, AssertionError | pytest.fail.Exception):
        return "assertion failed"
    return f"{type(error).__name__} raised"
