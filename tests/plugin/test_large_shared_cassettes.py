"""Runs in which many tests record into one large cassette: their recordings wait in a journal next to it."""

import json
import shutil

import pytest
from command_line import run_multitrack
from local_provider import echo

from multitrack.tape.file import storage
from multitrack.tape.file.cassette_reader import load_cassette

pytestmark = pytest.mark.slow

# the first recording is so large that a journal is used for the others; a test with "kill" ends its process
TESTS = """
    import os
    from pathlib import Path

    from multitrack import use_cassette

    SHARED = Path(__file__).parent / "cassettes" / "shared.yaml"

    def kill(once):
        if once is not None and not once.exists():
            once.write_text("killed")
            os.kill(os.getpid(), 9)

    @pytest.mark.cassette(name="shared")
    @pytest.mark.parametrize("number", range({count}))
    def test_ask(number):
        ask(f"prompt {{number}} " + "word " * (60_000 if number == 0 else 10))
        if number == {killed}:
            kill(Path("killed.txt"))
        assert number != {failing}
"""
JOURNAL = "cassettes/shared.yaml.journal"


@pytest.fixture(autouse=True)
def echoing(provider):
    provider.reply = echo


def list_numbers(cassette):
    return [int(json.loads(one.request.body)["messages"][0]["content"].split()[1]) for one in cassette.interactions]


def write_tests(project, *, count=20, killed=None, failing=None, more=""):
    project.use_httpx()
    project.write_test(TESTS.format(count=count, killed=killed, failing=failing) + more)
    return project.cassette("shared")


READER = """
    @pytest.mark.cassette(name="other")
    def test_read():
        assert SHARED.with_name("shared.yaml.journal").exists()
        with use_cassette(SHARED, mode="replay"):
            assert ask("prompt 19 " + "word " * 10).startswith("echo: prompt 19")
        assert not SHARED.with_name("shared.yaml.journal").exists()

    @pytest.mark.cassette(name="shared")
    def test_more():
        ask("prompt 20")
        assert SHARED.exists()
"""


def test_a_later_test_reads_what_was_recorded(project):
    path = write_tests(project, failing=5, more=READER)
    run = project.record()
    assert run.counts == {"passed": 21, "failed": 1}
    assert run.changed == {"cassettes/shared.yaml", "cassettes/shared.pending.yaml"}
    assert list_numbers(storage.read(path)) == [number for number in range(21) if number != 5]
    assert run_multitrack("accept", cwd=project.path).returncode == 0
    assert sorted(list_numbers(storage.read(path))) == list(range(21))
    write_tests(project)
    project.provider.silence()
    assert project.run().counts == {"passed": 20}


def test_a_worker_that_is_killed_loses_no_finished_recording(project):
    path = write_tests(project, killed=12)
    run = project.record("--record", "-n", "2")
    assert "crashed" in run.out
    assert run.counts == {"passed": 19, "failed": 1}
    assert sorted(list_numbers(load_cassette(path.read_bytes(), path))) == [n for n in range(20) if n != 12]
    assert [file.name for file in path.parent.iterdir()] == ["shared.yaml"]


@pytest.fixture
def killed(project):
    """A project in which a killed run has left a journal."""
    path = write_tests(project, killed=12)
    project.record("--record", subprocess=True)
    assert len(list_numbers(load_cassette(path.read_bytes(), path))) < 12
    assert (project.path / JOURNAL).exists()
    project.provider.silence()
    return project


def test_a_killed_run_loses_no_finished_recording(killed):
    path, copy = killed.cassette("shared"), killed.path / "copy"
    shutil.copytree(path.parent, copy / "cassettes")

    # a command merges the journal
    shown = run_multitrack("show", "cassettes/shared.yaml", "--json", cwd=copy)
    assert len(json.loads(shown.stdout)["cassettes"][0]["interactions"]) == 12
    assert [file.name for file in (copy / "cassettes").iterdir()] == ["shared.yaml"]

    # the next run merges the journal
    run = killed.run("-k", " or ".join(f"[{number}]" for number in (3, 11)))
    assert run.counts == {"passed": 2}
    assert not (killed.path / JOURNAL).exists()
    assert path.read_bytes() == (copy / "cassettes" / "shared.yaml").read_bytes()
