"""The facts that a run leaves in pytest's cache, as later commands read them."""

from __future__ import annotations

import json

import pytest

from multitrack import run_facts
from multitrack.errors import MultitrackError
from multitrack.run_facts import read_facts

WITH_CACHE = ("-p", "cacheprovider")
CALLS = '[{{"name": "Weather", "arguments": {{"location": "{}"}}}}]'
TESTS = """
@pytest.mark.cassette
def test_ask():
    ask("{question}")

@pytest.mark.cassette
def test_model():
    ask("Who are you?", temperature={temperature})

@pytest.mark.cassette
def test_calls(calls_snapshot):
    ask("And now?")
    assert {calls} == calls_snapshot
"""
OLD = TESTS.format(question="What is the weather, please?", temperature=0, calls=CALLS.format("Toronto"))
NEW = TESTS.format(question="What is the weather?", temperature=1, calls=CALLS.format("Dallas"))


@pytest.mark.slow
def test_a_run_with_workers_leaves_its_facts(project):
    project.use_httpx()
    project.write_test(OLD)
    assert project.record().code == 0
    project.write_test(NEW)
    assert project.run(*WITH_CACHE, "-n", "2").counts == {"failed": 3}
    facts = read_facts(project.path / "cassettes")
    assert facts.root == project.path
    assert facts.is_full
    assert facts.limit == "did not pass"
    assert list(facts.cassettes) == [f"cassettes/test_it/test_{name}.yaml" for name in ("ask", "calls", "model")]
    assert facts.find_problem(project.path / "cassettes/test_it/test_ask.yaml") is None

    ask, model = facts.misses
    assert ask.test == "test_it.py::test_ask"
    assert ask.cassette == "cassettes/test_it/test_ask.yaml"
    assert ask.nearest == 1
    assert ask.is_only_wording
    assert json.loads(ask.request.body)["messages"][0]["content"] == "What is the weather?"
    assert [name for name, _ in ask.request.headers] == ["content-type"]
    assert "has no recording" in ask.message
    assert model.nearest == 1
    assert not model.is_only_wording

    (snapshot,) = facts.snapshots
    assert snapshot.test == "test_it.py::test_calls"
    assert snapshot.file == "__snapshots__/test_it.calls"
    assert snapshot.name == "test_calls"
    assert snapshot.stored.startswith("Weather(location='Toronto')\n# request ")
    assert snapshot.received == "Weather(location='Dallas')"
    assert "was 'Toronto', now 'Dallas'" in snapshot.message
    # what --snapshot-update would write: the request and the reply did not change
    assert snapshot.note == snapshot.stored.partition("\n")[2]

    path = project.path / "cassettes/test_it/test_ask.yaml"
    path.write_text(path.read_text().replace("please", "thanks"))
    assert facts.find_problem(path).startswith("changed since the last run\n")
    path.unlink()
    assert facts.find_problem(path).startswith("changed since the last run\n")


@pytest.mark.slow
def test_a_drift_run_leaves_its_drift(project):
    project.write_test("@pytest.mark.cassette\ndef test_ask():\n    ask('x')\n")
    project.record()
    project.write_test("@pytest.mark.cassette\ndef test_ask():\n    ask('y')\n")
    project.record("--calls-drift", *WITH_CACHE)
    facts = read_facts(project.path)
    (drift,) = facts.drift
    assert drift.test == "test_it.py::test_ask"
    assert drift.cassette == "cassettes/test_it/test_ask.yaml"
    assert drift.verdict == "request changed"
    assert any('sent: "y"' in line for line in drift.details)


def write_facts(folder, **changes):
    path = folder / ".pytest_cache/v/multitrack/run"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**run_facts.RunFacts().to_plain(), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1}, "another version of Multitrack wrote the results of the last run"),
        ({"misses": [{}]}, "the results of the last run are damaged"),
        ({"cassettes": []}, "the results of the last run are damaged"),
    ],
)
def test_unusable_facts_are_refused(tmp_path, changes, message):
    write_facts(tmp_path, **changes)
    with pytest.raises(MultitrackError, match=message) as refused:
        read_facts(tmp_path)
    assert str(refused.value).endswith("\n  run all tests with pytest, and then repeat this command")


def test_facts_are_only_found_in_the_same_repository(tmp_path):
    write_facts(tmp_path)
    (tmp_path / "inner/.git").mkdir(parents=True)
    with pytest.raises(MultitrackError, match="there are no stored results of a pytest run that used a cassette"):
        read_facts(tmp_path / "inner")


def test_bodies_above_the_limit_are_left_out(monkeypatch):
    monkeypatch.setattr(run_facts, "MAX_BODIES", 5)
    request = run_facts.StoredRequest.from_body("POST", "https://a.example", (), b"123")
    misses = [run_facts.ChangedRequest(f"test_{number}", "a.yaml", request=request) for number in range(2)]
    facts = run_facts.RunFacts.from_plain(run_facts.RunFacts(misses=misses).to_plain(), run_facts.Path())
    assert [one.request is None for one in facts.misses] == [False, True]
