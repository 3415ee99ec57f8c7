"""``multitrack rebind`` and ``pytest --calls-rebind`` keep recorded answers if only the wording of requests changed."""

from __future__ import annotations

import json

import pytest
from command_line import run_multitrack

from multitrack.run_facts import read_facts

pytestmark = pytest.mark.slow

WITH_CACHE = ("-p", "cacheprovider")
"""The other tests run without pytest's cache, from which ``multitrack rebind`` reads the results of the last run."""

TESTS = """
TOOL = dict(type="function", function=dict(name="Weather", description="{description}", parameters=dict(
    type="object", properties=dict(location=dict(type="string")))))

@pytest.mark.cassette
def test_ask():
    ask("{question}", tools=[TOOL])

@pytest.mark.cassette
def test_model():
    ask("Who are you?", temperature={temperature})

@pytest.mark.cassette(name="shared")
@pytest.mark.parametrize("who", ["a", "b"])
def test_shared(who):
    ask("Say hello" + {ending} * (who == "b"))
"""
OLD = TESTS.format(description="Weather", question="Is it hot, please?", temperature=0, ending="''")
NEW = TESTS.format(description="The weather", question="Is it hot?", temperature=1, ending="'!'")
CASSETTE = "cassettes/test_it/test_ask.yaml"
ASK, MODEL = "test_it.py::test_ask", "test_it.py::test_model"
SHARED = "test_it.py::test_shared[b]"


def rebind(project, *arguments):
    return run_multitrack("rebind", *arguments, cwd=project.path)


@pytest.fixture
def reworded(project):
    """Recordings of a project whose requests have changed since."""
    project.use_httpx()
    project.write_test(OLD)
    assert project.record().code == 0
    project.write_test(NEW)
    project.provider.stop()
    return project


def test_the_command_keeps_the_answer_and_takes_the_new_request(reworded):
    run = reworded.run(*WITH_CACHE)
    assert run.counts == {"failed": 3, "passed": 1}
    advice = "to keep the recorded answer, if it still fits: multitrack rebind "
    assert [line.split(advice)[1] for line in run.lines if advice in line] == [ASK, f"'{SHARED}'"]

    before = (reworded.path / CASSETTE).read_text()
    planned = rebind(reworded, ASK, "--dry-run")
    assert planned.returncode == 0
    assert planned.stdout == (
        f"{ASK}: interaction 1 of {CASSETTE}\n"
        "  $.messages[0].content\n"
        '    recorded: "Is it hot, please?"\n'
        '    sent: "Is it hot?"\n'
        "  $.tools[0].function.description\n"
        '    recorded: "Weather"\n'
        '    sent: "The weather"\n'
        "    `Weather` changed its description\n"
        f"would change {CASSETTE}\n"
    )
    assert (reworded.path / CASSETTE).read_text() == before

    done = rebind(reworded, ASK, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["changes"] == [{"action": "change", "path": CASSETTE}]
    assert [(one["test"], one["interaction"]) for one in report["requests"]] == [(ASK, 1)]
    after = (reworded.path / CASSETTE).read_text()
    assert "  rebound: true\n" in after
    end = before.partition("\n  response:")[2]
    assert after.partition("\n  response:")[2] == end.replace("  results: []\n", "  results: []\n  rebound: true\n")
    assert reworded.run(ASK).counts == {"passed": 1}
    shown = run_multitrack("show", CASSETTE, cwd=reworded.path)
    assert shown.stdout.splitlines()[0].endswith(" · rebound")

    again = rebind(reworded, ASK)
    assert again.returncode == 1
    assert again.stderr == (
        f"multitrack: {CASSETTE}: changed since the last run\n  run the test again: pytest -pcacheprovider {ASK}\n"
    )
    assert run_multitrack("undo", cwd=reworded.path).returncode == 0
    assert (reworded.path / CASSETTE).read_text() == before


def test_what_the_command_cannot_rebind_is_a_problem(reworded):
    reworded.run(*WITH_CACHE)
    done = rebind(reworded)
    assert done.returncode == 1
    assert done.stderr == (
        f"multitrack: {MODEL}: the request differs in more than its wording\n"
        f"  to record it: pytest --record -pcacheprovider {MODEL}\n"
    )
    assert f"change {CASSETTE}\nchange cassettes/shared.yaml\n" in done.stdout

    unknown = rebind(reworded, "test_it.py::test_no")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith(
        "multitrack: test_it.py::test_no: nothing to rebind: the last run left out this test, "
        "or all its requests have recordings\n"
    )
    assert rebind(reworded, "--no-such-option").returncode == 2
    assert "Example: multitrack rebind test_trip.py::test_plan --dry-run" in rebind(reworded, "--help").stdout


def test_the_flag_replays_and_stores_the_new_request_if_the_test_passes(reworded):
    # also for two workers that change the same cassette
    cassettes = [reworded.path / name for name in (CASSETTE, "cassettes/shared.yaml")]
    before = [cassette.read_bytes() for cassette in cassettes]
    run = reworded.run("--calls-rebind", "-n", "2", "--calls-report=report.json")
    assert run.counts == {"failed": 1, "passed": 3}
    assert "multitrack: 4 tests used a cassette, 3 requests replayed, 2 requests rebound in 2 cassettes" in run.lines
    assert run.has_lines(
        """
        multitrack: rebound: the wording of 1 request changed:
          $.messages[0].content
            recorded: "Is it hot, please?"
        """
    )
    assert run.changed == {CASSETTE, "cassettes/shared.yaml", "report.json"}
    assert (reworded.path / "report.json").read_text().count('"rebound": true') == 2
    assert not reworded.provider.requests[4:]
    replayed = reworded.run("--cassettes-strict")
    assert replayed.counts == {"failed": 1, "passed": 3}
    after = [cassette.read_bytes() for cassette in cassettes]
    undone = run_multitrack("undo", cwd=reworded.path)
    assert undone.returncode == 0, undone.stderr
    assert undone.stdout.endswith("restored: the state before pytest --calls-rebind\n")
    assert [cassette.read_bytes() for cassette in cassettes] == before
    assert run_multitrack("undo", cwd=reworded.path).returncode == 0
    assert [cassette.read_bytes() for cassette in cassettes] == after


def test_the_flag_stores_nothing_if_the_test_fails(reworded):
    reworded.write_test(NEW.replace("tools=[TOOL])", "tools=[TOOL])\n    assert False"))
    run = reworded.run("--calls-rebind", ASK)
    assert run.counts == {"failed": 1}
    assert "multitrack: 1 test used a cassette, 1 request replayed" in run.lines
    assert not run.changed


@pytest.mark.parametrize("flag", ["--record", "--record-missing", "--live", "--calls-drift", "--record-mode=all"])
def test_flags_that_contradict(project, flag):
    run = project.run("--calls-rebind", flag)
    assert run.code == 4
    assert f"{flag.partition('=')[0]} and --calls-rebind cannot be combined" in run.err


def test_the_flag_in_ci(reworded, monkeypatch):
    monkeypatch.setenv("CI", "true")
    refused = reworded.run("--calls-rebind")
    assert refused.code == 4
    assert "--calls-rebind: the environment variable CI is set" in refused.err
    assert reworded.run("--calls-rebind", "--allow-ci-writes", ASK).changed == {CASSETTE}


def test_an_audit_names_the_command(reworded):
    run = reworded.run("--calls-audit", "--cassettes-option=vcr_compatible_matching=true", *WITH_CACHE)
    assert run.counts == {"passed": 4}
    assert "     to keep the recorded answers, if they still fit:" in run.lines
    assert f"     multitrack rebind {ASK}" in run.lines
    assert any(line.startswith("     pytest --record ") and line.endswith(f" {MODEL}") for line in run.lines)
    facts = read_facts(reworded.path)
    # the other test got the answer that `test_shared[a]` recorded
    assert [one.test for one in facts.audited] == [ASK]
    assert f"multitrack rebind {ASK}" in [finding.command for finding in facts.findings]
    done = rebind(reworded, ASK)
    assert done.returncode == 0
    assert reworded.run(ASK).counts == {"passed": 1}
