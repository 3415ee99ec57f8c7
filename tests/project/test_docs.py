"""Run the examples of the documentation against the stand-in and compare their output with the pages."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from multitrack.standin import Rule, ScriptedCall, StandIn
from multitrack.tape.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
TRIP = "What is the weather in toronto and dallas and who won the super bowl?"
RULES = [
    Rule(
        prompt=TRIP,
        calls=[
            TORONTO,
            ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"}),
            ScriptedCall("GoogleSearch", {"query": "who won the super bowl"}),
        ],
    ),
    Rule(prompt="What is the weather in Toronto?", calls=[TORONTO]),
    Rule(
        prompt="How warm is it in Kelvin?",
        turn=0,
        calls=[TORONTO, ScriptedCall("Weather", {"location": "Dallas", "units": "kelvin"}, id="call_b")],
    ),
    Rule(
        prompt="How warm is it in Kelvin?",
        turn=1,
        calls=[ScriptedCall("Weather", {"location": "Dallas", "units": "metric"})],
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["extraction.md"])
def test_the_examples_of_a_page_print_the_output_that_it_shows(page, tmp_path):
    blocks = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    for _, title, text in blocks:
        if title:
            (tmp_path / title).write_text(text, encoding="utf-8")
    sessions = [text for language, _, text in blocks if language == "console"]
    assert sessions
    with StandIn(RULES) as standin:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **standin.environment}
        for session in sessions:
            command, _, shown = session.removeprefix("$ ").partition("\n")
            _, *arguments = shlex.split(command)
            finished = subprocess.run(
                [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert finished.stderr == "", command
            assert finished.stdout == shown, command


@pytest.mark.slow
def test_the_page_on_cassettes_shows_the_output_of_its_commands(tmp_path):
    blocks = BLOCK.findall((DOCS / "recording.md").read_text(encoding="utf-8"))
    for _, title, text in blocks:
        if title:
            (tmp_path / title).write_text(text, encoding="utf-8")
    scripts = tmp_path / "bin"
    scripts.mkdir()
    for name, program in {
        "pytest": "-m pytest -p no:cacheprovider",
        "multitrack": "-c 'from multitrack.cli import main; main()'",
        "python": "",
    }.items():
        (scripts / name).write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
        (scripts / name).chmod(0o755)
    offline = {"PATH": f"{scripts}:{os.environ['PATH']}", "HOME": str(tmp_path), "COLUMNS": "80", "NO_COLOR": "1"}
    sessions = [text for language, _, text in blocks if language == "console"]
    commands_and_output = [session for text in sessions for session in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    assert len(commands_and_output) == 6
    with StandIn(RULES) as standin:
        for session in commands_and_output:
            command, _, shown = session.partition("\n")
            live = standin.environment if "--record" in command or "script" in command else {}
            finished = subprocess.run(
                command, shell=True, cwd=tmp_path, env=offline | live, capture_output=True, text=True, check=False
            )
            printed = re.sub(r"in \d+\.\d+s", "in 0.00s", finished.stdout)
            # the page leaves out pytest's summary, which repeats the text of a failure
            assert printed.startswith(re.sub(r"in \d+\.\d+s", "in 0.00s", shown)), (command, printed, finished.stderr)
            assert finished.returncode == ("CassetteMiss" in shown)


def test_the_page_on_cassettes_documents_every_setting():
    page = (DOCS / "recording.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+) = ", page, flags=re.MULTILINE)
    assert sorted(rows) == sorted([*(field.name for field in fields(Settings)), "cassettes_dir"])
