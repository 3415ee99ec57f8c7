"""Run the commands of docs/failures.md in order and compare their output with the page."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from multitrack.standin import Rule, ScriptedCall, StandIn

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MULTITRACK = ["-c", "import sys; from multitrack.cli import main; sys.argv[0] = 'multitrack'; main()"]
PROGRAMS = {"pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "multitrack": MULTITRACK}
TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
# The units for Dallas, in the order of the live requests: the recording, one drift run, and one run of three samples.
RULES = [
    Rule(
        prompt="What is the weather in toronto and dallas?",
        calls=[TORONTO, ScriptedCall("Weather", {"location": "Dallas", "units": units})],
        times=1,
    )
    for units in ("imperial", "metric", "imperial", "metric", "imperial")
]
LIVE = {"--record", "--calls-drift"}


def test_the_commands_print_the_output_that_is_shown(tmp_path):
    sessions = 0
    with StandIn(RULES) as standin:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        for language, title, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            if language == "text":  # the start of a file that the last run wrote
                assert (tmp_path / title).read_text(encoding="utf-8").startswith(text)
            elif title:
                (tmp_path / title).write_text(text, encoding="utf-8")
            if language != "console":
                continue
            command, *shown = text.removeprefix("$ ").splitlines()
            program, *arguments = shlex.split(command)
            # only live runs get a key and a provider
            live = {"NO_COLOR": "1"} if LIVE.isdisjoint(arguments) else standin.environment
            finished = subprocess.run(
                [sys.executable, *PROGRAMS[program], *arguments],
                cwd=tmp_path,
                env={**environment, **live},
                capture_output=True,
                text=True,
                check=False,
            )
            printed = iter(finished.stdout.splitlines())
            for line in shown:
                assert any(line == one or (line[:1].isdigit() and f" {line} in " in one) for one in printed), (
                    finished.stdout
                )
            sessions += 1
    assert sessions == 6
