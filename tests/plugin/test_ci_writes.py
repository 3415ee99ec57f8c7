"""Runs in CI: which flags they refuse, and how a project permits them."""

import re

import pytest

ASK = """
@pytest.mark.cassette
def test_ask():
    assert ask("x") == "echo: x"
"""
COMPARE = """
from pydantic import BaseModel

class Weather(BaseModel):
    location: str

def test_calls(calls_snapshot):
    assert [Weather(location="Toronto")] == calls_snapshot
"""
OTHER_SNAPSHOT = """
def test_other(snapshot):
    assert 1 == snapshot
"""


@pytest.fixture(autouse=True)
def in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")


@pytest.mark.parametrize("flag", ["--record", "--multitrack-record", "--record-missing"])
def test_a_recording_is_a_usage_error(project, flag):
    project.write_test(ASK)
    run = project.record(flag)
    assert run.code == pytest.ExitCode.USAGE_ERROR
    shown = "--record" if flag == "--multitrack-record" else flag
    assert f"{shown}: the environment variable CI is set, and a run in CI must not change cassettes; " in run.err
    assert "or pass --allow-ci-writes, or set allow_ci_writes = true in [tool.multitrack]" in run.err
    assert run.changed == set()
    assert project.provider.requests == []


@pytest.mark.parametrize("flag", ["--record", "--record-missing"])
@pytest.mark.parametrize("permission", ["flag", "project"])
def test_a_recording_can_be_permitted(project, flag, permission):
    project.write_test(ASK)
    advice = re.search(r"or pass (\S+), or set (.+) in (\[tool.multitrack\])", project.record(flag).err)
    flags = [advice[1]] if permission == "flag" else []
    if permission == "project":
        project.write("pyproject.toml", f"[tool.pytest.ini_options]\n{advice[3]}\n{advice[2]}\n")
    run = project.record(flag, *flags)
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}


def test_the_permission_must_be_true_or_false(project):
    project.write_test(ASK)
    project.write("pyproject.toml", "[tool.pytest.ini_options]\n[tool.multitrack]\nallow_ci_writes = 'yes'\n")
    run = project.record("--record")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "[tool.multitrack] allow_ci_writes must be true or false, not 'yes'" in run.err


@pytest.mark.parametrize("value", ["", "false", "0"])
def test_an_empty_or_false_variable_does_not_count(project, monkeypatch, value):
    monkeypatch.setenv("CI", value)
    project.write_test(ASK)
    assert project.record("--record").counts == {"passed": 1}


@pytest.mark.parametrize("flag", ["--live", "--calls-drift"])
def test_what_writes_nothing_is_permitted(project, monkeypatch, flag):
    project.write_test(ASK)
    monkeypatch.delenv("CI")
    project.record("--record")
    monkeypatch.setenv("CI", "true")
    assert project.record(flag).counts == {"passed": 1}


@pytest.mark.parametrize("arguments", [["-n0"], pytest.param(["-n1"], marks=pytest.mark.slow)])
def test_an_update_of_calls_snapshot_is_a_usage_error(project, arguments):
    project.write_test(COMPARE)
    run = project.run("--snapshot-update", *arguments)
    assert run.code != 0
    assert (
        "--snapshot-update: the environment variable CI is set, and a run in CI must not change the snapshots of "
        in (run.err + run.out)
    )
    assert "test_it.py::test_calls uses calls_snapshot" in run.err + run.out
    assert run.changed == set()


def test_an_update_of_calls_snapshot_is_refused_in_tests_that_request_it_late(project):
    project.write_test(
        COMPARE.replace("test_calls(calls_snapshot):", "test_calls(request):").replace(
            "== calls_snapshot", "== request.getfixturevalue('calls_snapshot')"
        )
    )
    run = project.run("--snapshot-update", "-n0")
    assert run.counts == {"failed": 1}
    assert run.changed == set()


def test_an_update_of_calls_snapshot_can_be_permitted(project):
    project.write_test(COMPARE)
    run = project.run("--snapshot-update", "--allow-ci-writes", "-n0")
    assert run.counts == {"passed": 1}
    assert run.changed == {"__snapshots__/test_it.calls"}


def test_snapshots_of_other_plugins_are_updated(project):
    project.write_test(COMPARE, "test_ours.py")
    project.write_test(OTHER_SNAPSHOT, "test_theirs.py")
    run = project.run("--snapshot-update", "-n0", "test_theirs.py")
    assert run.counts == {"passed": 1}
    assert "__snapshots__/test_theirs.ambr" in run.changed
