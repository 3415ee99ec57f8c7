"""Recordings that wait beside a tape that several tests share: none is lost, and none undoes what came after it."""

import json

import pytest
from typer.testing import CliRunner

from multitrack.cli import app
from multitrack.tape.file import storage

SHARED = """
@pytest.mark.cassette(name="shared")
@pytest.mark.parametrize("city", ["Rome", "Oslo", "Bern", "Graz"])
def test_city(city):
    ask("{word} in " + city)
    assert city not in {failing}
"""
PENDING = "cassettes/shared.pending.yaml"
TAPE = "cassettes/shared.yaml"


def node(city):
    return f"test_it.py::test_city[{city}]"


def asked(path):
    """What was asked on the tape at ``path``, by test, in order."""
    return [
        (json.loads(one.request.body)["messages"][0]["content"], *one.tests) for one in storage.read(path).interactions
    ]


def words(path):
    """The same of the tests above: city and word, in the order of cities."""
    return sorted((prompt.split()[2], prompt.split()[0]) for prompt, _ in asked(path))


def accept(project, *names):
    finished = CliRunner().invoke(app, ["accept", *(str(project.path / name) for name in names)])
    assert finished.exit_code == 0, finished.output
    return finished.output


@pytest.mark.parametrize("flags", [(), ("-n", "2"), ("-n", "2", "--dist", "loadfile")], ids=["alone", "xdist", "file"])
def test_those_of_several_tests_and_processes_add_up(project, flags):
    project.test(SHARED.format(word="rain", failing=["Rome", "Bern"]))
    run = project.record("--record", *flags, subprocess=bool(flags))
    assert (run.counts, run.changed) == ({"passed": 2, "failed": 2}, {TAPE, PENDING})
    assert (words(project.path / TAPE), words(project.path / PENDING)) == (
        [("Graz", "rain"), ("Oslo", "rain")],
        [("Bern", "rain"), ("Rome", "rain")],
    )
    told = [line for line in run.lines if line.startswith("multitrack: ") and not line.endswith(" live")]
    assert told[0] == "multitrack: 4 tests used a cassette, 2 requests recorded in 1 cassette"
    assert sorted(told[1:]) == [
        f"multitrack: pending: {PENDING}: call failed ({node(city)})" for city in ("Bern", "Rome")
    ]
    assert f"  to accept them: multitrack accept {PENDING}" in run.lines

    # what a test records meanwhile stays
    project.test(SHARED.format(word="snow", failing=[]))
    assert project.record("--record", "-k", "Oslo or Bern").changed == {TAPE, PENDING}
    assert words(project.path / PENDING) == [("Rome", "rain")]
    assert accept(project, PENDING) == f"accepted {project.path / TAPE}\n"
    assert words(project.path / TAPE) == [("Bern", "snow"), ("Graz", "rain"), ("Oslo", "snow"), ("Rome", "rain")]
    assert not (project.path / PENDING).exists()


def test_the_last_recording_of_a_test_is_the_one_that_waits(project):
    for word in ("rain", "snow"):
        project.test(SHARED.format(word=word, failing=["Rome", "Bern"]))
        project.record("--record", *([] if word == "rain" else ["-k", "Rome"]))
    assert words(project.path / PENDING) == [("Bern", "rain"), ("Rome", "snow")]


def test_what_was_missing_is_added_when_it_is_accepted(project):
    text = """
        @pytest.mark.cassette(name="shared")
        @pytest.mark.parametrize("city", ["Rome", "Oslo"])
        def test_city(city):
            ask("rain in " + city)
            {more}
        """
    project.test(text.format(more=""))
    project.record()
    before = asked(project.path / TAPE)
    project.test(text.format(more="ask('snow in ' + city); assert city != 'Rome'"))
    run = project.record("--record-missing")
    assert (run.counts, run.changed) == ({"passed": 1, "failed": 1}, {TAPE, PENDING})
    assert asked(project.path / PENDING) == [("snow in Rome", node("Rome"))]
    accept(project, TAPE)
    assert asked(project.path / TAPE) == [*before, ("snow in Oslo", node("Oslo")), ("snow in Rome", node("Rome"))]
    assert "appends" not in (project.path / TAPE).read_text()


def test_a_tape_of_vcrpy_is_scrubbed_when_a_recording_is_accepted_onto_it(project):
    key = "sk-proj-old0123456789abcdefghijkl"
    project.write(
        TAPE,
        f"""
        interactions:
        - request: {{body: '', headers: {{authorization: [Bearer {key}]}}, method: GET, uri: 'https://x.example/{key}'}}
          response: {{body: {{string: other}}, headers: {{}}, status: {{code: 200, message: OK}}}}
        version: 1
        """,
    )
    project.test(SHARED.format(word="rain", failing=["Rome"]))
    assert project.record("--record", "-k", "Rome").changed == {PENDING}
    assert key in (project.path / TAPE).read_text()
    accept(project, PENDING)
    assert "https://x.example/__redacted__" in (project.path / TAPE).read_text()
    assert key not in (project.path / TAPE).read_text()
    assert len(storage.read(project.path / TAPE).interactions) == 2


def test_a_tape_that_is_damaged_is_not_accepted_onto(project):
    project.test(SHARED.format(word="rain", failing=["Rome"]))
    project.record("--record", "-k", "Rome")
    project.write(TAPE, "interactions: [")
    before = project.files()
    finished = CliRunner().invoke(app, ["accept", str(project.path)])
    assert finished.exit_code == 1
    assert "the cassette is damaged" in str(finished.exception)
    assert project.files() == before


def test_a_secret_that_one_test_allows_keeps_no_other_from_its_recording(project):
    project.test(
        """
        @pytest.mark.cassette(name="shared", allow_secrets=["sk-proj-docs0123456789abcdefghijkl"])
        def test_docs():
            ask("what is sk-proj-docs0123456789abcdefghijkl?")

        @pytest.mark.cassette(name="shared")
        def test_other():
            ask("other")
            assert False
        """
    )
    for _ in range(2):
        run = project.record("--record", "-p", "no:randomly")
        assert run.counts == {"passed": 1, "failed": 1}
    assert asked(project.path / PENDING) == [("other", "test_it.py::test_other")]
    accept(project, PENDING)
    assert [prompt for prompt, _ in asked(project.path / TAPE)] == [
        "what is sk-proj-docs0123456789abcdefghijkl?",
        "other",
    ]


@pytest.mark.parametrize(
    ("mark", "then", "outcome", "reason", "workers"),
    [
        ("xfail", "assert False", "xfailed", "call xfailed", ()),
        ("xfail", "assert False", "xfailed", "call xfailed", ("-n", "1")),
        ("xfail(strict=True)", "assert False", "xfailed", "call xfailed", ()),
        ("xfail(raises=KeyError)", "raise KeyError", "xfailed", "call xfailed", ()),
        ("xfail(raises=KeyError)", "assert False", "failed", "call failed", ()),
        ("xfail", "pass", "xpassed", None, ()),
        ("xfail(strict=True)", "pass", "failed", "call failed", ()),
        ("filterwarnings", "pytest.xfail('why')", "xfailed", "call xfailed", ()),
        ("filterwarnings", "pytest.skip('why')", "skipped", "call skipped", ()),
    ],
)
def test_a_test_that_did_not_pass_leaves_its_tape(project, mark, then, outcome, reason, workers):
    project.test(f"""
        @pytest.mark.cassette
        @pytest.mark.{mark}
        def test_ask():
            ask("x")
            {then}
        """)
    tape, pending = "cassettes/test_it/test_ask.yaml", "cassettes/test_it/test_ask.pending.yaml"
    run = project.record("--record", *workers, subprocess=bool(workers))
    assert (run.counts, run.changed) == ({outcome: 1}, {pending if reason else tape})
    if reason is None:
        return
    assert run.holds(f"""
        multitrack: pending: {pending}: {reason}
          to accept it: multitrack accept {pending}
        """)
    accept(project, pending)
    project.provider.stop()
    run = project.run()
    assert (run.counts, run.changed) == ({outcome: 1}, set())


RERUN = """
import pathlib

@pytest.fixture
def attempt():
    number = pathlib.Path("attempts.txt")
    number.touch()
    number.write_text(number.read_text() + ".")
    yield len(number.read_text())
    assert {teardown}

@pytest.mark.cassette(name="shared")
def test_ask(attempt):
    ask(f"attempt {{attempt}}")
    assert {call}

@pytest.mark.cassette(name="shared")
def test_other():
    ask("other")
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["alone", "xdist"])
@pytest.mark.parametrize("phase", ["call", "teardown"])
@pytest.mark.parametrize("good", [2, 9])
def test_of_reruns_the_last_attempt_counts(project, workers, phase, good):
    phases = {"call": "True", "teardown": "True"} | {phase: f"len(pathlib.Path('attempts.txt').read_text()) == {good}"}
    project.test(RERUN.format(**phases))
    run = project.record("--record", "--reruns", "1", *workers, subprocess=bool(workers))
    run.changed.discard("attempts.txt")
    told = [line for line in run.lines if line.startswith("multitrack: ") and not line.endswith(" live")]
    if good == 2:
        assert (run.code, run.changed) == (0, {TAPE})
        assert ("attempt 2", "test_it.py::test_ask") in asked(project.path / TAPE)
        assert told == ["multitrack: 2 tests used a cassette, 2 requests recorded in 1 cassette"]
    else:
        assert (run.code, run.changed) == (1, {TAPE, PENDING})
        assert asked(project.path / PENDING) == [("attempt 2", "test_it.py::test_ask")]
        reason = "call failed" if phase == "call" else "teardown failed: AssertionError"
        assert told == [
            "multitrack: 2 tests used a cassette, 1 request recorded in 1 cassette",
            f"multitrack: pending: {PENDING}: {reason}",
        ]
