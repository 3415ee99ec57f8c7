"""``--json`` of ``multitrack show`` and ``multitrack check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run_multitrack

from multitrack.tape.exchange import Request, Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.interaction import Interaction

REQUEST = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [{"type": "function", "function": {"name": "Weather", "parameters": {}}}],
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "Weather", "arguments": '{"location": "Toronto"}'}}
ANSWER = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}],
}
JSON = (("content-type", "application/json"),)


@pytest.fixture
def folder(tmp_path):
    """A folder with a cassette and a damaged one."""
    interaction = Interaction(
        Request("POST", "https://api.openai.com/v1/chat/completions", JSON, json.dumps(REQUEST).encode()),
        Response(200, "OK", JSON, json.dumps(ANSWER).encode()),
        rebound=True,
    )
    cassettes = tmp_path / "cassettes"
    cassettes.mkdir()
    metadata = {"format": 1, "recorder": "multitrack 0.1.0", "recorded_at": "2020-01-02T03:04:05+00:00"}
    (cassettes / "good.yaml").write_text(dump_cassette(Cassette((interaction,), metadata)))
    (cassettes / "bad.yaml").write_text("{")
    return tmp_path


def test_show(folder):
    done = run_multitrack("show", "--json", "cassettes", cwd=folder)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["command"] == "show"
    bad, good = report["cassettes"]
    assert bad["path"] == str(Path("cassettes/bad.yaml"))
    assert bad["problem"].startswith("cassettes/bad.yaml, line 2: the cassette is damaged: ")
    assert good["provenance"] == "live"
    assert good["recorded_at"] == "2020-01-02T03:04:05+00:00"
    (interaction,) = good["interactions"]
    assert interaction["position"] == 1
    assert interaction["rebound"] is True
    assert interaction["request"]["model"] == "gpt-4o-mini"
    assert "messages" not in interaction["request"]
    assert interaction["answer"]["wire"] == "openai.chat"
    (call,) = interaction["answer"]["calls"]
    assert call["tool"] == "Weather"
    assert call["arguments"] == {"location": "Toronto"}


def test_show_with_requests(folder):
    done = run_multitrack("show", "--json", "--request", "cassettes/good.yaml", cwd=folder)
    assert done.returncode == 0
    (interaction,) = json.loads(done.stdout)["cassettes"][0]["interactions"]
    assert interaction["request"]["messages"] == [{"role": "user", "text": "Hi"}]


def test_show_marks_a_rebound_interaction(folder):
    done = run_multitrack("show", "cassettes/good.yaml", cwd=folder)
    assert done.stdout.splitlines()[0] == "1 · openai.chat gpt-4o-mini · 1 call · rebound"


def test_textconv_is_not_json(folder):
    done = run_multitrack("show", "--json", "--textconv", "cassettes/good.yaml", cwd=folder)
    assert done.returncode == 2


def test_check(folder):
    done = run_multitrack("check", "--json", "--max-age", "30", "cassettes", cwd=folder)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["command"] == "check"
    assert report["cassettes"] == 2
    assert report["pending"] == 0
    damaged, old = report["problems"]
    assert damaged["path"] == str(Path("cassettes/bad.yaml"))
    assert damaged["kind"] == "damaged"
    assert damaged["line"] == 2
    assert old["kind"] == "old"
    assert old["message"].endswith("max_age is 30 days")


def test_check_without_problems(folder):
    done = run_multitrack("check", "--json", "cassettes/good.yaml", cwd=folder)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"command": "check", "cassettes": 1, "problems": [], "pending": 0}
