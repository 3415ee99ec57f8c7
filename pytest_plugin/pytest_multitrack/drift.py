"""A run with ``--calls-drift``: a plugin of its own, which is there in no other run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from multitrack.drift import cassette_drift
from multitrack.drift.cassette_drift import CassetteDrift
from multitrack.reporting import drift_table
from multitrack.reporting.drift_table import DriftRow
from multitrack.tape import active
from pytest_multitrack import node_names, sampling

if TYPE_CHECKING:
    from multitrack.tape.tape import Tape
    from pytest_multitrack.flags import Drift
    from pytest_multitrack.playback import Playback

ROWS = "multitrack_drift"
"""The attribute of the report of a test's teardown that holds its rows, as plain data, so that it crosses processes."""

EXCUSED = "multitrack_excused"
"""The attribute of a failed report that is told in the table, and not by the exit code."""


@dataclass
class _Test:
    """The test that is running: how it came out of each of its runs, and what its tapes came to in each."""

    name: str = ""
    outcomes: list[str] = field(default_factory=list)
    runs: list[dict[tuple[str, str], CassetteDrift]] = field(default_factory=list)

    def begin(self) -> None:
        """Another run begins."""
        self.outcomes.append("")
        self.runs.append({})

    def ended(self, outcome: str) -> None:
        """A phase of this run ended so; what came first counts."""
        self.outcomes[-1] = self.outcomes[-1] or outcome

    def closed(self, found: CassetteDrift) -> None:
        """A tape was closed in this run."""
        before = self.runs[-1].get((found.test, found.tape))
        self.runs[-1][found.test, found.tape] = found if before is None else before.merge(found)

    @property
    def drifts(self) -> bool:
        """Whether a tape was closed in this run."""
        return bool(self.runs[-1])

    def rows(self) -> list[dict[str, Any]]:
        """Its rows, as plain values."""
        left_out = {"skipped", "xfailed"}.issuperset(self.outcomes)
        of_tape: dict[tuple[str, str], list[CassetteDrift]] = {}
        for run in self.runs:
            for key, found in run.items():
                if found.requests or not found.exists or not left_out:
                    of_tape.setdefault(key, []).append(found)
        # the tape of a fixture is closed in whichever test is its last
        return [
            cassette_drift.make_drift_row(runs, self.outcomes if test == self.name else ()).to_dict()
            for (test, _), runs in of_tape.items()
        ]


class DriftRun:
    """The run. ``wants`` says whether a test has a tape, ``playing`` gives it while the test runs, ``tapes`` all that
    played for it."""

    def __init__(
        self,
        asked: Drift,
        *,
        wants: Callable[[pytest.Item], bool],
        playing: Callable[[pytest.Item], Playback | None],
        tapes: Callable[[pytest.Item], Sequence[Tape]],
    ) -> None:
        self._samples = asked.samples
        self._fails = asked.fails
        self._wants = wants
        self._playing = playing
        self._tapes = tapes
        self._test = _Test()
        self._sampling = False
        self._excused = 0
        self._rows: dict[str, list[dict[str, Any]]] = {}

    # before reruns of a failed test: each sample counts as it came
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if self._samples == 1 or not self._wants(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        self._test, self._sampling = _Test(node_names.of(item)), True
        try:
            runs = list(sampling.sampled(item, nextitem, self._samples))
        finally:
            self._sampling = False
        # of all runs one is counted: the first that failed, else the last
        counted = next((reports for reports in runs if any(report.failed for report in reports)), runs[-1])
        setattr(counted[-1], ROWS, self._test.rows())
        for report in counted:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    # registered behind the plugin's own, and so around it: what becomes of a test is settled here
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "setup":
            if not self._sampling:
                self._test = _Test(node_names.of(item))
            self._test.begin()
        asked = active.run_context()
        for tape in asked.tapes_to_compare:
            if (found := cassette_drift.compare_tape(tape, self._test.name)) is not None:
                self._test.closed(found)
            # what was compared was made use of
            asked.played_positions[tape.path.resolve()].update(tape.played_positions)
        asked.tapes_to_compare.clear()
        self._test.ended(_outcome(report, call))
        playing = self._playing(item)
        # what bypasses the tape is no answer that differs, and neither is a tape that cannot be read
        drifts = self._test.drifts or any(tape.mode == "drift" and tape.sent for tape in self._tapes(item))
        if report.failed and (drifts if playing is None else playing.violation is None):
            setattr(report, EXCUSED, True)
        if report.when == "teardown" and not self._sampling:
            setattr(report, ROWS, self._test.rows())
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._excused += report.failed and hasattr(report, EXCUSED)
        # of a test that was run again, the last attempt counts
        self._rows[report.nodeid] = getattr(report, ROWS, [])

    # before the terminal says how the run ended
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        if hasattr(session.config, "workeroutput"):
            return result
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and 0 < session.testsfailed == self._excused:
            session.exitstatus = pytest.ExitCode.OK
        if session.exitstatus == pytest.ExitCode.OK and self._fails and not all(row.holds for row in self._all):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    # outermost: the table is the last that is said
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, object, object]:
        result = yield
        terminalreporter.section("drift")
        for line, colour in drift_table.drift_lines(self._all, fails=self._fails):
            terminalreporter.write_line(line, **({colour: True} if colour else {}))
        return result

    @property
    def _all(self) -> Sequence[DriftRow]:
        found: list[DriftRow] = []
        for plain in (row for rows in self._rows.values() for row in rows):
            # a fixture of a module whose tests several processes share is asked by each
            if (row := DriftRow(**plain)) not in found:
                found.append(row)
        return found


def _outcome(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    """How a test came out of one of its phases, for the table; nothing where it passed."""
    expected = hasattr(report, "wasxfail")
    if report.passed:
        return "xpassed" if expected else ""
    if report.skipped:
        return "xfailed" if expected else "skipped"
    if report.when != "call":
        return f"{report.when} failed"
    error = call.excinfo.value if call.excinfo is not None else None
    if error is None or isinstance(error, AssertionError | pytest.fail.Exception):
        return "assertion failed"
    return f"{type(error).__name__} raised"
