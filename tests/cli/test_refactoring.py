"""A project is refactored without a key and without an editor for its cassettes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run_multitrack

from multitrack.tape.file import storage

WITH_CACHE = ("-q", "-p", "cacheprovider")
CASSETTES = Path("cassettes/test_trip")
APPLICATION = """
import httpx

def ask(prompt):
    body = {{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": prompt}}]}}
    answer = httpx.post("{url}/v1/chat/completions", json=body)
    return answer.raise_for_status().json()["choices"][0]["message"]["content"]
"""
OLD = """
import pytest
from app import ask

@pytest.mark.cassette
def test_plan():
    assert "Toronto" in ask("Plan a trip to Toronto, please.")

@pytest.mark.cassette
def test_weather():
    ask("Hello")
    assert "weather" in ask("How is the weather?")

@pytest.mark.vcr
def test_foreign():
    assert "Rome" in ask("Plan a trip to Rome.")
"""
SECRET = "sk-proj-0123456789abcdefghijklmnop"


@pytest.fixture
def scratch(pytester, provider, monkeypatch):
    """A project with recordings, including one from another recorder. The provider is gone."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\n")
    (pytester.path / "app.py").write_text(APPLICATION.format(url=provider.url))
    tests = pytester.path / "test_trip.py"
    tests.write_text(OLD)
    assert pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "--multitrack-record").ret == 0
    provider.stop()
    write_as_vcrpy(pytester.path / CASSETTES / "test_foreign.yaml")
    return pytester


def write_as_vcrpy(path):
    """Write the cassette at ``path`` again, without Multitrack's own keys, in JSON, which is also YAML."""
    interactions = [
        {
            "request": {
                "method": one.request.method,
                "uri": one.request.url,
                "headers": {"content-type": ["application/json"], "authorization": [f"Bearer {SECRET}"]},
                "body": one.request.body.decode(),
            },
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"content-type": ["application/json"]},
                "body": {"string": one.response.body.decode()},
            },
        }
        for one in storage.read(path).interactions
    ]
    path.write_text(json.dumps({"version": 1, "interactions": interactions}))


def multitrack(scratch, *arguments):
    done = run_multitrack(*arguments, cwd=scratch.path)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def edit(scratch, before, after):
    file = scratch.path / "test_trip.py"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


@pytest.mark.slow
def test_rename_prompt_change_removed_request_and_conversion(scratch):
    edit(scratch, "test_plan", "test_journey")
    scratch.runpytest_inprocess(*WITH_CACHE).assert_outcomes(passed=2, failed=1)
    [command] = multitrack(scratch, "mv", "--find")
    assert command == "multitrack mv test_trip.py::test_plan test_trip.py::test_journey"
    assert multitrack(scratch, *command.split()[1:]) == [
        f"move {CASSETTES / 'test_plan.yaml'} to {CASSETTES / 'test_journey.yaml'}"
    ]

    edit(scratch, "Toronto, please", "Toronto")
    edit(scratch, '    ask("Hello")\n', "")
    scratch.runpytest_inprocess(*WITH_CACHE).assert_outcomes(passed=2, failed=1)
    assert multitrack(scratch, "rebind")[-1] == f"change {CASSETTES / 'test_journey.yaml'}"

    scratch.runpytest_inprocess(*WITH_CACHE).assert_outcomes(passed=3)
    assert multitrack(scratch, "prune") == [f"change {CASSETTES / 'test_weather.yaml'}", "1 interaction removed"]

    foreign = scratch.path / CASSETTES / "test_foreign.yaml"
    assert multitrack(scratch, "convert", "cassettes") == [
        f"change {CASSETTES / 'test_foreign.yaml'}",
        "1 cassette converted, 2 already in this format",
    ]
    assert SECRET not in foreign.read_text()

    scratch.runpytest_inprocess("-q", "-p", "no:cacheprovider", "--cassettes-strict").assert_outcomes(passed=3)
