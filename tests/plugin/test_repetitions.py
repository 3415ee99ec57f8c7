"""Plugins that repeat tests: all repetitions share the cassette and the snapshots of the test."""

import pytest

pytest.importorskip("pytest_repeat")
pytest.importorskip("pytest_flakefinder")

TEST = """
    from multitrack import ToolCall

    @pytest.mark.cassette
    @pytest.mark.parametrize("word", ["1-2", "x"])
    def test_ask(word, calls_snapshot):
        assert [ToolCall("", "say", f'{{"text": "{ask(word)}"}}', 0)] == calls_snapshot

    class TestNested:
        def test_plain(self, tape, calls_snapshot):
            assert [ToolCall("", "say", f'{{"text": "{ask("nested")}"}}', 0)] == calls_snapshot
"""
REPEATED = [
    pytest.param(["--count=2"], 6, id="pytest-repeat"),
    pytest.param(["--count=2", "--repeat-scope=session"], 6, id="pytest-repeat by session"),
    pytest.param(["--flake-finder", "--flake-runs=3"], 9, id="pytest-flakefinder"),
]


@pytest.mark.parametrize(("flags", "count"), REPEATED)
def test_repetitions_replay_the_cassette_of_their_test(project, flags, count):
    project.write_test(TEST)
    project.record()
    project.provider.stop()
    run = project.run(*flags)
    assert run.counts == {"passed": count}
    assert run.changed == set()


@pytest.mark.parametrize(("flags", "count"), REPEATED)
def test_an_update_deletes_no_snapshot(project, flags, count):
    project.write_test(TEST)
    project.record()
    run = project.run("--snapshot-update", *flags)
    assert run.counts == {"passed": count}
    assert run.changed == set()


@pytest.mark.parametrize(("flags", "count"), REPEATED)
def test_repetitions_record_one_cassette(project, flags, count):
    project.write_test(TEST)
    run = project.record("--record", *flags)
    assert run.counts == {"passed": count}
    assert run.changed == {
        "cassettes/test_it/test_ask[1-2].yaml",
        "cassettes/test_it/test_ask[x].yaml",
        "cassettes/test_it/TestNested.test_plain.yaml",
        "__snapshots__/test_it.calls",
    }
    project.provider.stop()
    assert project.run().counts == {"passed": 3}


def test_a_miss_names_the_test_without_the_repetition(project):
    project.write_test("def test_ask(tape):\n    ask('x')")
    run = project.run("--count=2")
    assert "  to record it: pytest --record test_it.py::test_ask" in run.lines


def test_the_marker_of_vcr_shares_the_cassette_too(project):
    project.write_test("@pytest.mark.vcr\n@pytest.mark.repeat(3)\ndef test_ask():\n    ask('x')")
    run = project.record()
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    project.provider.stop()
    assert project.run().counts == {"passed": 3}
