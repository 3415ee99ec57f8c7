"""What a run says of its tapes: in the report of each test, and at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from multitrack.reporting import terminal
from multitrack.tape.active import RunContext
from multitrack.tape.file import paths
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from pytest_multitrack import failure_text
from pytest_multitrack.playback import Playback

FACTS = "multitrack"
"""The attribute of a test report that holds what the tapes that were closed by then did, as plain data, so that it
crosses processes."""


def amend(report: pytest.TestReport, playing: Playback) -> None:
    """Make ``report`` a failure with a short text where the tape was violated."""
    if playing.violation is None:
        return
    report.outcome = "failed"
    # under xfail the violation would count as the expected failure
    vars(report).pop("wasxfail", None)
    failure_text.tell(report, playing.tape.redact(terminal.format_violation(playing.violation)))


def conclude(report: pytest.TestReport, test: RecordingScope, asked: RunContext) -> None:
    """Let ``report``, one of the ``test``, tell of the tapes that were closed by then."""
    closed = tuple(asked.tape_results)
    asked.tape_results.clear()
    if report.failed:
        _advise(report, test, closed)
    if closed:
        setattr(report, FACTS, facts(closed))


def _advise(report: pytest.TestReport, test: RecordingScope, closed: Sequence[TapeResult]) -> None:
    """End the text of a ``report`` with how to go on with what was recorded, or will be once the ``test`` is over."""
    waiting = [paths.pending_path(path) for path in _unsaved(test.recorded_paths, closed)]
    waiting += [one.saved.path for one in closed if one.saved and one.saved.state == "pending"]
    if waiting:
        shown = [str(paths.relative_to_cwd(path)) for path in dict.fromkeys(waiting)]
        report.sections.append(("multitrack", "\n".join(terminal.pending_advice_lines(shown, test.name))))


def _unsaved(recorded: Iterable[Path], closed: Sequence[TapeResult]) -> Iterator[Path]:
    settled = {one.tape.path for one in closed}
    return (path for path in recorded if path not in settled)


def facts(closed: Sequence[TapeResult]) -> list[dict[str, Any]]:
    """What the ``closed`` tapes did, as plain values. What several blocks played for one test on one tape, is told as
    one."""
    groups: dict[tuple[str, Path], list[TapeResult]] = {}
    for one in closed:
        name = one.scope.name if one.scope is not None else ""
        groups.setdefault((name, one.tape.path.resolve()), []).append(one)
    return [_facts(those).to_dict() for those in groups.values()]


def _facts(closed: Sequence[TapeResult]) -> terminal.TapeSummary:
    tape, owner = closed[-1].tape, closed[-1].scope
    saved = next((one.saved for one in closed if one.saved), None)
    unplayed = set[int].intersection(*({entry.position for entry in one.tape.unplayed} for one in closed))
    return terminal.TapeSummary(
        test=owner.name if owner is not None else "",
        is_test=owner is not None and owner.is_test,
        mode=tape.mode,
        tape=str(paths.relative_to_cwd(tape.path)),
        played=sum(len(one.tape.played) for one in closed),
        recorded=saved.count if saved else 0,
        pending=str(paths.relative_to_cwd(saved.path)) if saved and saved.state == "pending" else "",
        reason=saved.reason if saved else "",
        unplayed=sorted(unplayed) if all(one.passed for one in closed) else [],
        days=tape.days_if_expired,
    )


def summarise(terminalreporter: Any, late: Sequence[Mapping[str, Any]]) -> None:
    """Write what the tapes of a run did, if any played; ``late`` are the facts of those that were closed behind the
    last report."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports if hasattr(report, FACTS)]
    # of a test that was run again, the last attempt counts
    reports.sort(key=lambda report: report.stop)
    found = [
        terminal.TapeSummary(**plain)
        for plain in (*(one for report in reports for one in getattr(report, FACTS)), *late)
    ]
    for line in terminal.summary_lines(list({(fact.test, fact.tape): fact for fact in found}.values())):
        terminalreporter.write_line(line)
