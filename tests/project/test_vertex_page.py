"""The page on Vertex AI: its files and its runs in their order, recorded over gRPC and REST, replayed with nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from multitrack.standin import GOOGLE_COOKIE, Rule, ScriptedCall, StandIn

pytestmark = pytest.mark.slow

pytest.importorskip("vertexai")

PAGE = (Path(__file__).parents[2] / "docs" / "vertex.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RULES = [
    Rule(
        prompt="What is the weather in Toronto and Dallas?",
        calls=[
            ScriptedCall("Weather", {"location": "Toronto", "units": "metric"}),
            ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"}),
        ],
    ),
    Rule(prompt="What is a tape?", text="A tape is a file of answers."),
]
SESSIONS = [
    session
    for language, _, text in BLOCKS
    if language == "console"
    for session in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
]


def timeless(text):
    return re.sub(r"in \d+\.\d+s", "in 0.00s", text)


def shell(project, command, before=(), **environment):
    """What ``command`` says with this interpreter's pytest, in an environment that holds nothing else."""
    commands = project.parent / "bin"
    commands.mkdir(exist_ok=True)
    (commands / "pytest").write_text(f'#!/bin/sh\nexec {sys.executable} -m pytest -p no:cacheprovider "$@"\n')
    (commands / "pytest").chmod(0o755)
    bare = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        # without it, gcloud's credentials are looked for in the account's own home
        "HOME": str(project.parent / "no-home"),
        "COLUMNS": "80",
        "PYTHONDONTWRITEBYTECODE": "1",
        # else the output ends with what Google's libraries announce, by the date, about Python and grpcio
        "PYTHONWARNINGS": "ignore::FutureWarning",
    }
    return subprocess.run(
        [*before, "sh", "-c", command],
        cwd=project,
        env=bare | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The page's files with what its first run made, the project it was recorded in, and how Vertex was asked."""
    folder = tmp_path_factory.mktemp("vertex") / "project"
    for _, title, text in BLOCKS:
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(text, encoding="utf-8")
    command, _, shown = SESSIONS[0].partition("\n")
    with StandIn(RULES) as standin:
        finished = shell(folder, command, **standin.environment)
        asked = [
            request.transport for request in standin.requests if request.host.endswith("aiplatform.googleapis.com")
        ]
        name = standin.environment["GOOGLE_CLOUD_PROJECT"]
    assert timeless(finished.stdout) == timeless(shown), finished.stderr
    return folder, name, asked


@pytest.fixture
def project(recording, tmp_path):
    return shutil.copytree(recording[0], tmp_path / "project")


def alone():
    """The beginning of a command that leaves it no network interface that is up, where that is permitted."""
    unshare = shutil.which("unshare")
    before = [unshare, "--map-root-user", "--net", "--"]
    permitted = unshare and not subprocess.run([*before, "true"], capture_output=True, check=False).returncode
    return before if permitted else []


def test_the_runs_show_what_a_terminal_shows(project):
    assert [session.partition("\n")[0] for session in SESSIONS][1:3] == [
        "pytest -q",
        "sed -i s/Toronto/Ottawa/ test_trip.py",
    ]
    for session in SESSIONS[1:]:
        command, _, shown = session.partition("\n")
        finished = shell(project, command, before=alone())
        # of a failure, the page shows the text and not the summary that repeats it
        assert timeless(finished.stdout).startswith(timeless(shown)), (command, finished.stdout, finished.stderr)
        assert finished.returncode == ("CassetteMiss" in shown)


def test_the_tapes_hold_what_the_page_says_and_nothing_private(recording):
    project, name, asked = recording
    assert asked == ["grpc", "grpc", "http"]
    tapes = {tape.stem: tape.read_text(encoding="utf-8") for tape in (project / "cassettes").rglob("*.yaml")}
    (shown,) = [text for language, title, text in BLOCKS if language == "yaml" and not title]
    assert tapes["test_plan"].startswith(shown)
    assert "uri: grpc://" in tapes["test_plan_async"]
    assert "uri: https://location-0-" in tapes["test_without_our_client"]
    for tape in tapes.values():
        for private in (name, "us-central1", GOOGLE_COOKIE.partition("=")[2], "ya29", "authorization", "oauth2"):
            assert private not in tape


def test_the_workflow_is_green_with_no_credentials_and_no_project(project):
    workflow = yaml.safe_load((project / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    (command,) = [
        step["run"] for step in workflow["jobs"]["tests"]["steps"] if step.get("run", "").startswith("pytest")
    ]
    finished = shell(project, command, before=alone(), CI="true")
    assert finished.returncode == 0, finished.stdout
    assert "multitrack: 3 tests used a cassette, 3 requests replayed" in finished.stdout


@pytest.mark.parametrize(
    "settings",
    [
        'project="another-place-9", location="europe-west4"',
        'location="us-central1", api_transport="rest"',
        "",
    ],
)
def test_init_may_name_a_project_and_a_transport_or_not(project, settings):
    code = (project / "trip.py").read_text(encoding="utf-8")
    changed = re.sub(r"vertexai\.init\(.*\)", f"vertexai.init({settings})", code)
    assert changed != code
    (project / "trip.py").write_text(changed, encoding="utf-8")
    finished = shell(project, "pytest -q", before=alone())
    assert finished.returncode == 0, finished.stdout
    assert "multitrack: 3 tests used a cassette, 3 requests replayed" in finished.stdout


def test_without_credentials_the_sdk_says_so_before_it_asks(project):
    with StandIn(RULES) as standin:
        environment = dict(standin.environment)
        del environment["GOOGLE_APPLICATION_CREDENTIALS"]
        finished = shell(project, "pytest -q --record -k 'plan and not async'", NO_GCE_CHECK="true", **environment)
        assert not standin.requests
    assert finished.returncode == 1
    assert "DefaultCredentialsError" in finished.stdout
