"""A miss names the pending recording of a test that did not pass when it was recorded."""

import pytest
from typer.testing import CliRunner

from multitrack.cli import app

ENDINGS = {
    "skip": "pytest.skip('not today')",
    "xfail": "pytest.xfail('known')",
    "failure": "raise ValueError",
}
OUTCOMES = {"skip": {"skipped": 1}, "xfail": {"xfailed": 1}, "failure": {"failed": 1}}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_miss_names_the_pending_recording_and_how_to_accept_it(project, ending):
    text = "def test_ask(tape):\n    assert ask('x') == 'echo: x'\n    {}\n"
    project.write_test(text.format(ENDINGS[ending]))
    run = project.record()
    assert run.counts == OUTCOMES[ending]
    assert run.changed == {"cassettes/test_it/test_ask.pending.yaml"}
    project.provider.stop()
    run = project.run()
    assert run.counts == {"failed": 1}
    assert "the pending recording cassettes/test_it/test_ask.pending.yaml has this request" in run.out
    assert "to accept it: multitrack accept cassettes/test_it/test_ask.pending.yaml" in run.out


def test_the_recording_replays_after_it_was_accepted(project):
    project.write_test("def test_ask(tape):\n    assert ask('x') == 'echo: x'\n    pytest.skip('not today')\n")
    project.record()
    project.provider.stop()
    finished = CliRunner().invoke(app, ["accept", str(project.path / "cassettes/test_it/test_ask.pending.yaml")])
    assert finished.exit_code == 0
    assert project.run().counts == {"skipped": 1}
