"""Answers of servers with OpenAI's API, which the page openai-servers.md lists.

No server was called. Each answer in ``openai_servers.jsonl`` was written after its source, with other names and values.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import openai
import pytest
from local_provider import STREAM, ProviderAnswer
from pydantic import BaseModel

import multitrack
from multitrack.errors import ExtractionError
from multitrack.wires import ToolResult, continue_conversation, create_stream_decoder, read_answer, recognize

ROOT = Path(__file__).parents[2]
ANSWERS = [json.loads(line) for line in (ROOT / "tests/data/openai_servers.jsonl").read_text("utf-8").splitlines()]
PAGE = (ROOT / "docs/openai-servers.md").read_text("utf-8")
every_answer = pytest.mark.parametrize("recorded", ANSWERS, ids=lambda line: f"{line['server']}-{line['wire']}")


class Weather(BaseModel):
    city: str


class Ping(BaseModel):
    pass


def encode(line):
    body = line["body"]
    return (body if isinstance(body, str) else json.dumps(body)).encode()


@every_answer
def test_an_answer_is_recognized(recorded):
    assert recognize(encode(recorded)) == recorded["wire"]


@every_answer
def test_an_answer_is_decoded(recorded):
    answer = read_answer(encode(recorded))
    assert [[call.id, call.name, call.arguments] for call in answer.calls] == recorded["calls"]
    for name, value in recorded["answer"].items():
        assert getattr(answer, name) == value, name


@every_answer
def test_a_conversation_continues_with_the_reasoning(recorded):
    decoder = create_stream_decoder("openai.chat.stream")
    decoder.feed(encode(recorded))
    document = decoder.document if recorded["wire"].endswith(".stream") else recorded["body"]
    calls = read_answer(encode(recorded)).calls
    results = [ToolResult(call, True, "fine") for call in calls]
    answer, *rest = continue_conversation(document, results, "openai.chat") or [{}]
    assert [message["tool_call_id"] for message in rest] == [call["id"] for call in answer.get("tool_calls", ())]
    assert len(rest) == len(calls)
    for key in ("reasoning", "reasoning_content"):
        is_sent = f'"{key}": "' in encode(recorded).decode()
        assert not answer or (key in answer) == is_sent


@every_answer
@pytest.mark.slow
def test_the_sdk_of_openai_extracts_the_models(provider, recorded):
    is_stream = recorded["wire"].endswith(".stream")
    headers = {"headers": STREAM} if is_stream else {}
    provider.reply = lambda _: ProviderAnswer(encode(recorded), **headers)
    raw = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="unused", max_retries=0)
    create = multitrack.from_openai(raw).chat.completions.create
    arguments = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": is_stream}
    if not recorded["calls"]:
        with pytest.raises((ExtractionError, openai.APIError)):
            list(create(response_model=Iterable[Weather | Ping], **arguments))
        return
    models = list(create(response_model=Iterable[Weather | Ping], **arguments))
    assert models == [Weather(city="Tokyo"), Ping()][: len(recorded["calls"])]


@every_answer
def test_the_page_names_the_server_and_the_source_of_each_answer(recorded):
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {recorded['server']} |")]
    assert f"]({recorded['source']})" in row


def test_the_page_has_no_server_without_an_answer():
    servers = {
        line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines() if "](https://" in line and "| `" in line
    }
    assert servers == {line["server"] for line in ANSWERS}
