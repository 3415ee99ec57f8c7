"""``--calls-report``: collect the results of each test's tapes, and write them to files at the end of the run.

``ReportCollector`` is a separate pytest plugin, which is only registered with ``--calls-report`` or ``--junit-xml``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from multitrack.printable import escape_controls
from multitrack.tape import run_context
from pytest_multitrack import markers, pytest_internals, report_targets
from pytest_multitrack.report_attributes import DRIFT_ROWS, EXCUSED, REPORTED_FAILURE, REPORTED_TAPES
from pytest_multitrack.run_state import list_tapes

if TYPE_CHECKING:
    from multitrack.reporting.run_report import Outcome, ReportedTest, RunReport
    from multitrack.tape.recording_scope import TapeResult

GITHUB = "github"
SUFFIXES = (".md", ".json", ".html")
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def resolve_targets(names: Sequence[str], folder: Path) -> list[Path]:
    """Return the paths of the report files to write.

    Args:
        names: The values of ``--calls-report``: paths relative to ``folder``, or ``github``.

    Raises:
        pytest.UsageError: A path has an unknown suffix or cannot be written, or ``github`` is used outside of GitHub
        Actions.
    """
    files = []
    for name in names:
        if name != GITHUB:
            files += report_targets.resolve_targets("--calls-report", [name], folder, SUFFIXES, ", or 'github'")
            continue
        if not os.environ.get(_STEP_SUMMARY):
            raise pytest.UsageError(
                f"--calls-report=github requires the environment variable {_STEP_SUMMARY}, which GitHub Actions "
                f"sets; elsewhere, pass a path"
            )
        files.append(Path(os.environ[_STEP_SUMMARY]))
        report_targets.check_target("--calls-report=github", files[-1])
    return files


class ReportCollector:
    """A collector of the data for a run's report. It writes the report to the paths in ``--calls-report``.

    With ``--junit-xml``, it adds properties to each test's element.
    """

    def __init__(self, names: Sequence[str], folder: Path, *, writes_junit: bool = False) -> None:
        self._names = names
        self._files = resolve_targets(names, folder)
        self._writes_junit = writes_junit
        self._errors: dict[Path, str] = {}
        self._closed: list[TapeResult] = []
        self._outcomes: dict[str, Outcome] = {}
        self._failures: dict[str, dict[str, Any]] = {}
        self._seconds: dict[str, float] = {}
        self._tests: dict[str, list[ReportedTest]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        # read the results of the tapes before the main plugin's hook, which clears them
        run = run_context.current_run()
        # every fixture of wider scope has a tape, even if it sends nothing
        self._closed += (
            result for result in run.tape_results if result.tape.sent or (result.scope and result.scope.is_test)
        )
        report = yield
        if report.failed and (markers.uses_cassette(item) or self._closed or list_tapes(item)):
            from pytest_multitrack import report_facts

            setattr(report, REPORTED_FAILURE, report_facts.describe_failure(item, report))
        if report.when == "teardown" and self._closed:
            from pytest_multitrack import report_facts

            test = pytest_internals.get_test_name(item)
            setattr(report, REPORTED_TAPES, [report_facts.describe_tape(result, test) for result in self._closed])
            self._closed.clear()
        return report

    # before the hook that writes --junit-xml
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid
        if report.when == "setup":  # of the first run or of a rerun
            self._outcomes.pop(test, None)
            self._failures.pop(test, None)
            self._seconds[test] = 0
        self._seconds[test] = self._seconds.get(test, 0) + getattr(report, "duration", 0)
        if outcome := _describe_outcome(report):
            self._outcomes.setdefault(test, outcome)
            self._failures.setdefault(test, getattr(report, REPORTED_FAILURE, {}))
        if report.when == "teardown":
            parts, drift = getattr(report, REPORTED_TAPES, []), getattr(report, DRIFT_ROWS, [])
            # otherwise, the test uses no cassette
            if parts or drift or self._failures.get(test):
                self._tests[test] = self._make_tests(test, parts, drift)
                self._add_junit_properties(report, self._tests[test])

    def _make_tests(
        self, test: str, parts: Sequence[dict[str, Any]], drift: Sequence[dict[str, Any]]
    ) -> list[ReportedTest]:
        """Return the entry for a test, and the entries for the fixtures that were torn down with it."""
        from multitrack.reporting.run_report import NextStep, ReportedCassette, ReportedDrift, ReportedTest

        found = []
        failure = dict(self._failures.get(test, {}))
        # a test whose cassette cannot be read has a failure, but no tape
        names = [failure.pop("test")] if failure else []
        names += [*(part["scope"] for part in parts), *(row["test"] for row in drift)]
        for name in dict.fromkeys(names):
            # a fixture has an entry of its own, without the outcome of the test that happens to tear it down
            is_fixture = name.startswith("fixture ")
            fields = {} if is_fixture else failure
            rows = [row for row in drift if row["test"] == name]
            steps = [*fields.get("next_steps", ()), *_drift_steps(rows)]
            if not any("multitrack accept" in step["command"] for step in steps):
                steps += [step for part in parts if part["scope"] == name for step in part["next_steps"]]
            entry = ReportedTest(
                test=name,
                is_fixture=is_fixture,
                outcome=None if is_fixture else self._outcomes.get(test, "passed"),
                seconds=0 if is_fixture else round(self._seconds.get(test, 0), 3),
                cassettes=[ReportedCassette(**part["cassette"]) for part in parts if part["scope"] == name],
                drift=[ReportedDrift(cassette=row["tape"], **_pick_drift(row)) for row in rows],
                **{key: value for key, value in fields.items() if key != "next_steps"},
                next_steps=[NextStep(**step) for step in steps],
            )
            found.append(entry)
        return found

    def _add_junit_properties(self, report: pytest.TestReport, tests: Sequence[ReportedTest]) -> None:
        if self._writes_junit:
            from multitrack.reporting.junit_properties import list_properties

            report.user_properties += [
                found for test in tests if not test.is_fixture for found in list_properties(test)
            ]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput") or not self._files:
            return
        report = self._make_report()
        for name, file in zip(self._names, self._files, strict=True):
            try:
                _write_report(file, report, appends=name == GITHUB)
            except OSError as error:
                self._errors[file] = error.strerror or str(error)
        if self._errors and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        from multitrack.tape.file import paths

        for file in self._files:
            shown = paths.relative_to_cwd(file)
            if (error := self._errors.get(file)) is not None:
                line = f"multitrack: report not written: {shown}: {error}"
                terminalreporter.write_line(escape_controls(line), red=True)
            else:
                terminalreporter.write_line(escape_controls(f"multitrack: report: {shown}"))

    def _make_report(self) -> RunReport:
        from multitrack.reporting.run_report import make_report

        # several pytest-xdist workers may set up the same fixture
        entries = {entry.test: entry for tests in self._tests.values() for entry in tests}
        return make_report(list(entries.values()), datetime.now(UTC), version("multitrack"))


def _pick_drift(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("verdict", "holds", "remarks", "requests")}


def _drift_steps(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    commands = dict.fromkeys(row["accept_command"] for row in rows if row["accept_command"])
    return [{"action": "record", "command": command} for command in commands]


def _write_report(file: Path, report: RunReport, *, appends: bool) -> None:
    from multitrack.reporting import report_formats

    if appends:
        size = file.stat().st_size if file.exists() else 0
        with file.open("a", encoding="utf-8") as summary:
            summary.write(report_formats.format_step_summary(report, size))
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(report_formats.FORMATS[file.suffix](report), encoding="utf-8")


def _describe_outcome(report: pytest.TestReport) -> Outcome | None:
    """Return the outcome of a phase for the run's report. None if the phase passed."""
    has_drifted = hasattr(report, EXCUSED)
    if hasattr(report, "wasxfail") and not has_drifted:
        return "xpassed" if report.passed else "xfailed"
    if report.failed or has_drifted:
        return "failed" if report.when == "call" else "error"
    return "skipped" if report.skipped else None
