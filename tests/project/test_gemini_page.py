"""Run the commands of docs/gemini.md in order: record over gRPC and REST, then replay without credentials."""

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

PAGE = (Path(__file__).parents[2] / "docs" / "gemini.md").read_text(encoding="utf-8")
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


def without_duration(text):
    return re.sub(r"in \d+\.\d+s", "in 0.00s", text)


def shell(project, command, before=(), **environment):
    """Run ``command`` with this interpreter's pytest, in an environment without other variables."""
    commands = project.parent / "bin"
    commands.mkdir(exist_ok=True)
    (commands / "pytest").write_text(f'#!/bin/sh\nexec {sys.executable} -m pytest -p no:cacheprovider "$@"\n')
    (commands / "pytest").chmod(0o755)
    bare = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        # without it, google-auth looks for gcloud's credentials in the user's real home directory
        "HOME": str(project.parent / "no-home"),
        "COLUMNS": "80",
        "PYTHONDONTWRITEBYTECODE": "1",
        # otherwise the output ends with warnings of Google's libraries about Python and grpcio, depending on the date
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
    """The folder after the first command of the page, the Google Cloud project, and the transport of each request."""
    folder = tmp_path_factory.mktemp("vertex") / "project"
    for _, title, text in BLOCKS:
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(text, encoding="utf-8")
    command, _, shown = SESSIONS[0].partition("\n")
    with StandIn(RULES) as standin:
        finished = shell(folder, command, **standin.environment)
        transports = [
            request.transport for request in standin.requests if request.host.endswith("aiplatform.googleapis.com")
        ]
        name = standin.environment["GOOGLE_CLOUD_PROJECT"]
    assert without_duration(finished.stdout) == without_duration(shown), finished.stderr
    return folder, name, transports


@pytest.fixture
def project(recording, tmp_path):
    return shutil.copytree(recording[0], tmp_path / "project")


def offline_prefix():
    """Return the start of a command that runs it without a network, or nothing if the machine does not permit that."""
    unshare = shutil.which("unshare")
    before = [unshare, "--map-root-user", "--net", "--"]
    permitted = unshare and not subprocess.run([*before, "true"], capture_output=True, check=False).returncode
    return before if permitted else []


def test_the_commands_print_the_output_that_is_shown(project):
    assert [session.partition("\n")[0] for session in SESSIONS][1:3] == [
        "pytest -q",
        "sed -i s/Toronto/Ottawa/ test_trip.py",
    ]
    for session in SESSIONS[1:]:
        command, _, shown = session.partition("\n")
        finished = shell(project, command, before=offline_prefix())
        # the page leaves out pytest's summary, which repeats the text of a failure
        assert without_duration(finished.stdout).startswith(without_duration(shown)), (
            command,
            finished.stdout,
            finished.stderr,
        )
        assert finished.returncode == ("CassetteMiss" in shown)


def test_the_cassettes_are_as_shown_and_contain_nothing_private(recording):
    project, name, transports = recording
    assert transports == ["grpc", "grpc", "http"]
    cassettes = {path.stem: path.read_text(encoding="utf-8") for path in (project / "cassettes").rglob("*.yaml")}
    (shown,) = [text for language, title, text in BLOCKS if language == "yaml" and not title]
    assert cassettes["test_plan"].startswith(shown)
    assert "uri: grpc://" in cassettes["test_plan_async"]
    assert "uri: https://location-0-" in cassettes["test_without_our_client"]
    for cassette in cassettes.values():
        for private in (name, "us-central1", GOOGLE_COOKIE.partition("=")[2], "ya29", "authorization", "oauth2"):
            assert private not in cassette


def test_the_workflow_passes_without_credentials_and_project(project):
    workflow = yaml.safe_load((project / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    (command,) = [
        step["run"] for step in workflow["jobs"]["tests"]["steps"] if step.get("run", "").startswith("pytest")
    ]
    finished = shell(project, command, before=offline_prefix(), CI="true")
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
def test_the_cassettes_replay_whatever_init_names(project, settings):
    code = (project / "trip.py").read_text(encoding="utf-8")
    changed = re.sub(r"vertexai\.init\(.*\)", f"vertexai.init({settings})", code)
    assert changed != code
    (project / "trip.py").write_text(changed, encoding="utf-8")
    finished = shell(project, "pytest -q", before=offline_prefix())
    assert finished.returncode == 0, finished.stdout
    assert "multitrack: 3 tests used a cassette, 3 requests replayed" in finished.stdout


def test_recording_without_credentials_fails_before_any_request(project):
    with StandIn(RULES) as standin:
        environment = dict(standin.environment)
        del environment["GOOGLE_APPLICATION_CREDENTIALS"]
        finished = shell(project, "pytest -q --record -k 'plan and not async'", NO_GCE_CHECK="true", **environment)
        assert not standin.requests
    assert finished.returncode == 1
    assert "DefaultCredentialsError" in finished.stdout
