"""Pending recordings of a shared cassette: none is lost, and none overwrites a later recording."""

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


def read_prompts(path):
    """Return each recorded prompt with the tests that recorded it, in order."""
    return [
        (json.loads(one.request.body)["messages"][0]["content"], *one.tests) for one in storage.read(path).interactions
    ]


def read_cities(path):
    """Return the city and the word of each prompt of ``SHARED``, sorted by city."""
    return sorted((prompt.split()[2], prompt.split()[0]) for prompt, _ in read_prompts(path))


def accept(project, *names):
    finished = CliRunner().invoke(app, ["accept", *(str(project.path / name) for name in names)])
    assert finished.exit_code == 0, finished.output
    return finished.output


def read_summary(run):
    """Return the summary's lines. A run that takes longer than ten seconds also prints its progress."""
    lines = [line for line in run.lines if line.startswith("multitrack: ")]
    return [line for line in lines if not line.endswith(" live") and not line.startswith("multitrack: recording: ")]


@pytest.mark.parametrize("flags", [(), ("-n", "2"), ("-n", "1", "--dist", "loadfile")], ids=["alone", "xdist", "file"])
def test_pending_recordings_of_several_tests_and_workers_are_merged(project, flags):
    project.use_httpx()
    project.write_test(SHARED.format(word="rain", failing=["Rome", "Bern"]))
    run = project.record("--record", *flags)
    assert run.counts == {"passed": 2, "failed": 2}
    assert run.changed == {TAPE, PENDING}
    assert read_cities(project.path / TAPE) == [("Graz", "rain"), ("Oslo", "rain")]
    assert read_cities(project.path / PENDING) == [("Bern", "rain"), ("Rome", "rain")]
    summary = read_summary(run)
    assert summary[0] == "multitrack: 4 tests used a cassette, 2 requests recorded in 1 cassette"
    assert sorted(summary[1:]) == [
        f"multitrack: pending: {PENDING}: the test failed ({node(city)})" for city in ("Bern", "Rome")
    ]
    assert f"  to accept them: multitrack accept {PENDING}" in run.lines

    # accepting keeps what a test has recorded in the meantime
    project.write_test(SHARED.format(word="snow", failing=[]))
    assert project.record("--record", "-k", "Oslo or Bern").changed == {TAPE, PENDING}
    assert read_cities(project.path / PENDING) == [("Rome", "rain")]
    assert accept(project, PENDING) == f"accepted {project.path / TAPE}\n"
    assert read_cities(project.path / TAPE) == [("Bern", "snow"), ("Graz", "rain"), ("Oslo", "snow"), ("Rome", "rain")]
    assert not (project.path / PENDING).exists()


def test_a_later_pending_recording_replaces_the_earlier_one(project):
    for word in ("rain", "snow"):
        project.write_test(SHARED.format(word=word, failing=["Rome", "Bern"]))
        project.record("--record", *([] if word == "rain" else ["-k", "Rome"]))
    assert read_cities(project.path / PENDING) == [("Bern", "rain"), ("Rome", "snow")]


def test_accepting_a_record_missing_run_appends(project):
    text = """
        @pytest.mark.cassette(name="shared")
        @pytest.mark.parametrize("city", ["Rome", "Oslo"])
        def test_city(city):
            ask("rain in " + city)
            {more}
        """
    project.write_test(text.format(more=""))
    project.record()
    before = read_prompts(project.path / TAPE)
    project.write_test(text.format(more="ask('snow in ' + city); assert city != 'Rome'"))
    run = project.record("--record-missing")
    assert run.counts == {"passed": 1, "failed": 1}
    assert run.changed == {TAPE, PENDING}
    assert read_prompts(project.path / PENDING) == [("snow in Rome", node("Rome"))]
    accept(project, TAPE)
    assert read_prompts(project.path / TAPE) == [
        *before,
        ("snow in Oslo", node("Oslo")),
        ("snow in Rome", node("Rome")),
    ]
    assert "appends" not in (project.path / TAPE).read_text()


def test_accepting_into_a_vcrpy_cassette_redacts_it(project):
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
    project.write_test(SHARED.format(word="rain", failing=["Rome"]))
    assert project.record("--record", "-k", "Rome").changed == {PENDING}
    assert key in (project.path / TAPE).read_text()
    accept(project, PENDING)
    assert "https://x.example/__redacted__" in (project.path / TAPE).read_text()
    assert key not in (project.path / TAPE).read_text()
    assert len(storage.read(project.path / TAPE).interactions) == 2


def test_accepting_into_a_damaged_cassette_fails(project):
    project.write_test(SHARED.format(word="rain", failing=["Rome"]))
    project.record("--record", "-k", "Rome")
    project.write(TAPE, "interactions: [")
    before = project.read_files()
    finished = CliRunner().invoke(app, ["accept", str(project.path)])
    assert finished.exit_code == 1
    assert "the cassette is damaged" in finished.output
    after = project.read_files()
    assert {name: after.get(name) for name in before} == before


def test_a_secret_that_one_test_allows_does_not_block_other_recordings(project):
    project.write_test(
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
    assert read_prompts(project.path / PENDING) == [("other", "test_it.py::test_other")]
    accept(project, PENDING)
    assert [prompt for prompt, _ in read_prompts(project.path / TAPE)] == [
        "what is sk-proj-docs0123456789abcdefghijkl?",
        "other",
    ]


@pytest.mark.parametrize(
    ("mark", "then", "outcome", "reason", "workers"),
    [
        ("xfail", "assert False", "xfailed", "the test xfailed", ()),
        ("xfail", "assert False", "xfailed", "the test xfailed", ("-n", "1")),
        ("xfail(strict=True)", "assert False", "xfailed", "the test xfailed", ()),
        ("xfail(raises=KeyError)", "raise KeyError", "xfailed", "the test xfailed", ()),
        ("xfail(raises=KeyError)", "assert False", "failed", "the test failed", ()),
        ("xfail", "pass", "xpassed", None, ()),
        ("xfail(strict=True)", "pass", "failed", "the test failed", ()),
        ("filterwarnings", "pytest.xfail('why')", "xfailed", "the test xfailed", ()),
        ("filterwarnings", "pytest.skip('why')", "skipped", "the test was skipped", ()),
    ],
)
def test_the_recording_of_a_test_that_did_not_pass_is_pending(project, mark, then, outcome, reason, workers):
    project.use_httpx()
    project.write_test(f"""
        @pytest.mark.cassette
        @pytest.mark.{mark}
        def test_ask():
            ask("x")
            {then}
        """)
    tape, pending = "cassettes/test_it/test_ask.yaml", "cassettes/test_it/test_ask.pending.yaml"
    run = project.record("--record", *workers)
    assert run.counts == {outcome: 1}
    assert run.changed == {pending if reason else tape}
    if reason is None:
        return
    assert run.has_lines(f"""
        multitrack: pending: {pending}: {reason}
          to accept it: multitrack accept {pending}
        """)
    accept(project, pending)
    project.provider.stop()
    run = project.run()
    assert run.counts == {outcome: 1}
    assert run.changed == set()


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


@pytest.mark.parametrize("workers", [(), ("-n", "1", "--dist", "loadfile")], ids=["alone", "xdist"])
@pytest.mark.parametrize("phase", ["call", "teardown"])
@pytest.mark.parametrize("good", [2, 9])
def test_the_last_rerun_counts(project, workers, phase, good):
    project.use_httpx()
    phases = {"call": "True", "teardown": "True"} | {phase: f"len(pathlib.Path('attempts.txt').read_text()) == {good}"}
    project.write_test(RERUN.format(**phases))
    run = project.record("--record", "--reruns", "1", *workers)
    run.changed.discard("attempts.txt")
    summary = read_summary(run)
    if good == 2:
        assert run.code == 0
        assert run.changed == {TAPE}
        assert ("attempt 2", "test_it.py::test_ask") in read_prompts(project.path / TAPE)
        assert summary == ["multitrack: 2 tests used a cassette, 2 requests recorded in 1 cassette"]
    else:
        assert run.code == 1
        assert run.changed == {TAPE, PENDING}
        assert read_prompts(project.path / PENDING) == [("attempt 2", "test_it.py::test_ask")]
        reason = "the test failed" if phase == "call" else "teardown failed: AssertionError"
        assert summary == [
            "multitrack: 2 tests used a cassette, 1 request recorded in 1 cassette",
            f"multitrack: pending: {PENDING}: {reason}",
        ]
