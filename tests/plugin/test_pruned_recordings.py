"""``multitrack prune`` removes the interactions that the last full run did not use."""

from __future__ import annotations

import json

import pytest
from command_line import run_multitrack

pytestmark = pytest.mark.slow

WITH_CACHE = ("-p", "cacheprovider")
"""The other tests run without pytest's cache, from which ``multitrack prune`` reads the results of the last run."""

RECORDED = """
@pytest.mark.cassette
def test_ask():
    ask("one")
    ask("two")

@pytest.mark.cassette
def test_other():
    ask("three")
    ask("four")
"""
OUTDATED = """
@pytest.mark.cassette
def test_ask():
    ask("two")

@pytest.mark.cassette
def test_other():
    ask("three")
    {skip}
"""
CASSETTE = "cassettes/test_it/test_ask.yaml"


def prune(project, *arguments):
    return run_multitrack("prune", *arguments, cwd=project.path)


@pytest.fixture
def outdated(project):
    """Two cassettes, each with an interaction that its test does not use; one of the tests is skipped in the end."""
    project.write_test(RECORDED)
    project.record()
    (project.path / "cassettes" / "nobody.yaml").write_bytes((project.path / CASSETTE).read_bytes())
    project.write_test(OUTDATED.format(skip='pytest.skip("not today")'))
    project.provider.stop()
    return project


def test_unused_interactions_are_removed(outdated):
    before = (outdated.path / CASSETTE).read_text()
    outdated.run(*WITH_CACHE)
    planned = prune(outdated, "--dry-run")
    assert planned.stdout.splitlines() == ["no test uses cassettes/nobody.yaml", f"would change {CASSETTE}"]
    assert (outdated.path / CASSETTE).read_text() == before

    done = prune(outdated, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "command": "prune",
        "dry_run": False,
        "changes": [{"action": "change", "path": CASSETTE}],
        "problems": [],
    }
    after = (outdated.path / CASSETTE).read_text()
    assert after.count("- request:") == 1
    assert outdated.run("--cassettes-strict").code == 0

    run_multitrack("undo", cwd=outdated.path)
    assert (outdated.path / CASSETTE).read_text() == before


def test_a_cassette_that_changed_after_the_run_is_left_alone(outdated):
    outdated.run(*WITH_CACHE)
    path = outdated.path / CASSETTE
    path.write_text(path.read_text().replace("one", "uno"))
    done = prune(outdated)
    assert done.returncode == 1
    assert done.stderr == (
        f"multitrack: {CASSETTE}: changed since the last run\n"
        "  run all tests with pytest, and then repeat this command\n"
    )
    assert path.read_text().count("- request:") == 2


@pytest.mark.parametrize(
    ("arguments", "reason"), [(["-k", "ask"], "used -k"), (["test_it.py::test_ask"], "was limited to the given paths")]
)
def test_a_partial_run_prunes_nothing(outdated, arguments, reason):
    outdated.run(*WITH_CACHE, *arguments)
    done = prune(outdated)
    assert done.returncode == 1
    assert done.stderr == (
        f"multitrack: the last run {reason}, so it is unknown which recordings are unused\n"
        "  run all tests with pytest, and then repeat this command\n"
    )


def test_without_a_run(outdated):
    done = prune(outdated)
    assert done.returncode == 1
    assert done.stderr == (
        f"multitrack: {outdated.path}: there are no stored results of a pytest run that used a cassette\n"
        "  run all tests with pytest, and then repeat this command\n"
    )
