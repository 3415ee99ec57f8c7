"""What a run says of its tapes: in the report of each test, and at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from multitrack.report import terminal
from multitrack.tape import paths
from pytest_multitrack.playback import Playback

FACTS = "multitrack"
"""The attribute of a test report that holds what its tape did, as plain data, so that it crosses processes."""


@dataclass(frozen=True)
class Told:
    """A failure as one text, without a traceback; told where pytest, JUnit's XML and others look for a message.

    Of a plain string, which pytest takes, too, ``--tb=line`` shows 50 characters, and the summary of pytest before 9
    nothing.
    """

    path: str
    lineno: int
    message: str

    @property
    def reprcrash(self) -> Told:
        """Itself: what a failure of another kind keeps in a part of its own."""
        return self

    def toterminal(self, writer: Any) -> None:
        """Write it to pytest's ``TerminalWriter``."""
        writer.line(self.message)

    def __str__(self) -> str:
        return self.message


def amend(report: pytest.TestReport, playing: Playback | None) -> None:
    """Make ``report`` a failure with a short text where the tape was violated, and add what became of the tape."""
    if playing is None:
        return
    tape, saved = playing.tape, playing.saved
    if playing.violation is not None:
        report.outcome = "failed"
        # under xfail the violation would count as the expected failure
        vars(report).pop("wasxfail", None)
        path, line, _ = report.location
        vars(report)["longrepr"] = Told(path, (line or 0) + 1, tape.scrub(terminal.violation(playing.violation)))
    waits = saved.state == "pending" if saved else tape.recorded
    if report.failed and waits:
        pending = str(paths.shown(paths.pending(tape.path)))
        report.sections.append(("multitrack", "\n".join(terminal.pending_advice(pending, report.nodeid))))
    if report.when == "teardown":
        setattr(report, FACTS, _facts(playing).as_dict())


def _facts(playing: Playback) -> terminal.Facts:
    tape, saved = playing.tape, playing.saved
    return terminal.Facts(
        test=playing.test,
        mode=tape.mode,
        tape=str(paths.shown(tape.path)),
        played=len(tape.played),
        recorded=saved.count if saved else 0,
        pending=str(paths.shown(saved.path)) if saved and saved.state == "pending" else "",
        reason=saved.reason if saved else "",
        unplayed=[entry.position for entry in tape.unplayed] if playing.passed else [],
        days=tape.days_too_old,
    )


def summarise(terminalreporter: Any, interrupted: Playback | None) -> None:
    """Write what the tapes of a run did, if any played; that of a test within which the run was ``interrupted``
    comes last."""
    # by test: of one that was run again, the last attempt counts
    facts = {
        report.nodeid: terminal.Facts(**getattr(report, FACTS))
        for reports in terminalreporter.stats.values()
        for report in reports
        if hasattr(report, FACTS)
    }
    if interrupted:
        facts[interrupted.test] = _facts(interrupted)
    for line in terminal.summary(list(facts.values())):
        terminalreporter.write_line(line)
