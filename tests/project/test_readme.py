"""Record, replay and change the example of README.md, and compare the output with the page."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from multitrack.standin import StandIn

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path):
    for _, title, text in BLOCKS:
        if title:
            (tmp_path / title).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder, *command, environment=()):
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**bare, **dict(environment)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_example_records_replays_and_misses_as_shown(project):
    with StandIn(script=ROOT / "examples" / "standin.yaml") as standin:
        recorded = run(project, "-m", "pytest", "-q", "--record", environment=standin.environment)
    assert recorded.returncode == 0, recorded.stdout
    replayed = run(project, "-m", "pytest", "-q")
    assert replayed.returncode == 0, replayed.stdout

    cassette = (project / "cassettes" / "test_weather" / "test_plan.yaml").read_text(encoding="utf-8")
    (shown,) = [text for language, _, text in BLOCKS if language == "yaml"]
    assert cassette.startswith(shown)

    test = project / "test_weather.py"
    changed = re.sub(r'question = ".*"', 'question = "What is the weather in paris?"', test.read_text(encoding="utf-8"))
    test.write_text(changed, encoding="utf-8")
    missed = run(project, "-m", "pytest", "-q")
    (shown,) = [text for language, _, text in BLOCKS if language == "text"]
    assert missed.returncode == 1
    assert shown in missed.stdout


@pytest.mark.slow
def test_the_interactive_session_prints_the_output_that_is_shown(project):
    (session,) = [text for language, _, text in BLOCKS if language == "console" and text.startswith(">>>")]
    lines = session.splitlines()
    code = "from weather import plan\n" + "\n".join(line[4:] for line in lines if line.startswith((">>> ", "... ")))
    with StandIn(script=ROOT / "examples" / "standin.yaml") as standin:
        finished = run(project, "-c", code, environment=standin.environment)
    assert finished.stdout.splitlines() == [line for line in lines if not line.startswith((">>>", "..."))]


def test_the_first_commands_are_make_demo_and_make_test():
    first = next(text for language, _, text in BLOCKS if language == "console")
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["$ make demo", "$ make test"]
