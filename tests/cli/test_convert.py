"""``multitrack convert``: cassettes of other recorders in Multitrack's format, and ``multitrack reject``."""

from __future__ import annotations

import json

import pytest
import vcr
import yaml
from command_line import run_multitrack

KEY = "sk-proj-" + "a1B2" * 10
INTERACTION = {
    "request": {
        "method": "POST",
        "uri": "https://api.openai.com/v1/chat/completions",
        "body": '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}',
        "headers": {"authorization": [f"Bearer {KEY}"], "content-type": ["application/json"]},
    },
    "response": {
        "status": {"code": 200, "message": "OK"},
        "headers": {
            "content-type": ["application/json"],
            "x-request-id": ["req_1"],
            "set-cookie": ["session=abc123xyz"],
        },
        "body": {
            "string": '{"object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"finish_reason":"stop",'
            '"message":{"role":"assistant","content":"hello"}}]}'
        },
    },
}
RECORDED = {"interactions": [INTERACTION], "version": 1}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "test_trip.py").write_text("def test_plan():\n    pass\n")
    (tmp_path / "cassettes" / "test_trip").mkdir(parents=True)
    return tmp_path


def write(folder, name, text):
    path = folder / "cassettes" / "test_trip" / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def collected(monkeypatch):
    """Collect no tests in another process: the names of the tests are unknown then."""

    def collect_tests(_):
        raise ValueError

    monkeypatch.setattr("multitrack.reporting.collected_tests.collect_tests", collect_tests)


@pytest.mark.usefixtures("collected")
def test_a_cassette_of_vcrpy(folder):
    path = write(folder, "test_plan.yaml", yaml.dump(RECORDED))
    done = run_multitrack("convert", "cassettes", cwd=folder)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "change cassettes/test_trip/test_plan.yaml",
        "1 cassette converted, 0 already in this format",
    ]
    text = path.read_text()
    assert text.startswith("# 1 · openai.chat gpt-4o-mini")
    assert '      {\n        "model": "gpt-4o-mini",\n' in text
    assert KEY not in text
    assert "abc123xyz" not in text
    assert "x-request-id: [req_1]" in text

    again = run_multitrack("convert", "cassettes", cwd=folder)
    assert again.stdout == "0 cassettes converted, 1 already in this format\n"


@pytest.mark.usefixtures("collected")
def test_vcrpy_still_reads_a_converted_cassette(folder):
    path = write(folder, "test_plan.yaml", yaml.dump(RECORDED))
    run_multitrack("convert", str(path), cwd=folder)
    with vcr.use_cassette(str(path), record_mode="none") as cassette:
        assert [request.uri for request in cassette.requests] == ["https://api.openai.com/v1/chat/completions"]
        assert json.loads(cassette.responses[0]["body"]["string"])["model"] == "gpt-4o-mini"


@pytest.mark.usefixtures("collected")
def test_a_json_cassette_becomes_yaml(folder):
    write(folder, "test_plan.json", json.dumps(RECORDED))
    done = run_multitrack("convert", "cassettes", cwd=folder)
    assert done.stdout.splitlines()[0] == (
        "move cassettes/test_trip/test_plan.json to cassettes/test_trip/test_plan.yaml"
    )
    assert [file.name for file in (folder / "cassettes" / "test_trip").iterdir()] == ["test_plan.yaml"]


@pytest.mark.usefixtures("collected")
def test_cassettes_that_cannot_be_converted_are_listed(folder):
    write(folder, "test_a.yaml", "interactions: [1]\nversion: 1\n")
    write(folder, "test_b.json", json.dumps(RECORDED))
    write(folder, "test_b.yaml", yaml.dump(RECORDED))
    done = run_multitrack("convert", "cassettes", "--json", cwd=folder)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [change["path"] for change in report["changes"]] == ["cassettes/test_trip/test_b.yaml"]
    assert [problem["path"].rpartition("/")[2] for problem in report["problems"]] == ["test_a.yaml", "test_b.json"]
    assert "already exists\n  delete one of the two files" in report["problems"][1]["message"]


def test_a_missing_path(folder):
    done = run_multitrack("convert", "nowhere", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == "multitrack: nowhere: there is no such cassette\n"
    assert run_multitrack("convert", cwd=folder).returncode == 2


@pytest.mark.slow
def test_the_test_of_a_default_cassette_is_stored(folder):
    path = write(folder, "test_plan.yaml", yaml.dump(RECORDED))
    shared = write(folder, "shared.yaml", yaml.dump(RECORDED))
    run_multitrack("convert", "cassettes", cwd=folder)
    assert "  tests: ['test_trip.py::test_plan']\n" in path.read_text()
    assert "  tests: []\n" in shared.read_text()


def test_reject_removes_pending_recordings(folder):
    cassette = write(folder, "test_plan.yaml", "kept")
    pending = write(folder, "test_plan.pending.yaml", "new")
    other = write(folder, "test_other.pending.yaml", "other")
    assert run_multitrack("reject", "--dry-run", str(cassette), cwd=folder).stdout == (
        "would remove cassettes/test_trip/test_plan.pending.yaml\n"
    )
    done = run_multitrack("reject", "cassettes/test_trip/test_plan.yaml", cwd=folder)
    assert done.stdout == "remove cassettes/test_trip/test_plan.pending.yaml\n"
    assert not pending.exists()
    assert cassette.read_text() == "kept"

    run_multitrack("undo", cwd=folder)
    assert pending.read_text() == "new"

    run_multitrack("reject", cwd=folder)
    assert not pending.exists()
    assert not other.exists()
    assert run_multitrack("reject", cwd=folder).stderr == ("multitrack: there are no pending recordings in cassettes\n")


def test_undo_without_a_change(folder):
    done = run_multitrack("undo", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == f"multitrack: there is no change to undo in {folder}\n"


def test_accept_can_show_what_it_would_do_and_can_be_undone(folder):
    cassette = folder / "cassettes" / "test_trip" / "test_plan.yaml"
    request = {"method": "GET", "uri": "http://127.0.0.1/", "headers": {}, "body": ""}
    response = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "yes"}}
    interaction = {
        "request": request,
        "response": response,
        "provenance": "local",
        "tests": ["test_trip.py::test_plan"],
    }
    document = {"version": 1, "interactions": [interaction], "metadata": {"format": 1, "provenance": "local"}}
    pending = write(folder, "test_plan.pending.yaml", yaml.safe_dump(document))

    planned = run_multitrack("accept", "--dry-run", cwd=folder)
    assert planned.stdout == "would accept cassettes/test_trip/test_plan.yaml\n"
    assert not cassette.exists()

    done = run_multitrack("accept", "--json", cwd=folder)
    assert json.loads(done.stdout) == {
        "command": "accept",
        "dry_run": False,
        "changes": [{"action": "accept", "path": "cassettes/test_trip/test_plan.yaml"}],
        "problems": [],
    }
    assert cassette.exists()
    assert not pending.exists()

    run_multitrack("undo", cwd=folder)
    assert not cassette.exists()
    assert pending.exists()
