"""Which layer moved, told before anything else in the text of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_multitrack import failure_text, places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multitrack.diagnosis.call_results import ResponseValidator
    from multitrack.tape.interaction import Interaction
    from multitrack.tape.tape import Tape


def results(config: pytest.Config, interaction: Interaction) -> tuple[str, ...] | None:
    """What the tape keeps of what came of an answer."""
    return _validator(config).result_fingerprints(interaction)


def moments(config: pytest.Config, tapes: Sequence[Tape]) -> str:
    """What a snapshot keeps of the exchanges that it was taken after."""
    from multitrack.diagnosis import cause, fingerprints

    return fingerprints.format_fingerprints(cause.current_fingerprints(tapes, _validator(config)))


def tell(
    report: pytest.TestReport,
    call: pytest.CallInfo[None],
    tapes: Sequence[Tape],
    config: pytest.Config,
    asserted: tuple[object, object] | None,
) -> None:
    """Begin the text of the failed ``report`` of a test that ``tapes`` played for with the layer that moved.

    A violation that nobody told of yet, because the test goes on (a subtest), or has no tape of its own, comes before
    anything that followed from it. ``asserted`` are the two sides of the last ``==`` that did not hold. What pytest
    says of values is scrubbed: what was really sent is among them.
    """
    from multitrack.tape.recording_scope import redact_with_tapes

    violations = [violation for tape in tapes for violation in tape.violations]
    if violations:
        from multitrack.reporting import terminal

        line: str | None = terminal.format_violation(violations[0])
    else:
        from multitrack.diagnosis import cause
        from multitrack.diagnosis.failed_assertion import compare_operands, read_failed_assertion

        sides = None
        if call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
            sides = read_failed_assertion(call.excinfo.value) or (compare_operands(*asserted) if asserted else None)
        line = cause.find_cause(tapes, _validator(config), sides)
    if line and violations and call.excinfo is not None and call.excinfo.value is violations[0]:
        failure_text.tell(report, line)
    elif line:
        failure_text.begin_with(report, line)
    failure_text.scrub(report, lambda text: redact_with_tapes(text, tapes))


def _validator(config: pytest.Config) -> ResponseValidator:
    from multitrack.diagnosis.call_results import ResponseValidator

    return ResponseValidator(places.project_of(config).models)
