"""The examples of the documentation: written to files, run against the stand-in, and printing what it says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from multitrack.standin import Call, Rule, StandIn

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

TORONTO = Call("Weather", {"location": "Toronto", "units": "metric"})
TRIP = "What is the weather in toronto and dallas and who won the super bowl?"
RULES = [
    Rule(
        prompt=TRIP,
        calls=[
            TORONTO,
            Call("Weather", {"location": "Dallas", "units": "imperial"}),
            Call("GoogleSearch", {"query": "who won the super bowl"}),
        ],
    ),
    Rule(
        prompt="How warm is it in Kelvin?",
        turn=0,
        calls=[TORONTO, Call("Weather", {"location": "Dallas", "units": "kelvin"}, id="call_b")],
    ),
    Rule(
        prompt="How warm is it in Kelvin?",
        turn=1,
        calls=[Call("Weather", {"location": "Dallas", "units": "metric"})],
    ),
]


@pytest.mark.parametrize("page", ["extraction.md"])
def test_the_examples_of_a_page_print_what_it_says(page, tmp_path):
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
            assert (finished.stdout, finished.stderr) == (shown, ""), command
