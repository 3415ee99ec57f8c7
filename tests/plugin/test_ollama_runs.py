"""Tests that ask Ollama with its SDK: recorded, replayed, explained when they miss, compared with live answers."""

import json

import pytest
from local_provider import ProviderAnswer

ollama = pytest.importorskip("ollama")
pytestmark = pytest.mark.slow

PREAMBLE = """
import asyncio

import ollama
import pytest


def ask(prompt={prompt!r}, **options):
    return dict(model="llama3.2", messages=[dict(role="user", content=prompt)], tools=[TOOL], **options)


TOOL = dict(type="function", function=dict(
    name={tool!r}, description="Get the weather", parameters=dict(
        type="object", required=["city"], properties=dict(city=dict(type="string")))))
client = ollama.Client({url!r})
"""
PLAIN = """
@pytest.mark.cassette
def test_chat():
    answer = client.chat(**ask())
    assert [call.function.arguments for call in answer.message.tool_calls] == [{"city": "Tokyo"}, {"city": "Oslo"}]
"""
STREAMED = """
@pytest.mark.cassette
def test_chat():
    chunks = list(client.chat(**ask(stream=True)))
    assert "".join(chunk.message.content or "" for chunk in chunks) == "Let me look."
    calls = [call for chunk in chunks for call in chunk.message.tool_calls or ()]
    assert [call.function.arguments for call in calls] == [{"city": "Tokyo"}, {"city": "Oslo"}]
"""
ASYNC = """
@pytest.mark.cassette
def test_chat():
    async def run():
        stream = await ollama.AsyncClient({url!r}).chat(**ask(stream=True))
        return [call.function.arguments async for chunk in stream for call in chunk.message.tool_calls or ()]

    assert asyncio.run(run()) == [{{"city": "Tokyo"}}, {{"city": "Oslo"}}]
"""
BROKEN = """
@pytest.mark.cassette
def test_chat():
    with pytest.raises(ollama.ResponseError, match="an error was encountered while running the model"):
        list(client.chat(**ask(stream=True)))
"""
SNAPSHOT = """
import multitrack


@pytest.mark.cassette
def test_chat():
    answer = client.chat(**ask())
    expected = [dict(name="get_weather", arguments=dict(city=city)) for city in ("Tokyo", "Oslo")]
    multitrack.assert_calls(answer.message.tool_calls, expected)
"""


class OllamaModel:
    """Answers a request with calls for ``cities``, as JSON lines unless the request forbids it."""

    def __init__(self):
        self.cities = ["Tokyo", "Oslo"]
        self.text = "Let me look."
        self.error = None
        self.count = 0

    def __call__(self, request):
        self.count += 1
        # https://github.com/ollama/ollama/blob/main/docs/api.md#chat-request-streaming-with-tools
        calls = [{"function": {"name": "get_weather", "arguments": {"city": city}}} for city in self.cities]
        end = {"done_reason": "stop", "done": True, "prompt_eval_count": 169, "eval_count": 15}
        if request.json.get("stream") is False:
            return ProviderAnswer(json.dumps({**self.chunk(content=self.text, tool_calls=calls), **end}).encode())
        pieces = [self.text[start : start + 5] for start in range(0, len(self.text), 5)]
        chunks = [self.chunk(content=piece) for piece in pieces]
        chunks += [self.chunk(content="", tool_calls=[call]) for call in calls]
        chunks.append({"error": self.error} if self.error else {**self.chunk(content=""), **end})
        lines = (json.dumps(chunk, separators=(",", ":")).encode() + b"\n" for chunk in chunks)
        return ProviderAnswer(lines, headers={"content-type": "application/x-ndjson"})

    def chunk(self, **message):
        created = f"2025-07-07T20:22:19.{self.count:06}Z"
        message = {"role": "assistant", **message}
        return {"model": "llama3.2", "created_at": created, "message": message, "done": False}


@pytest.fixture
def model(project):
    project.provider.reply = model = OllamaModel()
    return model


def write(project, test=PLAIN, *, prompt="what is the weather?", tool="get_weather"):
    url = project.provider.url
    project.write_test(PREAMBLE.format(url=url, prompt=prompt, tool=tool) + test)


def record(project, test=PLAIN):
    write(project, test)
    run = project.record()
    assert run.code == 0, run.out


def read_cassette(project):
    [text] = [content for name, content in project.read_files().items() if name.endswith(".yaml")]
    return text.decode()


@pytest.mark.parametrize("test", [PLAIN, STREAMED, ASYNC, SNAPSHOT], ids=["plain", "stream", "asyncio", "snapshot"])
def test_a_recorded_test_replays(project, model, test):
    record(project, test.format(url=project.provider.url) if test is ASYNC else test)
    sent = model.count
    run = project.run()
    assert run.code == 0, run.out
    assert model.count == sent


@pytest.mark.parametrize("test", [PLAIN, STREAMED], ids=["plain", "stream"])
def test_the_summary_of_a_cassette_names_the_calls(project, model, test):
    record(project, test)
    first, *calls = read_cassette(project).splitlines()[:3]
    assert first.startswith("# 1 · ollama")
    assert "llama3.2 · 2 calls" in first
    assert calls == ["#   get_weather(city='Tokyo')", "#   get_weather(city='Oslo')"]


def test_an_error_in_the_stream_replays_as_an_error(project, model):
    model.error = "an error was encountered while running the model"
    record(project, BROKEN)
    run = project.run()
    assert run.code == 0, run.out
    assert model.count == 1


def test_a_changed_prompt_is_shown(project, model):
    record(project)
    write(project, prompt="what is the weather tomorrow?")
    run = project.run()
    assert run.code == 1
    assert "    $.messages[0].content" in run.lines, run.out


def test_a_renamed_tool_is_shown(project, model):
    record(project)
    write(project, tool="find_weather")
    run = project.run()
    assert run.code == 1
    assert any("find_weather" in line and "tool" in line for line in run.lines), run.out


@pytest.mark.parametrize("test", [PLAIN, STREAMED], ids=["plain", "stream"])
def test_a_drift_run_compares_the_calls_and_not_the_times(project, model, test):
    record(project, test)
    write(project, test)
    assert "arguments changed" not in project.record("--calls-drift").out
    model.cities = ["Tokyo", "Bergen"]
    run = project.record("--calls-drift")
    assert "arguments changed" in run.out, run.out


def test_a_secret_that_the_lines_of_a_stream_divide_is_not_recorded(project, model):
    key = "sk-" + "aB3x9Q" * 6
    model.text = f"The key is {key}."
    record(project, STREAMED.replace("Let me look.", model.text))
    cassette = read_cassette(project)
    assert "The k" in cassette
    assert not [key[start : start + 5] for start in range(4, 30) if key[start : start + 5] in cassette]
