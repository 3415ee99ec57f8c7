"""Tapes that blocks play within tests, by `use_cassette`: who they belong to, and when they are written."""

import json

import pytest

from multitrack.tape.file import storage

BLOCK = "from multitrack import use_cassette\n"
TAPE, PENDING = "cassettes/own.yaml", "cassettes/own.pending.yaml"


def asked(path):
    return [
        (json.loads(one.request.body)["messages"][0]["content"], *one.tests) for one in storage.read(path).interactions
    ]


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "bare"])
def test_a_block_is_written_when_its_test_has_passed(project, marked):
    text = (
        BLOCK
        + ("@pytest.mark.cassette" if marked else "")
        + """
def test_ask():
    with use_cassette("cassettes/own.yaml"):
        ask("{word}")
    {rest}
"""
    )
    project.test(text.format(word="old", rest=""))
    assert project.record().changed == {TAPE}
    project.test(text.format(word="new", rest="assert False"))
    run = project.record()
    assert (run.counts, run.changed) == ({"failed": 1}, {PENDING})
    assert run.holds(
        f"""
        The cassette is unchanged. If the new recording is right:
          multitrack accept {PENDING}
          pytest --snapshot-update test_it.py::test_ask
        """
    )
    assert run.holds(
        f"""
        multitrack: 1 test used a cassette
        multitrack: pending: {PENDING}: call failed
          to accept it: multitrack accept {PENDING}
        """
    )
    assert asked(project.path / TAPE) == [("old", "test_it.py::test_ask")]
    project.test(text.format(word="new", rest=""))
    assert project.record().changed == {TAPE, PENDING}
    assert asked(project.path / TAPE) == [("new", "test_it.py::test_ask")]


def test_tests_that_share_a_tape_by_its_path_leave_each_other_alone(project):
    text = (
        BLOCK
        + """
@pytest.mark.parametrize("city", ["Rome", "Oslo"])
def test_ask(city):
    with use_cassette("cassettes/own.yaml"):
        ask("{word} in " + city)
"""
    )
    project.test(text.format(word="rain"))
    run = project.record("--record", "-n", "2", subprocess=True)
    assert (run.counts, run.changed) == ({"passed": 2}, {TAPE})
    assert "multitrack: 2 tests used a cassette, 2 requests recorded in 1 cassette" in run.lines
    project.test(text.format(word="snow"))
    project.record("--record", "-k", "Oslo")
    assert sorted(asked(project.path / TAPE)) == [
        ("rain in Rome", "test_it.py::test_ask[Rome]"),
        ("snow in Oslo", "test_it.py::test_ask[Oslo]"),
    ]


def test_blocks_of_one_test_on_one_tape_add_up(project):
    project.test(
        BLOCK
        + """
def block(*words):
    with use_cassette("cassettes/own.yaml"):
        for word in words: ask(word)

def test_ask():
    block("a", "a")
    block("b")
    block("a")
    block("b", "c")
"""
    )
    run = project.record()
    assert (run.counts, run.changed) == ({"passed": 1}, {TAPE})
    # each block plays the tape from its start
    assert [word for word, _ in asked(project.path / TAPE)] == ["a", "a", "b", "c"]
    project.provider.stop()
    run = project.run()
    assert (run.counts, run.changed) == ({"passed": 1}, set())
    assert "multitrack: 1 test used a cassette, 6 requests replayed" in run.lines
    assert "not replayed" not in run.out


@pytest.mark.parametrize("mode", ["", ', mode="replay"'], ids=["flags", "replay"])
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_a_block_did_not_play_is_told_and_refused(project, mode, workers):
    text = BLOCK + "def test_ask():\n    with use_cassette('cassettes/own.yaml'{mode}):\n        ask('a'){more}\n"
    project.test(text.format(mode="", more="; ask('b')"))
    project.record()
    # what no test is named for, as a script writes it, is everybody's
    tape = project.path / TAPE
    tape.write_text(tape.read_text().replace("tests: ['test_it.py::test_ask']", "tests: []"))
    project.test(text.format(mode=mode, more=""))
    project.provider.stop()
    run = project.run(*workers, subprocess=bool(workers))
    assert (run.counts, run.code) == ({"passed": 1}, 0)
    assert f"multitrack: not replayed: {TAPE}: interaction 2 (test_it.py::test_ask)" in run.lines
    run = project.run("--cassettes-strict", *workers, subprocess=bool(workers))
    assert (run.counts, run.code, run.changed) == ({"failed": 1}, 1, set())
    assert "Unplayed: 1 interaction was not replayed" in run.out
    # not where an exception is on its way
    project.test(text.format(mode=mode, more="; raise KeyError('mine')"))
    run = project.run("--cassettes-strict")
    assert "KeyError: 'mine'" in run.out
    assert "not replayed" not in run.out


def test_settings_of_the_command_line_hold_for_blocks(project):
    text = (
        BLOCK
        + "def test_ask():\n    with use_cassette('cassettes/own.yaml', pace='recorded'):\n        ask('{word}')\n"
    )
    project.test(text.format(word="a"))
    project.record()
    project.test(text.format(word="b"))
    project.provider.stop()
    assert project.run().counts == {"failed": 1}
    assert project.run("--cassettes-option=ignore=['$.messages[*].content']").counts == {"passed": 1}


def test_of_reruns_the_last_one_is_written(project):
    project.test(
        BLOCK
        + """
attempts = []

@pytest.mark.flaky(reruns=1)
def test_ask():
    attempts.append(1)
    with use_cassette("cassettes/own.yaml"):
        ask(f"attempt {len(attempts)}")
    assert len(attempts) == 2
"""
    )
    run = project.record()
    assert (run.counts, run.changed) == ({"passed": 1, "rerun": 1}, {TAPE})
    assert asked(project.path / TAPE) == [("attempt 2", "test_it.py::test_ask")]
    assert "multitrack: 1 test used a cassette, 1 request recorded in 1 cassette" in run.lines


def test_a_block_in_a_fixture_of_wider_scope_belongs_to_no_test(project):
    project.test(
        BLOCK
        + """
@pytest.fixture(scope="module")
def opened():
    with use_cassette("cassettes/own.yaml"):
        ask("open")
        yield
        ask("close")

@pytest.mark.parametrize("number", [1, 2])
def test_ask(opened, number): pass
"""
    )
    run = project.record()
    assert (run.counts, run.changed) == ({"passed": 2}, {TAPE})
    assert asked(project.path / TAPE) == [("open",), ("close",)]
    assert "multitrack: 2 requests recorded in 1 cassette" in run.lines
    assert project.record("--record", "-k", "2").counts == {"passed": 1}
    assert asked(project.path / TAPE) == [("open",), ("close",)]
    project.provider.stop()
    assert project.run("--cassettes-strict").counts == {"passed": 2}


def test_an_interrupted_test_leaves_what_its_blocks_recorded_beside_the_tape(project):
    project.test(
        BLOCK
        + """
def test_ask():
    with use_cassette("cassettes/own.yaml"):
        ask("a")
    pytest.exit("enough")
"""
    )
    run = project.record()
    assert run.changed == {PENDING}
    assert f"multitrack: pending: {PENDING}: the run was interrupted" in run.lines
