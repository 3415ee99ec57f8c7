"""Agent frameworks replay without configuration and without a key, in an environment that is empty.

Each folder has the name of a framework on the package index and a scenario: the test file of a user. It is recorded
from the stand-in provider and then replayed three times, in random order and with pytest-xdist. The header of the run
lists the frameworks that are not installed. ``nox --session frameworks`` installs the current release of each.
"""

import os
import shutil
import subprocess
import sys

import pytest
from scenarios import INSTALLED, SCENARIOS

from multitrack.standin import Rule, ScriptedCall, StandIn

pytestmark = pytest.mark.slow

WEATHER = ScriptedCall("weather", {"place": "Toronto"})
RULES = [
    Rule(prompt="Weather in Toronto?", turn=0, calls=[WEATHER]),
    Rule(prompt="Weather in Toronto?", text="Take an umbrella."),
    Rule(prompt="Weather in Nowhere?", turn=0, calls=[ScriptedCall("weather", {"place": "Nowhere"})]),
    Rule(prompt="Weather in Nowhere?", calls=[WEATHER]),
    Rule(prompt="And now?", text="Stay at home."),
]
KEYS = {"GOOGLE_API_KEY": "key-0", "GEMINI_API_KEY": "key-0", "DEEPSEEK_API_KEY": "key-0"}

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
"""
CONFTEST = """
import os

import pytest

BEFORE = dict(os.environ)


@pytest.fixture(autouse=True)
def unchanged_environment(request):
    yield
    # pytest sets the first, and some frameworks set variables of their own
    exceptions = {"PYTEST_CURRENT_TEST", *getattr(request.module, "FRAMEWORK_VARIABLES", ())}
    after = {name: value for name, value in os.environ.items() if name not in exceptions}
    assert after == {name: value for name, value in BEFORE.items() if name not in exceptions}
"""


def run(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module", params=INSTALLED)
def project(request, tmp_path_factory, starts_server):
    """A project with the scenario of one framework, recorded."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    shutil.copy(SCENARIOS[request.param], folder / "test_scenario.py")
    with StandIn(RULES, hosts=["api.deepseek.com"]) as standin:
        recording = run(folder, "--record", "-p", "no:randomly", **{**KEYS, **standin.environment})
    assert recording.returncode == 0, recording.stdout + recording.stderr
    return folder


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_replay_in_an_empty_environment(project, seed):
    before = {path: path.read_bytes() for path in project.rglob("*.yaml")}
    replay = run(project, "-n", "2", f"--randomly-seed={seed}")
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert before
    assert {path: path.read_bytes() for path in project.rglob("*.yaml")} == before
