"""Tests that ask Amazon Bedrock: recorded, replayed without credentials, explained when they miss, compared live."""

import json

import pytest
from local_provider import ProviderAnswer

from multitrack.wires.event_stream import write_message

pytest.importorskip("boto3")
pytestmark = pytest.mark.slow

PREAMBLE = '''
from collections.abc import Iterable

import boto3
import pytest
from botocore.config import Config
from pydantic import BaseModel

import multitrack


class Weather(BaseModel):
    """{description}"""

    location: str


class {search}(BaseModel):
    query: str


config = Config(retries=dict(total_max_attempts=1))
client = multitrack.from_bedrock(boto3.client("bedrock-runtime", endpoint_url={url!r}, config=config))


def plan(**arguments):
    return client.create(
        modelId="amazon.nova-pro-v1:0", response_model=Iterable[Weather | {search}], system=[dict(text={system!r})],
        messages=[dict(role="user", content=[dict(text="plan")])], **arguments,
    )
'''
TEST = """
@pytest.mark.cassette
def test_plan(calls_snapshot):
    extraction = plan(max_retries=1)
    assert extraction == [Weather(location="Toronto"), Search(query="news")]
    assert extraction == calls_snapshot
"""
STREAMED = """
@pytest.mark.cassette
def test_plan():
    stream = plan(stream=True)
    assert list(stream) == [Weather(location="Toronto"), Search(query="news")]
"""
BROKEN = """
@pytest.mark.cassette(keep_errors=True)
def test_plan():
    with pytest.raises(multitrack.errors.StreamBroken, match="throttlingException"):
        list(plan(stream=True))
"""
REFUSED = """
@pytest.mark.cassette(keep_errors=True)
def test_plan():
    with pytest.raises(client.client.exceptions.ThrottlingException, match="Too many requests"):
        plan()
"""
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYAA"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPL2",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "eu-west-1",
}


class BedrockModel:
    """Answers with ``calls``, or first with ``bad`` calls. Never uses an id twice."""

    def __init__(self):
        self.calls = [("Weather", {"location": "Toronto"}), ("Search", {"query": "news"})]
        self.bad = None
        self.is_throttled = False
        self.count = 0
        self.requests = []

    def __call__(self, request):
        self.count += 1
        self.requests.append(request)
        is_first = len(request.json["messages"]) == 1
        calls = self.bad if self.bad and is_first else self.calls
        thought = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": f"c2lnbmF0dXJl{self.count}"}}}
        uses = [
            {"toolUse": {"toolUseId": f"tooluse_{self.count}_{n}", "name": name, "input": fields}}
            for n, (name, fields) in enumerate(calls)
        ]
        if request.path.endswith("/converse-stream"):
            return ProviderAnswer(
                b"".join(self.stream([thought, *uses])), headers={"content-type": "application/vnd.amazon.eventstream"}
            )
        if self.is_throttled:
            headers = {"content-type": "application/json", "x-amzn-ErrorType": "ThrottlingException:http://internal"}
            return ProviderAnswer(b'{"message":"Too many requests"}', 429, headers)
        message = {"role": "assistant", "content": [thought, *uses]}
        usage = {"inputTokens": 9, "outputTokens": 9, "totalTokens": 18}
        answer = {"output": {"message": message}, "stopReason": "tool_use", "usage": usage, "metrics": {"latencyMs": 1}}
        return ProviderAnswer(json.dumps(answer).encode())

    def stream(self, blocks):
        yield write_event("messageStart", role="assistant")
        for index, block in enumerate(blocks):
            if use := block.get("toolUse"):
                start = {key: use[key] for key in ("toolUseId", "name")}
                yield write_event("contentBlockStart", contentBlockIndex=index, start={"toolUse": start})
                text = json.dumps(use["input"])
                deltas = [{"toolUse": {"input": piece}} for piece in (text[:9], text[9:])]
            else:
                fields = block["reasoningContent"]["reasoningText"]
                deltas = [{"reasoningContent": {key: value}} for key, value in fields.items()]
            for delta in deltas:
                yield write_event("contentBlockDelta", contentBlockIndex=index, delta=delta)
            yield write_event("contentBlockStop", contentBlockIndex=index)
        if self.is_throttled:
            headers = {":message-type": "exception", ":exception-type": "throttlingException"}
            yield write_message({**headers, ":content-type": "application/json"}, b'{"message":"Too many requests"}')
            return
        yield write_event("messageStop", stopReason="tool_use")
        usage = {"inputTokens": 9, "outputTokens": 9, "totalTokens": 18}
        yield write_event("metadata", usage=usage, metrics={"latencyMs": 1})


def write_event(name, **fields):
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return write_message(headers, json.dumps(fields).encode())


@pytest.fixture
def model(project):
    project.provider.reply = model = BedrockModel()
    return model


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch):
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)


def write(project, test=TEST, **changed):
    names = {
        "search": "Search",
        "description": "The weather at a place.",
        "system": "Use tools.",
        "url": project.provider.url,
        **changed,
    }
    project.write_test(PREAMBLE.format(**names) + test)


def record(project, monkeypatch, *options, test=TEST):
    write(project, test)
    with monkeypatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        return project.record(*options)


def read_cassette(project):
    [text] = [content for name, content in project.read_files().items() if name.endswith(".yaml")]
    return text.decode()


def test_a_recorded_retry_replays_without_credentials(project, model, monkeypatch):
    model.bad = [("Weather", {"location": "Toronto"}), ("Search", {"question": "news"})]
    model.calls = [("Search", {"query": "news"})]
    run = record(project, monkeypatch, "--record", "--snapshot-update")
    assert run.code == 0, run.out
    answer, results = (message["content"] for message in model.requests[1].json["messages"][1:3])
    assert answer[0]["reasoningContent"]["reasoningText"]["signature"] == "c2lnbmF0dXJl1"
    assert [block["toolResult"].get("status") for block in results] == [None, "error"]
    cassette = read_cassette(project)
    assert cassette.startswith("# 1 · bedrock amazon.nova-pro-v1:0 · 2 calls\n#   Weather(location='Toronto')\n")
    assert SECRET not in cassette
    assert "AKIA" not in cassette
    sent = model.count
    run = project.run()
    assert run.code == 0, run.out
    assert model.count == sent


def test_a_recorded_stream_replays_without_credentials(project, model, monkeypatch):
    run = record(project, monkeypatch, test=STREAMED)
    assert run.code == 0, run.out
    cassette = read_cassette(project)
    assert cassette.startswith("# 1 · bedrock.stream amazon.nova-pro-v1:0 · 2 calls\n")
    assert "ending:" not in cassette
    run = project.run()
    assert run.code == 0, run.out


@pytest.mark.parametrize("test", [BROKEN, REFUSED], ids=["exception in a stream", "429"])
def test_a_recorded_error_replays(project, model, monkeypatch, test):
    model.is_throttled = True
    run = record(project, monkeypatch, test=test)
    assert run.code == 0, run.out
    first = read_cassette(project).partition("\n")[0]
    assert first.startswith("# 1 · bedrock")
    assert first.endswith("Too many requests")
    run = project.run()
    assert run.code == 0, run.out


def test_a_miss_and_a_drift_run_explain_what_changed(project, model, monkeypatch):
    assert record(project, monkeypatch, "--record", "--snapshot-update").code == 0
    assert "arguments changed" not in record(project, monkeypatch, "--calls-drift").out
    model.calls = [("Weather", {"location": "Dallas"}), ("Search", {"query": "news"})]
    assert "arguments changed" in record(project, monkeypatch, "--calls-drift").out
    write(project, system="Use tools in German.", description="The weather in a city.")
    run = project.run()
    assert "    $.system[0].text" in run.lines, run.out
    assert any("description" in line and "tools" in line for line in run.lines)
    write(project, TEST.replace("Search(", "Find("), search="Find")
    run = project.run()
    assert run.code == 1
    assert any("Find" in line and "tool" in line for line in run.lines), run.out
