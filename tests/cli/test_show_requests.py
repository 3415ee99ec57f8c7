"""``multitrack show --request``, and the answers in the comment at the beginning of a cassette."""

import json

import pytest
from command_line import run_multitrack

from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction

JSON = (("content-type", "application/json"),)
QUESTION = "Which is\nthe capital?"
CHAT = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "function": {"name": "Search", "arguments": '{"query": "capital"}'}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "Rome"},
    ],
    "tools": [{"type": "function", "function": {"name": "Search", "parameters": {}}}],
}
RESPONSES = {
    "model": "gpt-4o-mini",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        {"type": "function_call", "call_id": "1", "name": "Search", "arguments": '{"query": "capital"}'},
        {"type": "function_call_output", "call_id": "1", "output": "Rome"},
    ],
    "tools": [{"type": "function", "name": "Search", "parameters": {}}],
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": QUESTION}]},
        {"role": "model", "parts": [{"functionCall": {"name": "Search", "args": {"query": "capital"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "Search", "response": {"result": "Rome"}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "Search"}]}],
}


def answer(text):
    message = {"role": "assistant", "content": text}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def write_cassette(path, request, text="Rome.", metadata=None):
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    interaction = Interaction(
        Request("POST", "https://api.openai.com/v1/chat/completions", JSON, body),
        Response(200, "OK", JSON, json.dumps(answer(text)).encode()),
    )
    storage.write(path, Cassette((interaction,), {"format": 1}))


def show(path, *arguments):
    finished = run_multitrack("show", *arguments, path.name, cwd=path.parent)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


@pytest.mark.parametrize(
    ("request_body", "model", "names"),
    [
        (CHAT, "gpt-4o-mini", ("assistant", "tool", "Rome")),
        (RESPONSES, "gpt-4o-mini", ("assistant", "tool", "Rome")),
        (GEMINI, "in the URL", ("model", "user", '{"result": "Rome"}')),
    ],
)
def test_a_request_is_shown(tmp_path, request_body, model, names):
    caller, tool, result = names
    write_cassette(tmp_path / "a.yaml", request_body)
    assert show(tmp_path / "a.yaml", "--request")[1:] == [
        f"  request model: {model}",
        "  request tools: Search",
        "  request system: Be brief.",
        "  request user: Which is",
        "    the capital?",
        f"  request {caller}: Search(query='capital')",
        f"  request {tool}: {result}",
        "  text: Rome.",
        "provenance: live",
    ]


def test_requests_are_only_shown_on_demand(tmp_path):
    write_cassette(tmp_path / "a.yaml", CHAT)
    assert not [line for line in show(tmp_path / "a.yaml") if "request" in line]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"name": "x"}', '  request: {"name": "x"}'),
        (b"", "  request: no body"),
        (b"a=1\x1b[31m", "  request: a=1\\x1b[31m"),
    ],
)
def test_any_other_body_is_shown_as_it_is(tmp_path, body, line):
    write_cassette(tmp_path / "a.yaml", body)
    assert show(tmp_path / "a.yaml", "--request")[1] == line


@pytest.mark.parametrize("options", [(), ("--request",)])
def test_a_secret_that_was_added_by_hand_is_not_shown(tmp_path, options):
    key = "sk-proj-" + "0a1B2c3D4e5F" * 4
    cassette = tmp_path / "a.yaml"
    write_cassette(cassette, {**CHAT, "user": "(key)"}, text="Your key is (key).")
    cassette.write_text(cassette.read_text(encoding="utf-8").replace("(key)", key), encoding="utf-8")
    lines = "\n".join(show(tmp_path / "a.yaml", *options))
    assert key not in lines
    assert "Your key is __redacted__." in lines


def test_the_text_of_an_answer_is_in_the_comment_of_the_cassette(tmp_path):
    write_cassette(tmp_path / "a.yaml", CHAT, text="The capital is\n  Rome. " + "It is old. " * 30)
    first, second, third = (tmp_path / "a.yaml").read_text(encoding="utf-8").splitlines()[:3]
    assert first == "# 1 · openai.chat gpt-4o-mini · 0 calls"
    assert second.startswith("#   text: The capital is Rome. It is old. ")
    assert len(second) == 110
    assert third == "version: 1"
