"""``--calls-report``: a plugin of its own, which gathers what the tapes of each test did and writes it at the end."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from multitrack import wires
from multitrack.reporting import report_formats
from multitrack.reporting.report_formats import ReportedTape, ReportedTest
from multitrack.tape import active
from multitrack.tape.file import paths
from multitrack.tape.file.summary import summarize
from multitrack.tape.recording_scope import TapeResult, redact_with_tapes
from multitrack.tape.tape import Tape
from pytest_multitrack import node_names

PARTS = "multitrack_report"
"""The attribute of a report that holds what was closed in its test, as plain data, so that it crosses processes."""

FAILURE = "multitrack_failure"
"""The attribute of a failed report that holds the first line of its text, without secrets."""

GITHUB = "github"
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def targets(asked: Sequence[str], folder: Path) -> list[Path]:
    """The files that are ``asked`` for, seen from ``folder``. Raises UsageError for an ending that no report has."""
    found = []
    for name in asked:
        if name == GITHUB:
            if not os.environ.get(_STEP_SUMMARY):
                raise pytest.UsageError(f"--calls-report=github writes where {_STEP_SUMMARY} says, and it is not set")
            found.append(Path(os.environ[_STEP_SUMMARY]))
        elif Path(name).suffix not in report_formats.FORMATS:
            known = ", ".join(report_formats.FORMATS)
            raise pytest.UsageError(f"--calls-report={name}: takes a path that ends in {known}, or github")
        else:
            found.append(folder / name)
    return found


class CallsReport:
    """Gathers, and writes to the files that are ``asked`` for."""

    def __init__(self, asked: Sequence[str], folder: Path) -> None:
        self._asked = asked
        self._files = targets(asked, folder)
        self._closed: list[TapeResult] = []
        self._outcomes: dict[str, tuple[str, str]] = {}
        self._parts: dict[str, list[dict[str, Any]]] = {}
        self._drift: dict[str, list[dict[str, Any]]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        # before the plugin's own, which lets go of both
        asked, owner = active.run_context(), active.run_context().scope
        # a fixture of wider scope has a tape whether it sends or not
        self._closed += (one for one in asked.tape_results if one.tape.sent or (one.scope and one.scope.is_test))
        report = yield
        if report.failed:
            setattr(report, FAILURE, redact_with_tapes(_failure(report), owner.tapes if owner else ()))
        if report.when == "teardown":
            setattr(report, PARTS, [_part(closed, node_names.of(item)) for closed in self._closed])
            self._closed.clear()
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid
        if report.when == "setup":  # a rerun starts here, too
            self._outcomes.pop(test, None)
        if outcome := _outcome(report):
            self._outcomes.setdefault(test, (outcome, getattr(report, FAILURE, "")))
        if report.when == "teardown":
            self._parts[test] = getattr(report, PARTS, [])
            self._drift[test] = getattr(report, "multitrack_drift", [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            return
        entries = self._entries()
        for name, file in zip(self._asked, self._files, strict=True):
            if name == GITHUB:
                with file.open("a", encoding="utf-8") as summary:
                    summary.write(report_formats.format_markdown(entries))
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(report_formats.FORMATS[file.suffix](entries), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for file in self._files:
            terminalreporter.write_line(f"multitrack: report: {paths.relative_to_cwd(file)}")

    def _entries(self) -> list[ReportedTest]:
        found: dict[str, ReportedTest] = {}
        for test, parts in self._parts.items():
            drift = self._drift[test]
            for name in dict.fromkeys([*(part["owner"] for part in parts), *(row["test"] for row in drift)]):
                # what a fixture sent is told by itself, and not with the test that happens to end it
                own = not name.startswith("fixture ")
                outcome, failure = self._outcomes.get(test, ("passed", "")) if own else ("", "")
                tapes = [ReportedTape(**part["tape"]) for part in parts if part["owner"] == name]
                rows = [row for row in drift if row["test"] == name]
                found[name] = ReportedTest(name, outcome, failure, tapes, rows)
        return [found[name] for name in sorted(found)]


def _part(closed: TapeResult, test: str) -> dict[str, Any]:
    """What a tape that was closed in ``test`` did, as plain values, with whom it did that for."""
    tape, saved = closed.tape, closed.saved
    pending = saved is not None and saved.state == "pending"
    part = ReportedTape(
        tape=str(paths.relative_to_cwd(tape.path)),
        mode=tape.mode,
        played=len(tape.played),
        recorded=saved.count if saved else 0,
        live=len(tape.live_interactions) if tape.mode == "drift" else 0,
        pending=str(paths.relative_to_cwd(saved.path)) if saved and pending else "",
        calls=list(_calls(tape)),
        count=sum(_count(one.response.body) for one in tape.answered_interactions),
    )
    return {"owner": closed.scope.name if closed.scope else test, "tape": asdict(part)}


def _calls(tape: Tape) -> Generator[str, None, None]:
    for number, one in enumerate(tape.answered_interactions, start=1):
        yield from (tape.redact(line) for line in summarize(number, one))


def _count(body: bytes) -> int:
    wire = wires.recognize(body)
    return 0 if wire is None else len(wires.decode(body, wire))


def _outcome(report: pytest.TestReport) -> str:
    """What a phase adds to the outcome of its test; nothing where it went well."""
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return "skipped" if report.skipped else ""


def _failure(report: pytest.TestReport) -> str:
    """The first line of what is told of a failure."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longreprtext).partition("\n")[0]
