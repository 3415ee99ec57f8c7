"""Record, replay and change the example of README.md, and compare the output with the page."""

import pytest
from documentation_page import ROOT, ExampleProject, read_blocks

from multitrack.standin import StandIn

BLOCKS = read_blocks("README.md")
(SESSION,) = [block for block in BLOCKS if block.text.startswith(">>>")]
EXAMPLE = [block for block in BLOCKS[1:] if block is not SESSION]


@pytest.fixture
def project(tmp_path):
    with StandIn(script=ROOT / "examples" / "standin.yaml") as standin:
        yield ExampleProject(tmp_path, standin.environment)


@pytest.mark.slow
def test_the_example_is_recorded_replayed_and_changed_as_shown(project):
    project.follow(EXAMPLE)


@pytest.mark.slow
def test_the_interactive_session_prints_the_output_that_is_shown(project):
    (example,) = [block for block in EXAMPLE if block.title == "weather.py"]
    project.write(example)
    lines = SESSION.text.splitlines()
    entered = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    (project.folder / "session.py").write_text("\n".join(["from weather import plan", *entered, ""]))
    finished = project.run("python session.py")
    assert finished.stdout.splitlines() == lines[len(entered) :]


def test_the_first_commands_are_make_demo_and_make_test():
    commands = [line.partition("#")[0].strip() for line in BLOCKS[0].text.splitlines()]
    assert commands == ["$ make demo", "$ make test"]
