"""Add a line to the top of a test's failure. The line says which layer changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_multitrack import cassette_paths, pytest_internals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multitrack.diagnosis.call_results import ResponseValidator
    from multitrack.diagnosis.failed_assertion import FailedAssertion
    from multitrack.errors import TapeViolation
    from multitrack.reporting.diagnoses import Diagnosis
    from multitrack.tape.interaction import Interaction
    from multitrack.tape.tape import Tape


class PhaseFailure(NamedTuple):
    """The diagnosis of a test's failed phase, and the calls that a failed assertion compared."""

    diagnosis: Diagnosis | None
    compared: FailedAssertion | None = None


def fingerprint_results(config: pytest.Config, interaction: Interaction) -> tuple[str, ...] | None:
    """Return the fingerprints of a response's validated results, for the cassette."""
    return _response_validator(config).result_fingerprints(interaction)


def format_fingerprints(config: pytest.Config, tapes: Sequence[Tape]) -> str:
    """Return the fingerprints of all exchanges so far, as text for a snapshot."""
    from multitrack.diagnosis import cause, fingerprints

    return fingerprints.format_fingerprints(cause.current_fingerprints(tapes, _response_validator(config)))


def add_diagnosis(
    report: pytest.TestReport,
    call: pytest.CallInfo[None],
    tapes: Sequence[Tape],
    config: pytest.Config,
    comparison: tuple[object, object] | None,
) -> PhaseFailure:
    """Add a first line to the failed ``report``. The line says which layer changed.

    If the tapes have a violation that has not been raised yet, the line shows the violation instead, because later
    errors follow from it. This is the case in a subtest, and in a test that only uses the tapes of its fixtures.

    Args:
        tapes: The tapes that the test used.
        comparison: The two sides of the last asserted ``==`` that was false. None if there was none.

    Returns:
        The diagnosis, and the compared calls.
    """
    violations = [violation for tape in tapes for violation in tape.violations]
    if not violations:
        failure = _diagnose(call, tapes, config, comparison)
        if failure.diagnosis is not None:
            pytest_internals.prepend_failure_line(report, failure.diagnosis.text)
        return failure
    from multitrack.diagnosis.violation_diagnosis import diagnose
    from multitrack.reporting import terminal

    line = terminal.format_violation(violations[0])
    if call.excinfo is not None and call.excinfo.value is violations[0]:
        pytest_internals.replace_failure_text(report, line)
    else:
        pytest_internals.prepend_failure_line(report, line)
    return PhaseFailure(find_changed_models(config, violations[0], tapes) or diagnose(violations[0]))


def _diagnose(
    call: pytest.CallInfo[None],
    tapes: Sequence[Tape],
    config: pytest.Config,
    comparison: tuple[object, object] | None,
) -> PhaseFailure:
    from multitrack.diagnosis import cause
    from multitrack.diagnosis.failed_assertion import compare_operands, lacks_snapshot, read_failed_assertion
    from multitrack.diagnosis.failed_request import find_failed_request
    from multitrack.reporting.diagnoses import Diagnosis

    sides = None
    is_missing = False
    if call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
        sides = read_failed_assertion(call.excinfo.value)
        if sides is None and comparison is not None:
            is_missing = lacks_snapshot(*comparison)
            sides = None if is_missing else compare_operands(*comparison)
    for tape in tapes:
        if (failed := find_failed_request(tape)) is not None:
            text = f"{'the live request' if tape.is_compared else 'recording'} failed: {failed}"
            return PhaseFailure(Diagnosis("request-failed", text), sides)
    if any(tape.uses_behaviour for tape in tapes):
        # nothing that could have changed was recorded for the test
        return PhaseFailure(None, sides)
    if is_missing:
        return PhaseFailure(Diagnosis("no-snapshot", "no snapshot yet"))
    return PhaseFailure(cause.find_cause(tapes, _response_validator(config), sides), sides)


def find_changed_models(config: pytest.Config, violation: TapeViolation, tapes: Sequence[Tape]) -> Diagnosis | None:
    """Return the models whose change caused ``violation``. None if the cause is different or unknown."""
    from multitrack.errors import CassetteMiss

    if not isinstance(violation, CassetteMiss) or not any(tape.played for tape in tapes):
        return None
    from multitrack.diagnosis import repeated_request

    try:
        return repeated_request.find_changed_models(violation, tapes, _response_validator(config))
    except Exception:  # the miss is printed in any case
        return None


def _response_validator(config: pytest.Config) -> ResponseValidator:
    from multitrack.diagnosis.call_results import ResponseValidator

    return ResponseValidator(cassette_paths.load_project(config).models)
