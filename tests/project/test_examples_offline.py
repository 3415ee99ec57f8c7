"""The examples in a fresh clone: the committed cassettes replay offline, and contain nothing private."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml
from nested_runs import FEWER_PLUGINS
from warm_python import find_warm_python

from multitrack.standin import (
    ACCOUNT_DATA,
    GOOGLE_COOKIE,
    GOOGLE_ORGANIZATION,
    GOOGLE_PROJECT,
    OPENAI_COOKIE,
    OPENAI_ORGANIZATION,
    OPENAI_PROJECT,
    Rule,
    ScriptedCall,
    StandIn,
)
from multitrack.wires import read_answer

ROOT = Path(__file__).parents[2]
CASSETTES = sorted((ROOT / "cassettes" / "examples").rglob("*.yaml"))


def environment_without_credentials(home):
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
    return variables | FEWER_PLUGINS


def run_pytest(arguments, home, environment=(), before=()):
    command = [*before, *find_warm_python(), "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**environment_without_credentials(home), **dict(environment)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_examples_replay_without_a_network_interface(tmp_path):
    unshare = shutil.which("unshare")
    before = [unshare, "--map-root-user", "--net", "--"]
    if not unshare or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine permits no network namespaces")
    finished = run_pytest(["examples"], tmp_path, before=before)
    assert finished.returncode == 0, finished.stdout
    assert "multitrack: 16 tests used a cassette, 16 requests replayed (" in finished.stdout


@pytest.mark.slow
def test_the_examples_replay_in_any_google_cloud_project(tmp_path):
    finished = run_pytest(["examples/test_vertex.py"], tmp_path, {"GOOGLE_CLOUD_PROJECT": "somewhere-else-4"})
    assert finished.returncode == 0, finished.stdout
    assert "multitrack: 3 tests used a cassette, 3 requests replayed (" in finished.stdout


def test_the_cassettes_of_the_examples_name_the_stand_in_as_provenance():
    assert len(CASSETTES) == 18
    for cassette in CASSETTES:
        assert "  provenance: standin\n" in cassette.read_text(encoding="utf-8"), cassette


VCRPY = """
import sys, json, vcr
from pathlib import Path
openai = 0
for path in map(Path, sys.argv[1:]):
    with vcr.use_cassette(str(path), record_mode="none", allow_playback_repeats=False) as cassette:
        assert len(cassette) > 0, path
        for request in cassette.requests:
            if request.host != "api.openai.com":
                continue
            import urllib.request
            sent = urllib.request.Request(request.uri, data=request.body, method=request.method)
            with urllib.request.urlopen(sent) as answer:
                assert json.load(answer)["choices"][0]["message"]["tool_calls"], path
            openai += 1
            assert cassette.play_count == 1
print(openai)
"""


@pytest.mark.slow
def test_vcrpy_loads_every_cassette_and_replays_those_of_openai(tmp_path):
    finished = subprocess.run(
        [*find_warm_python(), "-c", VCRPY, *map(str, CASSETTES)],
        env=environment_without_credentials(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "5"


PLANTED = """
from collections.abc import Iterable
import os

import openai
import pytest

import multitrack
import weather_vertex
from tools import GoogleSearch, Weather

client = multitrack.from_openai(openai.OpenAI(default_query={"key": os.environ.get("SERVICE_TOKEN", "k" * 20)}))
planted = os.environ.get("PLANTED", "nothing")


def ask(question, **arguments):
    messages = [{"role": "user", "content": f"{question} {planted}"}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **arguments)


@pytest.mark.cassette
def test_calls(calls_snapshot):
    extraction = ask("calls", response_model=Iterable[Weather | GoogleSearch])
    assert extraction == calls_snapshot


@pytest.mark.cassette
def test_stream():
    tools = [{"type": "function", "function": {"name": "GoogleSearch", "parameters": {"type": "object"}}}]
    stream = ask("stream", stream=True, tools=tools)
    deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
    assert sum(len(delta.tool_calls or ()) for delta in deltas) > 10


@pytest.mark.cassette
def test_text():
    deltas = [chunk.choices[0].delta.content for chunk in ask("text", stream=True) if chunk.choices]
    assert len(deltas) > 10


@pytest.mark.cassette
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_vertex(transport, calls_snapshot):
    place = {"project": os.environ["GOOGLE_CLOUD_PROJECT"], "location": "europe-west4"}
    assert weather_vertex.plan(f"google {planted}", api_transport=transport, **place) == calls_snapshot


@pytest.mark.cassette
def test_vertex_failing():
    weather_vertex.plan("google " + os.environ["SUPPLIED"], project=os.environ["GOOGLE_CLOUD_PROJECT"])
    raise AssertionError("so that the recording is pending")


@pytest.mark.cassette
def test_failing():
    ask("calls " + os.environ["SUPPLIED"])
    raise AssertionError("so that the recording is pending")
"""

PRIVATE = {
    "OPENAI_API_KEY": "sk-proj-T3BlbkFJq8XwYz0123456789abcdefghijklmn",
    "SERVICE_TOKEN": 'a+secret/without "a shape"=42',
    "OPENAI_PROJECT_ID": "proj-orchard-7731",
    "OPENAI_ORG_ID": "org-Qm3vT8rLx2Zk9Wp4",
    "GOOGLE_CLOUD_PROJECT": "orchard-forecast-55120",
}

# Another machine, without keys.
ELSEWHERE = {
    "OPENAI_PROJECT_ID": "proj-elsewhere-1",
    "OPENAI_ORG_ID": "org-Aa1Bb2Cc3Dd4Ee5Ff",
    "GOOGLE_CLOUD_PROJECT": "another-place-9",
}


@pytest.mark.slow
def test_a_recording_writes_and_prints_nothing_private(tmp_path):
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    for module in ("tools.py", "weather_vertex.py"):
        shutil.copy(ROOT / "examples" / module, project)
    (project / "test_planted.py").write_text(PLANTED, encoding="utf-8")
    from_openai = " and ".join([*PRIVATE.values(), OPENAI_COOKIE, OPENAI_ORGANIZATION, OPENAI_PROJECT])
    from_google = " and ".join([*PRIVATE.values(), GOOGLE_COOKIE, GOOGLE_ORGANIZATION, GOOGLE_PROJECT])
    rules = [
        Rule(contains="calls", calls=[ScriptedCall("GoogleSearch", {"query": from_openai})]),
        Rule(contains="stream", calls=[ScriptedCall("GoogleSearch", {"query": from_openai})], delta_size=5),
        Rule(contains="text", text=from_openai, delta_size=5),
        Rule(contains="google", calls=[ScriptedCall("GoogleSearch", {"query": from_google})]),
    ]
    with StandIn(rules=rules) as standin:
        planted = {**PRIVATE, "PLANTED": " and ".join(PRIVATE.values())}
        openai = {**standin.environment, **planted, "SUPPLIED": from_openai}
        recorded = run_pytest_in(project, home, openai, "--record", "-k", "not vertex")
        google = {**standin.environment, **planted, "SUPPLIED": from_google}
        recorded += run_pytest_in(project, home, google, "--record", "-k", "vertex")
    elsewhere = {**ELSEWHERE, "PLANTED": f"- and - and {' and '.join(ELSEWHERE.values())}", "SUPPLIED": "nothing"}
    replayed = run_pytest_in(project, home, elsewhere)
    assert "1 failed, 3 passed" in recorded, recorded
    assert "1 failed, 2 passed" in recorded, recorded
    assert "2 failed, 5 passed" in replayed, replayed
    files = {
        path: path.read_text(encoding="utf-8") for path in project.rglob("*.*") if path.suffix in (".yaml", ".calls")
    }
    assert {path.name for path in files} == {
        "test_calls.yaml",
        "test_stream.yaml",
        "test_text.yaml",
        "test_failing.pending.yaml",
        "test_vertex[grpc].yaml",
        "test_vertex[rest].yaml",
        "test_vertex_failing.pending.yaml",
        "test_planted.calls",
    }
    texts = {**files, "recording": recorded, "replay": replayed}
    decoded = {
        path: str(read_answer(interaction["response"]["body"]["string"]))
        for path, text in files.items()
        if path.suffix == ".yaml"
        for interaction in yaml.safe_load(text)["interactions"]
    }
    # only the value of a cookie is secret
    values = [*PRIVATE.values(), *(value.partition("=")[2] or value for value in ACCOUNT_DATA)]
    for value in values:
        for encoded in {value, json.dumps(value)[1:-1], quote(value, safe=""), quote_plus(value)}:
            for source, text in [*texts.items(), *decoded.items()]:
                assert encoded not in text, source


def run_pytest_in(project, home, environment, *options):
    finished = subprocess.run(
        [*find_warm_python(), "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=project,
        env={**environment_without_credentials(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout + finished.stderr
