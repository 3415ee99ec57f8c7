"""``use_cassette`` blocks in tests: which test their recordings belong to, and when they are saved."""

import json

import pytest

from multitrack.tape.file import storage

BLOCK = "from multitrack import use_cassette\n"
TAPE, PENDING = "cassettes/own.yaml", "cassettes/own.pending.yaml"


def read_prompts(path):
    """Return each recorded prompt with the tests that recorded it."""
    return [
        (json.loads(one.request.body)["messages"][0]["content"], *one.tests) for one in storage.read(path).interactions
    ]


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "bare"])
def test_the_recording_of_a_block_is_saved_after_its_test_has_passed(project, marked):
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
    project.write_test(text.format(word="old", rest=""))
    assert project.record().changed == {TAPE}
    project.write_test(text.format(word="new", rest="assert False"))
    run = project.record()
    assert run.counts == {"failed": 1}
    assert run.changed == {PENDING}
    assert run.has_lines(
        f"""
        The cassette is unchanged. If the new recording is right:
          multitrack accept {PENDING}
          pytest test_it.py::test_ask
        """
    )
    assert run.has_lines(
        f"""
        multitrack: 1 test used a cassette
        multitrack: pending: {PENDING}: the test failed
          to accept it: multitrack accept {PENDING}
        """
    )
    assert read_prompts(project.path / TAPE) == [("old", "test_it.py::test_ask")]
    project.write_test(text.format(word="new", rest=""))
    assert project.record().changed == {TAPE, PENDING}
    assert read_prompts(project.path / TAPE) == [("new", "test_it.py::test_ask")]


def test_tests_that_share_a_cassette_by_path_replace_only_their_own_recordings(project):
    project.use_httpx()
    text = (
        BLOCK
        + """
@pytest.mark.parametrize("city", ["Rome", "Oslo"])
def test_ask(city):
    with use_cassette("cassettes/own.yaml"):
        ask("{word} in " + city)
"""
    )
    project.write_test(text.format(word="rain"))
    run = project.record("--record", "-n", "2")
    assert run.counts == {"passed": 2}
    assert run.changed == {TAPE}
    assert "multitrack: 2 tests used a cassette, 2 requests recorded in 1 cassette" in run.lines
    project.write_test(text.format(word="snow"))
    project.record("--record", "-k", "Oslo")
    assert sorted(read_prompts(project.path / TAPE)) == [
        ("rain in Rome", "test_it.py::test_ask[Rome]"),
        ("snow in Oslo", "test_it.py::test_ask[Oslo]"),
    ]


def test_several_blocks_of_a_test_can_use_one_cassette(project):
    project.write_test(
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
    assert run.counts == {"passed": 1}
    assert run.changed == {TAPE}
    # each block replays the cassette from the start
    assert [word for word, _ in read_prompts(project.path / TAPE)] == ["a", "a", "b", "c"]
    project.provider.stop()
    run = project.run()
    assert run.counts == {"passed": 1}
    assert run.changed == set()
    assert "multitrack: 1 test used a cassette, 6 requests replayed" in run.lines
    assert "not replayed" not in run.out


@pytest.mark.parametrize("mode", ["", ', mode="replay"'], ids=["flags", "replay"])
@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_unplayed_interactions_of_a_block_are_listed_and_fail_with_strict(project, mode, workers):
    project.use_httpx()
    text = BLOCK + "def test_ask():\n    with use_cassette('cassettes/own.yaml'{mode}):\n        ask('a'){more}\n"
    project.write_test(text.format(mode="", more="; ask('b')"))
    project.record()
    # an interaction without a test, such as one recorded by a script, belongs to every test
    tape = project.path / TAPE
    tape.write_text(tape.read_text().replace("tests: ['test_it.py::test_ask']", "tests: []"))
    project.write_test(text.format(mode=mode, more=""))
    project.provider.stop()
    run = project.run(*workers)
    assert run.counts == {"passed": 1}
    assert run.code == 0
    assert f"multitrack: not replayed: {TAPE}: interaction 2 (test_it.py::test_ask)" in run.lines
    run = project.run("--cassettes-strict", *workers)
    assert run.counts == {"failed": 1}
    assert run.code == 1
    assert run.changed == set()
    assert "Unplayed: 1 interaction was not replayed" in run.out
    # but not if the block raises an exception
    project.write_test(text.format(mode=mode, more="; raise KeyError('mine')"))
    run = project.run("--cassettes-strict")
    assert "KeyError: 'mine'" in run.out
    assert "not replayed" not in run.out


def test_command_line_options_apply_to_blocks(project):
    text = (
        BLOCK
        + "def test_ask():\n    with use_cassette('cassettes/own.yaml', pace='recorded'):\n        ask('{word}')\n"
    )
    project.write_test(text.format(word="a"))
    project.record()
    project.write_test(text.format(word="b"))
    project.provider.stop()
    assert project.run().counts == {"failed": 1}
    assert project.run("--cassettes-option=ignore=['$.messages[*].content']").counts == {"passed": 1}


def test_the_recording_of_the_last_rerun_is_saved(project):
    project.write_test(
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
    assert run.counts == {"passed": 1, "rerun": 1}
    assert run.changed == {TAPE}
    assert read_prompts(project.path / TAPE) == [("attempt 2", "test_it.py::test_ask")]
    assert "multitrack: 1 test used a cassette, 1 request recorded in 1 cassette" in run.lines


def test_a_block_in_a_module_scoped_fixture_belongs_to_no_test(project):
    project.write_test(
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
    assert run.counts == {"passed": 2}
    assert run.changed == {TAPE}
    assert read_prompts(project.path / TAPE) == [("open",), ("close",)]
    assert "multitrack: 2 requests recorded in 1 cassette" in run.lines
    assert project.record("--record", "-k", "2").counts == {"passed": 1}
    assert read_prompts(project.path / TAPE) == [("open",), ("close",)]
    project.provider.stop()
    assert project.run("--cassettes-strict").counts == {"passed": 2}


def test_recordings_of_an_interrupted_test_are_pending(project):
    project.write_test(
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
