"""Which layer moved, told before anything else in the text of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_multitrack import failure_text, places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multitrack.diagnosis.call_results import CallResultReader
    from multitrack.tape.interaction import Interaction
    from multitrack.tape.tape import Tape


def results(config: pytest.Config, interaction: Interaction) -> tuple[str, ...] | None:
    """What the tape keeps of what came of an answer."""
    return _judge(config).fingerprints(interaction)


def moments(config: pytest.Config, tapes: Sequence[Tape]) -> str:
    """What a snapshot keeps of the exchanges that it was taken after."""
    from multitrack.diagnosis import fingerprints as kept
    from multitrack.diagnosis import layers

    return kept.written(layers.now(tapes, _judge(config)))


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
    from multitrack.tape.recording_scope import scrubbed

    violations = [violation for tape in tapes for violation in tape.violations]
    if violations:
        from multitrack.reporting import terminal

        line: str | None = terminal.violation(violations[0])
    else:
        from multitrack.diagnosis import layers
        from multitrack.diagnosis.failed_comparison import compared, compared_by

        sides = None
        if call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
            sides = compared_by(call.excinfo.value) or (compared(*asserted) if asserted else None)
        line = layers.verdict(tapes, _judge(config), sides)
    if line and violations and call.excinfo is not None and call.excinfo.value is violations[0]:
        failure_text.tell(report, line)
    elif line:
        failure_text.begin_with(report, line)
    failure_text.scrub(report, lambda text: scrubbed(text, tapes))


def _judge(config: pytest.Config) -> CallResultReader:
    from multitrack.diagnosis.call_results import CallResultReader

    return CallResultReader(places.project_of(config).models)
