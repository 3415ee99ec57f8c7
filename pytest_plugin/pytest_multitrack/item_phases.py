"""The phases of a test: its setup, its call, its teardown, and the report of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import pytest

from multitrack.tape.recording_scope import RecordingScope
from pytest_multitrack import markers
from pytest_multitrack.run_state import ItemState, RunState, list_tapes
from pytest_multitrack.violation_guard import ViolationGuard

if TYPE_CHECKING:
    from multitrack.tape.interaction import Interaction

# of Multitrack and syrupy: `--snapshot-update` changes what these compare with
_SNAPSHOT_FIXTURES = frozenset({"calls_snapshot", "snapshot"})


def begin_test(item: pytest.Item) -> None:
    """Begin an attempt at a test. Open the test's tape if it uses a cassette."""
    run, uses_behaviour = RunState.of(item.config), markers.uses_behaviour(item)
    uses_tape = uses_behaviour or markers.uses_cassette(item)
    test = RecordingScope(
        partial(_get_test_name, item),
        record_hint=partial(_get_record_command, item),
        rerun_hint=partial(_get_rerun_command, item),
        fingerprint_results=partial(_fingerprint_results, item.config),
        rebind_hint=partial(_get_rebind_command, item),
    )
    run.context.begin_test(test, uses_tape=uses_tape)
    run.output.begin_test()
    run.comparison = None
    state = ItemState(ViolationGuard(test))
    run.begin_item(item, state)
    if (mistyped := markers.find_mistyped(item)) is not None:
        pytest.fail(markers.describe_mistyped(test.name, mistyped), pytrace=False)
    if uses_tape:
        from pytest_multitrack.item_tape import open_behaviour_tape, open_item_tape

        open_tape = open_behaviour_tape if uses_behaviour else open_item_tape
        state.tape = run.latest_tape = open_tape(item, test)


def _get_test_name(item: pytest.Item) -> str:
    from pytest_multitrack import pytest_internals

    return pytest_internals.get_test_name(item)


def _get_record_command(item: pytest.Item) -> str:
    from pytest_multitrack import commands

    return commands.record_command(item)


def _get_rerun_command(item: pytest.Item) -> str:
    """Return the command to run after the recording of ``item`` was accepted.

    The command also updates the snapshots of the test, if it has any.
    """
    from pytest_multitrack import commands

    has_snapshots = not _SNAPSHOT_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
    return commands.pytest_command(item, *(["--snapshot-update"] if has_snapshots else []))


def _get_rebind_command(item: pytest.Item) -> str:
    from pytest_multitrack import commands

    return commands.rebind_command(item)


def _fingerprint_results(config: pytest.Config, interaction: Interaction) -> tuple[str, ...] | None:
    from pytest_multitrack import failure_diagnosis

    return failure_diagnosis.fingerprint_results(config, interaction)


@contextmanager
def watch_call(item: pytest.Item) -> Iterator[None]:
    """At the end of the call phase, raise the violation of the test's tape, if any.

    The violation is raised even if the test's code caught it before.
    """
    with ItemState.of(item).watch_phase():
        if "anyio_backend" not in getattr(item, "fixturenames", ()):
            yield
            return
        from pytest_multitrack import anyio_runner

        with anyio_runner.test_violations_raised_outside(item):
            yield


@contextmanager
def close_after_teardown(item: pytest.Item) -> Iterator[None]:
    """Close the test's tapes after its teardown, and save its recordings."""
    state, context = ItemState.of(item), RunState.of(item.config).context
    failure = state.failure
    try:
        with state.tape.closing(failure=failure) if state.tape else nullcontext(), state.watch_phase():
            yield
    except BaseException as error:
        from pytest_multitrack.item_tape import describe_teardown_failure

        failure = failure or describe_teardown_failure(error)
        raise
    finally:
        if (test := context.scope) is not None and test.has_closed_blocks:
            from pytest_multitrack.item_tape import fail_without_traceback

            with fail_without_traceback():
                context.tape_results.extend(test.save_blocks(failure=failure))


def complete_report(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Complete pytest's report of a test phase.

    Add violations, the diagnosis of a failure, and the results of tapes. Then redact the report.
    """
    state, run = ItemState.of(item), RunState.of(item.config)
    if tapes := list_tapes(item):
        run.output.learn_tapes(tapes)
    if state.guard is not None and call.when == "setup" and call.excinfo:
        state.guard.collect_violation(call.excinfo.value)
    state.phase_failure = None
    if state.violation is not None:
        from pytest_multitrack import tape_report

        state.phase_failure = tape_report.fail_for_violation(report, state.violation, tapes, item, call.excinfo)
    elif report.failed and report.when != "teardown" and tapes:
        from pytest_multitrack import failure_diagnosis

        state.phase_failure = failure_diagnosis.add_diagnosis(report, call, tapes, item.config, run.comparison)
    if run.context.tape_results:
        from pytest_multitrack import request_facts

        request_facts.add_requests(run, item.config)
    if (test := run.context.scope) is not None and (
        run.context.tape_results or (report.failed and test.tapes_with_fixtures)
    ):
        from pytest_multitrack import tape_report

        tape_report.add_results(report, test, run.context, config=item.config)
    run.output.redact_report(report, call.excinfo.value if call.excinfo else None)
    if report.when == "teardown":
        run.context.end_test()
        if state.failure is None and report.passed:
            run.forget_failures(item)
    if not report.passed:
        # not "call": it would read like a failed tool call
        phase = "the test" if report.when == "call" else report.when
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        state.failure = f"{phase} {'was skipped' if outcome == 'skipped' else outcome}"
