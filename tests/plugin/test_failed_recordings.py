"""Recordings that fail: the message names the failed request, and does not suggest accepting the recording."""

from __future__ import annotations

import shlex
import shutil

import pytest
from local_provider import ProviderAnswer, completion

WEATHER = {"id": "c1", "type": "function", "function": {"name": "Weather", "arguments": '{"location": "Toronto"}'}}
ASK = """
@pytest.mark.cassette
def test_ask(calls_snapshot):
    messages = [dict(role="user", content="weather?")]
    answer = client.with_options(max_retries=0).chat.completions.create(model="m", messages=messages)
    assert (answer.choices[0].message.tool_calls or []) == calls_snapshot
"""
CAUGHT = """
import openai

@pytest.mark.cassette
def test_ask():
    try:
        client.with_options(max_retries=0).models.list()
    except openai.APIError:
        pass
    assert {outcome}
"""


def answer_with_calls(_):
    return ProviderAnswer(completion(None, tool_calls=[WEATHER]))


def reject(status, message):
    return lambda _: ProviderAnswer(f'{{"error": {{"message": "{message}"}}}}'.encode(), status)


@pytest.fixture
def recorded(project):
    """A project with a cassette and a snapshot."""
    project.provider.reply = answer_with_calls
    project.write_test(ASK)
    assert project.record().counts == {"passed": 1}
    return project


def read_recorded_files(project):
    return {name: text for name, text in project.read_files().items() if not name.endswith(".pending.yaml")}


@pytest.mark.parametrize("flag", ["--record", "--multitrack-record"])
def test_a_wrong_key_is_named_instead_of_a_changed_reply(recorded, flag):
    before = read_recorded_files(recorded)
    recorded.provider.reply = reject(401, "Incorrect API key provided")
    run = recorded.record(flag)
    line = (
        "recording failed: 401 Unauthorized: Incorrect API key provided "
        f"(POST {recorded.provider.url}/v1/chat/completions)"
    )
    assert f"FAILED test_it.py::test_ask - {line}" in run.lines
    assert "the reply changed" not in run.out
    assert "multitrack accept" not in run.out
    assert "  pytest --record test_it.py::test_ask" in run.lines
    assert read_recorded_files(recorded) == before


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_any_error_that_the_cassette_does_not_have_fails_the_recording(recorded, status):
    recorded.provider.reply = reject(status, "no")
    run = recorded.record()
    assert f"FAILED test_it.py::test_ask - recording failed: {status} " in run.out
    assert "multitrack accept" not in run.out


def test_a_provider_that_cannot_be_reached_is_named(recorded):
    before = read_recorded_files(recorded)
    host = recorded.provider.url.removeprefix("http://")
    recorded.provider.stop()
    run = recorded.record()
    assert f"FAILED test_it.py::test_ask - recording failed: no connection to {host} (ConnectError" in run.out
    assert "multitrack accept" not in run.out
    assert "  pytest --record test_it.py::test_ask" in run.lines
    assert read_recorded_files(recorded) == before


def test_a_first_recording_that_fails_is_explained_in_the_same_way(project):
    project.provider.reply = reject(401, "no key")
    project.write_test(ASK)
    run = project.record()
    assert "FAILED test_it.py::test_ask - recording failed: 401 Unauthorized: no key (POST " in run.out
    assert "multitrack accept" not in run.out


@pytest.mark.parametrize("outcome", [True, False], ids=["passed", "failed"])
def test_an_error_that_the_test_catches_is_to_be_recorded_again(project, outcome):
    project.provider.reply = reject(429, "slow down")
    project.write_test(CAUGHT.format(outcome=outcome))
    run = project.record()
    assert run.counts == {"passed" if outcome else "failed": 1}
    assert "multitrack accept" not in run.out
    command = "pytest --record test_it.py::test_ask"
    assert f"  to record the failed requests again: {command}" in run.lines
    # the command solves the problem
    project.provider.reply = lambda _: ProviderAnswer(b'{"data": [], "object": "list"}')
    project.write_test(CAUGHT.format(outcome=True))
    assert project.record(*shlex.split(command)[1:]).counts == {"passed": 1}
    assert not (project.path / "cassettes/test_it/test_ask.pending.yaml").exists()
    assert project.run().counts == {"passed": 1}


def test_an_error_that_the_cassette_has_is_not_a_failed_recording(project):
    text = CAUGHT.replace("cassette", "cassette(keep_errors=True)")
    project.provider.reply = reject(429, "slow down")
    project.write_test(text.format(outcome=True))
    assert project.record().counts == {"passed": 1}
    project.write_test(CAUGHT.format(outcome=False))
    run = project.record()
    assert "recording failed" not in run.out


def test_a_drift_run_names_the_failed_request(recorded):
    recorded.provider.reply = reject(401, "no key")
    run = recorded.record("--calls-drift")
    assert "FAILED test_it.py::test_ask - the live request failed: 401 Unauthorized: no key (POST " in run.out
    assert "the reply changed" not in run.out


@pytest.mark.parametrize("removed", ["file", "entry"])
def test_a_deleted_snapshot_is_not_a_changed_test(recorded, removed):
    path = recorded.path / "__snapshots__" / "test_it.calls"
    if removed == "file":
        shutil.rmtree(path.parent)
    else:
        path.write_text(path.read_text(encoding="utf-8").replace("test_ask", "test_other"), encoding="utf-8")
    run = recorded.run()
    assert "FAILED test_it.py::test_ask - no snapshot yet" in run.lines
    assert "the test changed" not in run.out
    command = "pytest --snapshot-update test_it.py::test_ask"
    assert f"E         to write it: {command}" in run.lines
    assert recorded.run(*shlex.split(command)[1:]).counts == {"passed": 1}
    assert recorded.run().counts == {"passed": 1}
