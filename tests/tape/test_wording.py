"""Which differences of a request count as wording, so that its recorded answer may be kept."""

from __future__ import annotations

import json

import pytest

from multitrack.tape.exchange import Request, Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.miss.nearest_recording import NearestRecording
from multitrack.tape.miss.wording import is_only_wording

CHAT = "https://api.openai.com/v1/chat/completions"
RESPONSES = "https://api.openai.com/v1/responses"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash:generateContent"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/some.model/converse"


ANSWER = {"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
EMBEDDING = {"object": "list", "data": [{"object": "embedding", "embedding": [0.5], "index": 0}]}


def chat(content="Hi", *, role="user", tools=(), **fields):
    return {"model": "gpt-4o", "messages": [{"role": role, "content": content}], "tools": list(tools), **fields}


def tool(description="Weather", **location):
    schema = {"type": "object", "properties": {"location": {"type": "string", **location}}}
    function = {"name": "Weather", "parameters": schema}
    return {"type": "function", "function": function | ({"description": description} if description else {})}


def claude(text, *, kind="text", system="Be kind."):
    block = {"type": kind, "text" if kind == "text" else "content": text}
    message = {"role": "user", "content": [block]}
    return {"model": "claude-3-5-haiku", "max_tokens": 9, "system": system, "messages": [message]}


def gemini(text, **fields):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}


def bedrock(text):
    return {"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {}}


def responses(text, kind="message"):
    item = {"type": kind, "role": "user", "content": text} if kind == "message" else {"type": kind, "output": text}
    return {"model": "gpt-4o", "instructions": "Be kind.", "input": [item]}


def differs_only_in_wording(url, recorded, sent, sent_url=None):
    headers = (("content-type", "application/json"),)
    old, new = (
        Request("POST", target, headers, json.dumps(body).encode())
        for target, body in ((url, recorded), (sent_url or url, sent))
    )
    answer = json.dumps(EMBEDDING if url.endswith("/embeddings") else ANSWER)
    interaction = Interaction(old, Response(200, "OK", (), answer.encode()))
    entry = RecordedEntry(1, interaction, MatchingKey.from_request(old))
    return is_only_wording(NearestRecording(entry, old, new, moved=sent_url is not None))


@pytest.mark.parametrize(
    ("url", "recorded", "sent"),
    [
        (CHAT, chat("Hi"), chat("Hello")),
        (CHAT, chat("Hi", role="system"), chat("Hello", role="system")),
        (CHAT, chat([{"type": "text", "text": "Hi"}]), chat([{"type": "text", "text": "Hello"}])),
        (CHAT, chat(tools=[tool("Weather")]), chat(tools=[tool("The weather")])),
        (CHAT, chat(tools=[tool("")]), chat(tools=[tool("Weather")])),
        (CHAT, chat(tools=[tool(description="x")]), chat("Hello", tools=[tool(description="y")])),
        (CHAT, chat(tools=[tool()]), chat(tools=[tool(description="A city")])),
        (RESPONSES, responses("Hi"), responses("Hello")),
        (RESPONSES, responses("Hi"), responses("Hi") | {"instructions": "Be brief."}),
        (RESPONSES, responses("Hi") | {"input": "Hi"}, responses("Hi") | {"input": "Hello"}),
        (ANTHROPIC, claude("Hi"), claude("Hello", system="Be brief.")),
        (GEMINI, gemini("Hi"), gemini("Hello")),
        (
            GEMINI,
            gemini("Hi", systemInstruction={"parts": [{"text": "a"}]}),
            gemini("Hi", systemInstruction={"parts": [{"text": "b"}]}),
        ),
        (BEDROCK, bedrock("Hi"), bedrock("Hello")),
    ],
)
def test_wording(url, recorded, sent):
    assert differs_only_in_wording(url, recorded, sent)
    assert differs_only_in_wording(url, sent, recorded)


@pytest.mark.parametrize(
    ("url", "recorded", "sent"),
    [
        (CHAT, chat(), chat()),
        (CHAT, chat(), chat("Hello") | {"model": "gpt-4o-mini"}),
        (CHAT, chat(), chat("Hello", temperature=0)),
        (CHAT, chat("Hi"), chat("Hi", role="system")),
        (CHAT, chat("Hi"), chat([{"type": "text", "text": "Hi"}])),
        (CHAT, chat("21", role="tool"), chat("22", role="tool")),
        (CHAT, chat(), chat() | {"messages": [*chat()["messages"], *chat()["messages"]]}),
        (CHAT, chat(tools=[tool()]), chat(tools=[tool(type="integer")])),
        (CHAT, chat(tools=[tool(enum=["a"])]), chat(tools=[tool(enum=["b"])])),
        (CHAT, chat(tools=[tool(default={"description": "a"})]), chat(tools=[tool(default={"description": "b"})])),
        (
            CHAT,
            chat([{"type": "image_url", "image_url": {"url": "a"}}]),
            chat([{"type": "image_url", "image_url": {"url": "b"}}]),
        ),
        (RESPONSES, responses("a", "function_call_output"), responses("b", "function_call_output")),
        (ANTHROPIC, claude("a", kind="tool_result"), claude("b", kind="tool_result")),
        ("https://api.openai.com/v1/embeddings", {"model": "e", "input": "a"}, {"model": "e", "input": "b"}),
    ],
)
def test_not_only_wording(url, recorded, sent):
    assert not differs_only_in_wording(url, recorded, sent)


def test_another_url_is_not_wording():
    assert not differs_only_in_wording(CHAT, chat("Hi"), chat("Hello"), CHAT.replace("v1", "v2"))
