"""The page on verdicts: its files and its runs in their order, and every line that it shows of them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from multitrack.standin import Rule, ScriptedCall, StandIn

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MULTITRACK = ["-c", "import sys; from multitrack.cli import main; sys.argv[0] = 'multitrack'; main()"]
PROGRAMS = {"pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "multitrack": MULTITRACK}
TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
# Dallas, one live request after the other: the recording, one night, and three samples of another
RULES = [
    Rule(
        prompt="What is the weather in toronto and dallas?",
        calls=[TORONTO, ScriptedCall("Weather", {"location": "Dallas", "units": units})],
        times=1,
    )
    for units in ("imperial", "metric", "imperial", "metric", "imperial")
]
LIVE = {"--record", "--calls-drift"}


def test_the_runs_say_what_the_page_says(tmp_path):
    sessions = 0
    with StandIn(RULES) as standin:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        for language, title, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            if language == "text":  # what the last run wrote begins so
                assert (tmp_path / title).read_text(encoding="utf-8").startswith(text)
            elif title:
                (tmp_path / title).write_text(text, encoding="utf-8")
            if language != "console":
                continue
            command, *shown = text.removeprefix("$ ").splitlines()
            program, *arguments = shlex.split(command)
            # a key and a provider are for what goes live alone
            live = {"NO_COLOR": "1"} if LIVE.isdisjoint(arguments) else standin.environment
            finished = subprocess.run(
                [sys.executable, *PROGRAMS[program], *arguments],
                cwd=tmp_path,
                env={**environment, **live},
                capture_output=True,
                text=True,
                check=False,
            )
            told = iter(finished.stdout.splitlines())
            for line in shown:
                assert any(line == one or (line[:1].isdigit() and f" {line} in " in one) for one in told), (
                    finished.stdout
                )
            sessions += 1
    assert sessions == 6
