"""Tests that ask Anthropic: recorded, replayed without a key, explained when they miss, compared with live answers."""

import json

import pytest
from local_provider import STREAM, ProviderAnswer

pytest.importorskip("anthropic")
pytestmark = pytest.mark.slow

PREAMBLE = '''
import os
from collections.abc import Iterable

import anthropic
import pytest
from pydantic import BaseModel

import multitrack


class Weather(BaseModel):
    """{description}"""

    location: str


class {search}(BaseModel):
    query: str


client = multitrack.from_anthropic(anthropic.Anthropic(base_url={url!r}, max_retries=0, **{key}))


def plan(**arguments):
    arguments = dict(system={system!r}, max_retries=1) | arguments
    return client.messages.create(
        model="claude-sonnet-5", max_tokens=1024, response_model=Iterable[Weather | {search}],
        messages=[dict(role="user", content="plan")], **arguments,
    )
'''
TEST = """
@pytest.mark.cassette
def test_plan():
    assert plan() == [Weather(location="Toronto"), Search(query="news")]
"""
STREAMED = """
@pytest.mark.cassette
def test_plan():
    stream = plan(stream=True, max_retries=0)
    assert list(stream) == [Weather(location="Toronto"), Search(query="news")]
"""
KEY = "sk-ant-api03-" + "aB3_x9-Q" * 11 + "AA"


class AnthropicModel:
    """Answers with ``calls``, or first with ``bad`` calls. Never uses an id twice."""

    def __init__(self, calls):
        self.calls = calls
        self.bad = None
        self.count = 0
        self.requests = []

    def __call__(self, request):
        self.count += 1
        self.requests.append(request)
        is_first = len(request.json["messages"]) == 1
        calls = self.bad if self.bad and is_first else self.calls
        thinking = {"type": "thinking", "thinking": "Hm.", "signature": f"c2lnbmF0dXJl{self.count}"}
        uses = [
            {"type": "tool_use", "id": f"toolu_{self.count}_{n}", "name": name, "input": fields}
            for n, (name, fields) in enumerate(calls)
        ]
        message = {
            "id": f"msg_{self.count}",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-5",
            "content": [thinking, *uses],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 9},
        }
        if not request.json.get("stream"):
            return ProviderAnswer(json.dumps(message).encode())
        return ProviderAnswer(stream_message(message), headers=STREAM)


def stream_message(message):
    events = [{"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}]
    for index, block in enumerate(message["content"]):
        deltas = []
        if block["type"] == "tool_use":
            text = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:9], text[9:])]
            block = {**block, "input": {}}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}})
    # Anthropic fills the last event with spaces
    end = b'event: message_stop\ndata: {"type":"message_stop"       }\n\n'
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events) + end


@pytest.fixture
def model(project):
    project.provider.reply = model = AnthropicModel(
        [("Weather", {"location": "Toronto"}), ("Search", {"query": "news"})]
    )
    return model


def write(project, test=TEST, *, key="dict(api_key=os.environ.get('ANTHROPIC_API_KEY'))", **changed):
    names = {
        "search": "Search",
        "description": "The weather at a place.",
        "system": "Use tools.",
        "url": project.provider.url,
        **changed,
    }
    project.write_test(PREAMBLE.format(key=key, **names) + test)


def record(project, test=TEST):
    write(project, test, key=f"dict(api_key={KEY!r})")
    run = project.record()
    assert run.code == 0, run.out
    write(project, test)


def read_cassette(project):
    [text] = [content for name, content in project.read_files().items() if name.endswith(".yaml")]
    return text.decode()


@pytest.mark.parametrize("test", [TEST, STREAMED], ids=["plain", "stream"])
def test_a_recorded_test_replays_without_a_key(project, model, test):
    record(project, test)
    sent = model.count
    run = project.run()
    assert run.code == 0, run.out
    assert model.count == sent


def test_a_cassette_has_no_key(project, model):
    record(project)
    assert KEY not in read_cassette(project)


def test_a_recorded_stream_is_complete_although_the_client_left_at_its_end(project, model):
    record(project, STREAMED)
    assert "ending:" not in read_cassette(project)


def test_without_a_cassette_the_test_misses(project, model):
    write(project)
    run = project.run()
    assert run.code == 1
    assert "CassetteMiss" in run.out


def test_a_retry_replays_with_its_signature(project, model):
    model.bad = [("Weather", {"location": "Toronto"}), ("Search", {"question": "news"})]
    model.calls = [("Search", {"query": "news"})]
    record(project)
    answer = model.requests[1].json["messages"][1]["content"]
    assert answer[0]["signature"] == "c2lnbmF0dXJl1"
    results = model.requests[1].json["messages"][2]["content"]
    assert [result.get("is_error", False) for result in results] == [False, True]
    run = project.run()
    assert run.code == 0, run.out


def test_a_changed_system_prompt_is_shown(project, model):
    record(project)
    write(project, system="Use tools in German.")
    run = project.run()
    assert "    $.system" in run.lines
    assert any("Use tools in German." in line for line in run.lines)


def test_a_renamed_tool_is_shown(project, model):
    record(project)
    write(project, TEST.replace("Search(", "Find("), search="Find")
    run = project.run()
    assert run.code == 1
    assert any("Find" in line and "tool" in line for line in run.lines), run.out


def test_a_changed_schema_of_a_tool_is_shown(project, model):
    record(project)
    write(project, description="The weather in a city.")
    run = project.run()
    assert any("description" in line and "tools" in line for line in run.lines), run.out


def test_a_drift_run_compares_the_calls_and_not_the_ids(project, model):
    record(project)
    write(project, key=f"dict(api_key={KEY!r})")
    assert "arguments changed" not in project.record("--calls-drift").out
    model.calls = [("Weather", {"location": "Dallas"}), ("Search", {"query": "news"})]
    run = project.record("--calls-drift")
    assert "arguments changed" in run.out, run.out


def test_the_summary_of_a_cassette_names_the_calls(project, model):
    record(project)
    assert read_cassette(project).startswith(
        "# 1 · anthropic claude-sonnet-5 · 2 calls\n#   Weather(location='Toronto')\n#   Search(query='news')\n"
    )
