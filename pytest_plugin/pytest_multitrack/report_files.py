"""``--calls-report``: collect the results of each test's tapes, and write them to files at the end of the run.

``ReportCollector`` is a pytest plugin of its own, which is only registered with ``--calls-report``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from multitrack import wires
from multitrack.printable import escape_controls
from multitrack.reporting import report_formats
from multitrack.reporting.report_formats import ReportedTape, ReportedTest
from multitrack.tape import run_context
from multitrack.tape.file import paths
from multitrack.tape.file.summary import summarize
from multitrack.tape.recording_scope import TapeResult
from multitrack.tape.tape import Tape
from pytest_multitrack import drift_run, pytest_internals, report_targets

PARTS = "multitrack_report"
"""The attribute of a report that holds the results of the tapes closed in its test, as plain data for pytest-xdist."""

FAILURE = "multitrack_failure"
"""The attribute of a failed report that holds the first line of its error message, without secrets."""

GITHUB = "github"
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def resolve_targets(names: Sequence[str], folder: Path) -> list[Path]:
    """Return the files to write.

    Args:
        names: The values of ``--calls-report``: paths relative to ``folder``, or ``github``.

    Raises:
        pytest.UsageError: A path has an unknown suffix or cannot be written, or ``github`` is used outside of GitHub
            Actions.
    """
    files = []
    for name in names:
        if name != GITHUB:
            suffixes = tuple(report_formats.FORMATS)
            files += report_targets.resolve_targets("--calls-report", [name], folder, suffixes, ", or 'github'")
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
    """Collects the results of tapes, and writes them to the files that ``--calls-report`` names."""

    def __init__(self, names: Sequence[str], folder: Path) -> None:
        self._names = names
        self._files = resolve_targets(names, folder)
        self._errors: dict[Path, str] = {}
        self._closed: list[TapeResult] = []
        self._outcomes: dict[str, tuple[str, str]] = {}
        self._parts: dict[str, list[dict[str, Any]]] = {}
        self._drift: dict[str, list[dict[str, Any]]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        # read the results of the tapes before the hook of the main plugin, which clears them
        run = run_context.current_run()
        # every fixture of wider scope has a tape, even if it sends nothing
        self._closed += (
            result for result in run.tape_results if result.tape.sent or (result.scope and result.scope.is_test)
        )
        report = yield
        if report.failed:
            # the hook of the main plugin has redacted the report
            setattr(report, FAILURE, pytest_internals.first_failure_line(report))
        if report.when == "teardown":
            test = pytest_internals.get_test_name(item)
            setattr(report, PARTS, [_summarize(result, test) for result in self._closed])
            self._closed.clear()
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid
        if report.when == "setup":  # of the first run or of a rerun
            self._outcomes.pop(test, None)
        if outcome := _describe_outcome(report):
            self._outcomes.setdefault(test, (outcome, getattr(report, FAILURE, "")))
        if report.when == "teardown":
            self._parts[test] = getattr(report, PARTS, [])
            self._drift[test] = getattr(report, "multitrack_drift", [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            return
        entries = self._entries()
        for name, file in zip(self._names, self._files, strict=True):
            try:
                _write_report(file, entries, appends=name == GITHUB)
            except OSError as error:
                self._errors[file] = error.strerror or str(error)
        if self._errors and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for file in self._files:
            shown = paths.relative_to_cwd(file)
            if (error := self._errors.get(file)) is not None:
                line = f"multitrack: report not written: {shown}: {error}"
                terminalreporter.write_line(escape_controls(line), red=True)
            else:
                terminalreporter.write_line(escape_controls(f"multitrack: report: {shown}"))

    def _entries(self) -> list[ReportedTest]:
        entries: dict[str, ReportedTest] = {}
        for test, parts in self._parts.items():
            drift = self._drift[test]
            for name in dict.fromkeys([*(part["scope"] for part in parts), *(row["test"] for row in drift)]):
                # a fixture has an entry of its own, without the outcome of the test that happens to tear it down
                is_test = not name.startswith("fixture ")
                outcome, failure = self._outcomes.get(test, ("passed", "")) if is_test else ("", "")
                tapes = [ReportedTape(**part["tape"]) for part in parts if part["scope"] == name]
                rows = [row for row in drift if row["test"] == name]
                entries[name] = ReportedTest(name, outcome, failure, tapes, rows)
        return [entries[name] for name in sorted(entries)]


def _write_report(file: Path, entries: Sequence[ReportedTest], *, appends: bool) -> None:
    # a model may answer with half of a surrogate pair, which cannot be encoded
    if appends:
        with file.open("a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(report_formats.format_markdown(entries))
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(report_formats.FORMATS[file.suffix](entries), encoding="utf-8", errors="backslashreplace")


def _summarize(result: TapeResult, test: str) -> dict[str, Any]:
    """Return the results of a tape that was closed in ``test``, and the name of its test or fixture, as plain data."""
    tape, saved = result.tape, result.saved
    pending = saved is not None and saved.state == "pending"
    part = ReportedTape(
        tape=str(paths.relative_to_cwd(tape.path)),
        mode=tape.mode,
        played=len(tape.played),
        recorded=saved.count if saved else 0,
        live=len(tape.live_interactions) if tape.is_compared else 0,
        pending=str(paths.relative_to_cwd(saved.path)) if saved and pending else "",
        calls=list(_format_calls(tape)),
        count=sum(_count_calls(interaction.response.body) for interaction in tape.answered_interactions),
    )
    return {"scope": result.scope.name if result.scope else test, "tape": asdict(part)}


def _format_calls(tape: Tape) -> Iterator[str]:
    for number, interaction in enumerate(tape.answered_interactions, start=1):
        yield from (tape.redact(line) for line in summarize(number, interaction))


def _count_calls(body: bytes) -> int:
    wire = wires.recognize(body)
    return 0 if wire is None else len(wires.decode(body, wire))


def _describe_outcome(report: pytest.TestReport) -> str:
    """Return the outcome of a phase as the report names it, or an empty string if it passed."""
    has_drifted = hasattr(report, drift_run.EXCUSED)
    if hasattr(report, "wasxfail") and not has_drifted:
        return "xpassed" if report.passed else "xfailed"
    if report.failed or has_drifted:
        return "failed" if report.when == "call" else "error"
    return "skipped" if report.skipped else ""
