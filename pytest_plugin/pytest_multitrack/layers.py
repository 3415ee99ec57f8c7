"""Which layer moved, told before anything else in the text of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_multitrack import failure_text, places

if TYPE_CHECKING:
    from multitrack.tape.interaction import Interaction
    from multitrack.tape.tape import Tape
    from multitrack.verdicts.results import Judge
    from pytest_multitrack.playback import Playback


def results(config: pytest.Config, interaction: Interaction) -> tuple[str, ...] | None:
    """What the tape keeps of what came of an answer."""
    return _judge(config).fingerprints(interaction)


def moments(config: pytest.Config, tape: Tape) -> str:
    """What a snapshot keeps of the exchanges that it was taken after."""
    from multitrack.verdicts import layers
    from multitrack.verdicts import moments as kept

    return kept.written(layers.now(tape, _judge(config)))


def tell(report: pytest.TestReport, call: pytest.CallInfo[None], playing: Playback, config: pytest.Config) -> None:
    """Begin the text of the failed ``report`` of a test that a tape was ``playing`` for with the layer that moved. A
    violation of the tape is told as such: the request changed, and all else followed from that."""
    if playing.violation is not None or report.when == "teardown":
        return
    from multitrack.verdicts import layers
    from multitrack.verdicts.compared import compared, compared_by

    sides = None
    if call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
        sides = compared_by(call.excinfo.value) or (compared(*playing.compared) if playing.compared else None)
    if line := layers.verdict(playing.tape, _judge(config), sides):
        failure_text.begin_with(report, playing.tape.scrub(line))


def _judge(config: pytest.Config) -> Judge:
    from multitrack.verdicts.results import Judge

    return Judge(places.project_of(config).models)
