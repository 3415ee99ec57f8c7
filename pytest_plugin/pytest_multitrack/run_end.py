"""The end of a run: close what an interruption left open, collect the results of all processes, and print them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from multitrack.errors import MultitrackError
from pytest_multitrack.run_state import RunState

_SUMMARY = "multitrack"
"""The key of the summary that a pytest-xdist worker sends to the controller."""


def finish_run(session: pytest.Session) -> None:
    """Close the tapes that are still open, and complete the run summary."""
    run = RunState.of(session.config)
    summary = run.summary
    summary.has_deselected |= run.has_deselected
    _close_interrupted(run)
    _merge_journals(run, session.config)
    summary.add_played(run.context.played_positions)
    if run.context.tape_results:
        from pytest_multitrack import request_facts, tape_report

        request_facts.add_requests(run, session.config)
        late = tape_report.summarize_tapes(run.context.tape_results, session.config)
        summary.late_results += map(run.output.redact_result, late)
    summary.late_violations += [
        [name, run.output.redact_text(str(violation))] for name, violation in run.context.late_violations
    ]
    for worker in run.workers:
        if (plain := getattr(worker, "workeroutput", {}).get(_SUMMARY)) is not None:
            summary.merge_plain(plain)
    _remove_lost_advice(session.config)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_SUMMARY] = summary.to_plain()
    if summary.late_violations and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _close_interrupted(run: RunState) -> None:
    failure = "the run was interrupted"
    if run.latest_tape is not None and not run.latest_tape.is_closed:
        with _noting_errors(run, run.latest_tape.test.name):
            run.latest_tape.close(failure=failure)
    if (scope := run.context.scope) is not None:
        with _noting_errors(run, scope.name):
            run.context.tape_results.extend(scope.save_blocks(failure=failure))


def _merge_journals(run: RunState, config: pytest.Config) -> None:
    """Move the recordings that are still in journals to their cassettes."""
    cassettes = {*run.context.played_positions}
    if run.workers:
        from pytest_multitrack import tape_report

        # a worker that was killed has not merged its recordings
        cassettes |= tape_report.find_cassettes(config.pluginmanager.get_plugin("terminalreporter"))
    for path in sorted(cassettes):
        with _noting_errors(run, str(path)):
            run.context.merge_journal(path)


@contextmanager
def _noting_errors(run: RunState, name: str) -> Iterator[None]:
    """Catch a Multitrack error, and print it in the summary, because no test can fail with it anymore."""
    try:
        yield
    except MultitrackError as error:
        run.summary.late_violations.append([name, run.output.redact_text(str(error))])


def _remove_lost_advice(config: pytest.Config) -> None:
    terminalreporter = config.pluginmanager.get_plugin("terminalreporter")
    errors = terminalreporter.stats.get("error", ()) if terminalreporter is not None else ()
    if any(hasattr(report, "multitrack_lost") for report in errors):
        from pytest_multitrack import tape_report

        tape_report.remove_lost_advice(terminalreporter)


def print_summary(terminalreporter: Any, exitstatus: int) -> None:
    """Print the results of the tapes, the violations, and the unused recordings. Save facts about the run."""
    config: pytest.Config = terminalreporter.config
    summary = RunState.of(config).summary
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    if summary.late_results or summary.late_violations or any(hasattr(report, "multitrack") for report in reports):
        from pytest_multitrack import tape_report

        tape_report.print_summary(terminalreporter, summary.late_results)
        tape_report.print_violations(terminalreporter, summary.late_violations)
    has_facts = summary.played_positions or config.option.multitrack_audit is not None
    if has_facts and getattr(config, "cache", None) is not None:
        from pytest_multitrack import run_facts_file

        run_facts_file.save_facts(terminalreporter, summary, exitstatus)
    if config.option.multitrack_unused:
        from pytest_multitrack import unused_recordings

        unused_recordings.print_unused(terminalreporter, summary, exitstatus)
