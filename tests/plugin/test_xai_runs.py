"""Tests that ask xAI over gRPC: recorded, replayed without a key, explained if they miss, compared with live calls."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

pytest.importorskip("xai_sdk", reason="xai-sdk is not installed; nox --session xai_sdk tests it")
from xai_sdk.proto import chat_pb2, chat_pb2_grpc, sample_pb2, usage_pb2

pytestmark = pytest.mark.slow

KEY = "xai-" + "aB3x9QzT" * 10
PREAMBLE = """
import asyncio
import os

import multitrack
import pytest
import xai_sdk
from xai_sdk import chat

TOOL = chat.tool({tool!r}, "Get the weather", dict(
    type="object", required=["city"], properties=dict(city=dict(type="string"))))
EXPECTED = [dict(name="get_weather", arguments=dict(city=city)) for city in ("Tokyo", "Oslo")]


def create(client):
    return client.chat.create(model="grok-4", messages=[chat.user({prompt!r})], tools=[TOOL])


def connect(kind=xai_sdk.Client, **options):
    return kind({key}, api_host={host!r}, **options)
"""
PLAIN = """
@pytest.mark.cassette
def test_chat():
    answer = create(connect()).sample()
    assert answer.content == "Let me look."
    multitrack.assert_calls(answer.tool_calls, EXPECTED)
"""
STREAMED = """
@pytest.mark.cassette
def test_chat():
    texts = []
    for answer, chunk in create(connect()).stream():
        texts.append(chunk.content)
    assert "".join(texts) == "Let me look."
    multitrack.assert_calls(answer.tool_calls, EXPECTED)
"""
ASYNC = """
@pytest.mark.cassette
def test_chat():
    async def run():
        answer = await create(connect(xai_sdk.AsyncClient)).sample()
        multitrack.assert_calls(answer.tool_calls, EXPECTED)

    asyncio.run(run())
"""
ASYNC_STREAMED = """
@pytest.mark.cassette
def test_chat():
    async def run():
        async for answer, _ in create(connect(xai_sdk.AsyncClient)).stream():
            pass
        multitrack.assert_calls(answer.tool_calls, EXPECTED)

    asyncio.run(run())
"""
WITHOUT_A_CASSETTE = """
def test_chat():
    with pytest.raises(ValueError, match="XAI_API_KEY"):
        connect()
"""
FORMS = pytest.mark.parametrize(
    "test", [PLAIN, STREAMED, ASYNC, ASYNC_STREAMED], ids=["plain", "stream", "asyncio", "asyncio-stream"]
)


class XaiModel(chat_pb2_grpc.ChatServicer):
    """Answers each request with calls for ``cities``. Never uses an id twice."""

    def __init__(self):
        self.cities = ["Tokyo", "Oslo"]
        self.text = "Let me look."
        self.keys = []
        self._lock = threading.Lock()

    @property
    def count(self):
        return len(self.keys)

    def _call(self, city):
        function = chat_pb2.FunctionCall(name="get_weather", arguments=f'{{"city":"{city}"}}')
        kind = chat_pb2.TOOL_CALL_TYPE_CLIENT_SIDE_TOOL
        return chat_pb2.ToolCall(id=f"call_{self.count}_{city}", type=kind, function=function)

    def _log(self, context):
        with self._lock:
            self.keys.append(dict(context.invocation_metadata()).get("authorization"))

    def GetCompletion(self, request, context):  # noqa: ARG002, N802
        self._log(context)
        calls = [self._call(city) for city in self.cities]
        message = chat_pb2.CompletionMessage(role=chat_pb2.ROLE_ASSISTANT, content=self.text, tool_calls=calls)
        output = chat_pb2.CompletionOutput(message=message, finish_reason=sample_pb2.REASON_TOOL_CALLS)
        usage = usage_pb2.SamplingUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
        answer_id = f"answer-{self.count}"
        return chat_pb2.GetChatCompletionResponse(id=answer_id, model="grok-4", outputs=[output], usage=usage)

    def GetCompletionChunk(self, request, context):  # noqa: ARG002, N802
        self._log(context)
        pieces = [{"content": self.text[start : start + 5]} for start in range(0, len(self.text), 5)]
        for fields in (*pieces, *({"tool_calls": [self._call(city)]} for city in self.cities), None):
            end = {} if fields else {"finish_reason": sample_pb2.REASON_TOOL_CALLS}
            delta = chat_pb2.Delta(role=chat_pb2.ROLE_ASSISTANT, **(fields or {}))
            output = chat_pb2.CompletionOutputChunk(delta=delta, **end)
            yield chat_pb2.GetChatCompletionChunk(id=f"answer-{self.count}", model="grok-4", outputs=[output])


@pytest.fixture
def model():
    servicer = XaiModel()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    chat_pb2_grpc.add_ChatServicer_to_server(servicer, server)
    servicer.host = f"localhost:{server.add_secure_port('localhost:0', grpc.local_server_credentials())}"
    server.start()
    yield servicer
    server.stop(None).wait()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("XAI_API_KEY", raising=False)


def write(project, model, test=PLAIN, *, prompt="what is the weather?", tool="get_weather", key=None):
    project.write_test(PREAMBLE.format(host=model.host, prompt=prompt, tool=tool, key=key) + test)


def record(project, model, test=PLAIN):
    write(project, model, test, key=repr(KEY))
    run = project.record()
    assert run.code == 0, run.out
    assert model.keys[-1] == f"Bearer {KEY}"


def read_cassette(project):
    [text] = [content for name, content in project.read_files().items() if name.endswith(".yaml")]
    return text.decode()


@FORMS
def test_a_recorded_test_replays_without_a_key(project, model, test):
    record(project, model, test)
    write(project, model, test)
    sent = model.count
    run = project.run()
    assert run.code == 0, run.out
    assert model.count == sent


@FORMS
def test_a_cassette_names_the_calls_and_has_no_key(project, model, test):
    record(project, model, test)
    cassette = read_cassette(project)
    first, *calls = cassette.splitlines()[:3]
    assert first.startswith("# 1 · xai")
    assert "grok-4 · 2 calls" in first
    assert calls == ["#   get_weather(city='Tokyo')", "#   get_weather(city='Oslo')"]
    assert KEY not in cassette


def test_a_client_without_a_key_is_an_error_without_a_cassette(project, model):
    write(project, model, WITHOUT_A_CASSETTE)
    assert project.run().code == 0
    assert model.count == 0


def test_a_key_in_the_answer_is_not_recorded(project, model):
    model.text = f"The key is {KEY}."
    test = STREAMED.replace("Let me look.", model.text)
    record(project, model, test)
    cassette = read_cassette(project)
    assert not [KEY[start : start + 5] for start in range(5, 70) if KEY[start : start + 5] in cassette]


@FORMS
def test_a_changed_prompt_is_shown(project, model, test):
    record(project, model, test)
    write(project, model, test, prompt="what is the weather tomorrow?")
    run = project.run()
    assert run.code == 1
    assert "    $.messages[0].content[0].text" in run.lines, run.out


def test_a_renamed_tool_is_shown(project, model):
    record(project, model)
    write(project, model, tool="find_weather")
    run = project.run()
    assert run.code == 1
    assert any("find_weather" in line and "tool" in line for line in run.lines), run.out


@FORMS
def test_a_drift_run_compares_the_calls_and_not_the_ids(project, model, test):
    record(project, model, test)
    assert "arguments changed" not in project.record("--calls-drift").out
    model.cities = ["Tokyo", "Bergen"]
    run = project.record("--calls-drift")
    assert "arguments changed" in run.out, run.out


def test_a_client_that_is_created_during_collection_needs_no_key(project, model):
    test = "client = connect()\n" + PLAIN.replace("connect()", "client")
    record(project, model, test)
    write(project, model, test)
    run = project.run()
    assert run.code == 0, run.out


@pytest.mark.parametrize("options", ["", "use_insecure_channel=True"], ids=["secure", "insecure"])
def test_a_client_without_a_key_sends_nothing(project, model, options):
    write(project, model, f"client = connect({options})\n\n\ndef test_chat():\n    create(client).sample()\n")
    run = project.run()
    assert run.code == 1
    assert "XAI_API_KEY" in run.out
    assert model.count == 0
