"""``multitrack rebind`` and ``multitrack mv --find``, with facts about a run that the tests write themselves."""

from __future__ import annotations

import json
import subprocess

import pytest
from command_line import run_multitrack

from multitrack.run_facts import ChangedRequest, RunFacts, StoredRequest, UsedCassette, digest_file
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.interaction import Interaction

URL = "https://api.openai.com/v1/chat/completions"
JSON = (("content-type", "application/json"),)
ANSWER = {"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
METADATA = {"format": 1, "recorder": "multitrack 0.1.0"}
PLAN, OTHER = "test_trip.py::test_plan", "test_trip.py::test_other"
CASSETTE = "cassettes/test_trip/test_plan.yaml"


def body(text):
    return json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})


class Run:
    """A project after a run of pytest."""

    def __init__(self, root):
        self.root = root
        self.path = root / CASSETTE
        self.misses = []
        (root / "pyproject.toml").write_text("")

    def record(self, *tests, text="Hello, world", path=CASSETTE):
        request = Request("POST", URL, JSON, body(text).encode())
        interaction = Interaction(request, Response(200, "OK", JSON, json.dumps(ANSWER).encode()), tests)
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dump_cassette(Cassette((interaction,), METADATA)))

    def miss(self, test, text, **facts):
        stored = StoredRequest.from_body("POST", URL, JSON, body(text).encode())
        facts = {"nearest": 1, "is_only_wording": True, "request": stored, **facts}
        self.misses.append(ChangedRequest(test, CASSETTE, **facts))

    def multitrack(self, *arguments):
        digest = digest_file(self.path)
        used = {} if digest is None else {CASSETTE: UsedCassette(digest, [])}
        file = self.root / ".pytest_cache/v/multitrack/run"
        if not file.exists():
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(RunFacts(cassettes=used, misses=self.misses).to_plain()))
        return run_multitrack(*arguments, cwd=self.root)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_other_tests_keep_the_recorded_request(run):
    run.record(PLAN, OTHER)
    run.miss(PLAN, "Hello world")
    assert run.multitrack("rebind", PLAN).returncode == 0
    shown = json.loads(run.multitrack("show", "--json", "--request", CASSETTE).stdout)
    facts = [
        (one["tests"], one["rebound"], one["request"]["messages"][0]["text"])
        for one in shown["cassettes"][0]["interactions"]
    ]
    assert facts == [([OTHER], False, "Hello, world"), ([PLAN], True, "Hello world")]


def test_tests_with_the_same_new_request_share_it(run):
    run.record(PLAN, OTHER)
    run.miss(PLAN, "Hello world")
    run.miss(OTHER, "Hello world")
    assert run.multitrack("rebind").returncode == 0
    (interaction,) = json.loads(run.multitrack("show", "--json", CASSETTE).stdout)["cassettes"][0]["interactions"]
    assert interaction["tests"] == [PLAN, OTHER]
    assert interaction["rebound"]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"is_only_wording": False}, f"{PLAN}: the request differs in more than its wording"),
        ({"nearest": None}, f"{PLAN}: the request has no recording"),
        ({"moved_from": (OTHER, PLAN)}, f"{PLAN}: the request is recorded in the cassette of {OTHER}"),
        (
            {"request": None},
            f"{PLAN}: the last run did not store this request, because the run had too many large requests",
        ),
    ],
)
def test_a_request_that_cannot_be_rebound_is_a_problem(run, facts, message):
    run.record(PLAN)
    run.miss(PLAN, "Hello world", **facts)
    before = run.path.read_bytes()
    done = run.multitrack("rebind", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["changes"] == []
    assert [one["message"].partition("\n")[0] for one in report["problems"]] == [message]
    assert run.path.read_bytes() == before


def test_nothing_to_rebind(run):
    run.record(PLAN)
    done = run.multitrack("rebind")
    assert done.returncode == 0
    assert done.stdout == "no test of the last run sent a request with a new wording\n"


@pytest.mark.parametrize("name", ["test_trip.py", "test_trip.py::test_plan", "."])
def test_tests_are_selected_by_file_and_name(run, name):
    run.record("test_trip.py::test_plan[fr]")
    run.miss("test_trip.py::test_plan[fr]", "Hello world")
    assert run.multitrack("rebind", name, "--dry-run").stdout.endswith(f"would change {CASSETTE}\n")


@pytest.mark.slow
def test_uncommitted_changes_need_force(run):
    run.record(PLAN)
    for command in (["init", "-q"], ["add", "cassettes"]):
        subprocess.run(["git", *command], cwd=run.root, check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, "commit", "-qm", "Record"], cwd=run.root, check=True)
    run.record(PLAN, text="Hello, you")
    run.miss(PLAN, "Hello world")
    refused = run.multitrack("rebind")
    assert refused.returncode == 1
    assert f"uncommitted changes in {CASSETTE}" in refused.stderr
    assert run.multitrack("rebind", "--force").returncode == 0
    assert b"rebound: true" in run.path.read_bytes()


def test_mv_finds_only_what_can_move(run):
    run.record("test_trip.py::test_old", path="cassettes/test_trip/test_old.yaml")
    run.record("test_trip.py::test_older", path="cassettes/test_trip/test_older.yaml")
    run.record("test_trip.py::test_newer", path="cassettes/test_trip/test_newer.yaml")
    for name, new in (("test_old", "test_plan"), ("test_older", "test_newer"), ("test_gone", "test_x")):
        run.miss(f"test_trip.py::{new}", "x", moved_from=(f"test_trip.py::{name}", f"test_trip.py::{new}"))
    done = run.multitrack("mv", "--find")
    assert done.returncode == 1
    assert done.stdout == "multitrack mv test_trip.py::test_old test_trip.py::test_plan\n"
    assert "test_newer.yaml: this file already exists" in done.stderr
    report = json.loads(run.multitrack("mv", "--find", "--json").stdout)
    assert report["commands"] == ["multitrack mv test_trip.py::test_old test_trip.py::test_plan"]
    assert [one["path"] for one in report["problems"]] == ["test_trip.py::test_older"]


def test_nothing_to_move(run):
    done = run.multitrack("mv", "--find")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "no renamed test found: no cassette of a removed test contains the requests that missed"
    )


@pytest.mark.parametrize("arguments", [("mv",), ("mv", PLAN), ("mv", "--find", PLAN)])
def test_wrong_arguments_of_mv(run, arguments):
    assert run.multitrack(*arguments).returncode == 2
