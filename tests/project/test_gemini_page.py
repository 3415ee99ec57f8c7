"""Run the commands of docs/gemini.md in order: record over gRPC and REST, then replay without credentials."""

import re
import shutil
import subprocess

import pytest
import yaml
from documentation_page import ExampleProject, matches, read_blocks

from multitrack.standin import GOOGLE_COOKIE, Rule, ScriptedCall, StandIn

pytestmark = pytest.mark.slow

pytest.importorskip("vertexai")

BLOCKS = read_blocks("docs/gemini.md")
SCRIPT, RECORD, *REPLAY = [command for block in BLOCKS for command in block.commands]
(CASSETTE,) = [block for block in BLOCKS if block.title.startswith("cassettes/")]
RULES = [
    Rule(
        prompt="What is the weather in Toronto and Dallas?",
        calls=[
            ScriptedCall("Weather", {"location": "Toronto", "units": "metric"}),
            ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"}),
        ],
    ),
    Rule(prompt="What is a cassette?", text="A cassette is a file of responses."),
]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The recorded project of the page, the name of the Google Cloud project, and the transport of each request."""
    with StandIn(RULES) as standin:
        project = ExampleProject(tmp_path_factory.mktemp("vertex"), standin.environment)
        for block in BLOCKS:
            if block.is_written:
                project.write(block)
        project.check(*RECORD)
        transports = [
            request.transport for request in standin.requests if request.host.endswith("aiplatform.googleapis.com")
        ]
        name = standin.environment["GOOGLE_CLOUD_PROJECT"]
    return project, name, transports


@pytest.fixture
def project(recording, tmp_path):
    project = ExampleProject(tmp_path)
    shutil.copytree(recording[0].folder, project.folder, dirs_exist_ok=True)
    return project


def offline_prefix():
    """Return the start of a command that runs it without a network, or nothing if the machine does not permit that."""
    unshare = shutil.which("unshare")
    before = [unshare, "--map-root-user", "--net", "--"]
    permitted = unshare and not subprocess.run([*before, "true"], capture_output=True, check=False).returncode
    return before if permitted else []


def test_the_commands_print_the_output_that_is_shown(project):
    assert [command for command, _ in REPLAY[:2]] == ["pytest -q", "sed -i s/Toronto/Ottawa/ test_trip.py"]
    for command, shown in REPLAY:
        project.check(command, shown, before=offline_prefix())


def test_the_script_prints_the_output_that_is_shown(tmp_path):
    pytest.importorskip("google.genai")
    with StandIn(RULES) as standin:
        project = ExampleProject(tmp_path, standin.environment)
        for block in BLOCKS:
            if block.is_written:
                project.write(block)
        project.check(*SCRIPT)


def test_the_cassettes_are_as_shown_and_contain_nothing_private(recording):
    project, name, transports = recording
    assert transports == ["grpc", "grpc", "http"]
    folder = project.folder / "cassettes"
    cassettes = {path.stem: path.read_text(encoding="utf-8") for path in folder.rglob("*.yaml")}
    assert matches(CASSETTE.text, cassettes["test_plan"])
    assert "uri: grpc://" in cassettes["test_plan_async"]
    assert "uri: https://location-0-" in cassettes["test_without_our_client"]
    for cassette in cassettes.values():
        for private in (name, "us-central1", GOOGLE_COOKIE.partition("=")[2], "ya29", "authorization", "oauth2"):
            assert private not in cassette


def test_the_workflow_passes_without_credentials_and_project(project):
    workflow = yaml.safe_load((project.folder / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    (command,) = [
        step["run"] for step in workflow["jobs"]["tests"]["steps"] if step.get("run", "").startswith("pytest")
    ]
    finished = project.run(command, before=offline_prefix(), CI="true")
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
    code = (project.folder / "trip.py").read_text(encoding="utf-8")
    changed = re.sub(r"vertexai\.init\(.*\)", f"vertexai.init({settings})", code)
    assert changed != code
    (project.folder / "trip.py").write_text(changed, encoding="utf-8")
    finished = project.run("pytest", before=offline_prefix())
    assert finished.returncode == 0, finished.stdout
    assert "multitrack: 3 tests used a cassette, 3 requests replayed" in finished.stdout


def test_recording_without_credentials_fails_before_any_request(project):
    with StandIn(RULES) as standin:
        environment = dict(standin.environment)
        del environment["GOOGLE_APPLICATION_CREDENTIALS"]
        finished = project.run("pytest -q --record -k 'plan and not async'", NO_GCE_CHECK="true", **environment)
        assert not standin.requests
    assert finished.returncode == 1
    assert "DefaultCredentialsError" in finished.stdout
