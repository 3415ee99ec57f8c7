"""A value of the wrong type, at any place of an answer or a request, raises nothing but the documented errors."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from wire_answers import load_written_answers

from multitrack import ToolCall
from multitrack.wires import (
    WIRES,
    ToolResult,
    WireAnswer,
    continue_conversation,
    encode_answer,
    read_answer,
    read_request,
    recognize,
    registry,
)

WRONG = [None, True, 0, 1.5, "", "x", [], {}, [[]], {"a": {}}]
CALLS = (ToolCall("call_a", "Weather", '{"n": 1}', 0), ToolCall("call_b", "Search", '{"q": "rain"}', 1))
ANSWER = WireAnswer(CALLS, text="Sure.", model="model-1", usage={"total_tokens": 3})
LARGEST_ANSWER = 500
ENCODED_EVERY = 11  # encoding takes longer than everything else, and 11 has no factor in common with the 12 changes


def parse(body: bytes, wire: str) -> Any:
    """Return the JSON of a body: an object, or the list of a stream's chunks."""
    if not wire.endswith(".stream"):
        return json.loads(body)
    chunks: list[Any] = []
    decoder = registry.get_format(wire).create_stream_decoder()
    decoder.feed_chunk = lambda chunk: chunks.append(chunk) or []  # type: ignore[method-assign]
    decoder.feed(body)
    decoder.close()
    return chunks


def list_documents(wire: str) -> list[Any]:
    """Return an answer that Multitrack encodes, and the small hand-written answers, each of which has a quirk."""
    bodies = [encode_answer(ANSWER, wire)]
    for name, line in load_written_answers():
        body = line["body"] if isinstance(line["body"], str) else json.dumps(line["body"])
        if name == wire and len(body) <= LARGEST_ANSWER:
            bodies.append(body.encode())
    return [parse(body, wire) for body in bodies[:2]]


def list_paths(value: Any) -> Iterator[tuple[Any, ...]]:
    for key in range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ():
        yield (key,)
        yield from ((key, *path) for path in list_paths(value[key]))


def mutate(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield a description and a copy of ``document`` for each change of each place."""
    text = json.dumps(document)
    shapes = [list(list_paths(chunk)) for chunk in document] if isinstance(document, list) else []
    repeated = {number for number, shape in enumerate(shapes) if shape in shapes[:number]}
    for path in list_paths(document):
        if isinstance(document, list) and path[0] in repeated:
            continue
        for change in (*WRONG, "delete", "duplicate"):
            changed = container = json.loads(text)
            for key in path[:-1]:
                container = container[key]
            if change == "delete":
                del container[path[-1]]
            elif change == "duplicate" and isinstance(container, list):
                container.insert(path[-1], container[path[-1]])
            elif change == "duplicate":
                container[path[-1]] = [container[path[-1]]] * 2
            else:
                container[path[-1]] = change
            yield f"{path}: {change!r}", changed


def check_answer(document: Any, wire: str) -> None:
    assert recognize(document) in (None, *WIRES)
    answer = read_answer(document, wire)
    assert all(isinstance(call.name, str) and isinstance(call.arguments, str | None) for call in answer.calls)
    assert isinstance(answer.text, str | None)
    assert isinstance(f"{answer.calls} {answer.error}", str)
    wire_format = registry.get_format(wire)
    if isinstance(document, list):
        decoder = wire_format.create_stream_decoder()
        yielded = [call for chunk in document if isinstance(chunk, dict) for call in decoder.feed_chunk(chunk)]
        assert yielded == list(decoder.answer.calls[: len(yielded)])
        assert wire_format.read_answer(decoder.document).calls == decoder.answer.calls
        document = decoder.document
    results = [ToolResult(call, True, "fine") for call in answer.calls]
    json.dumps(continue_conversation(document, results, wire_format.name))


def check_encoding(document: Any, wire: str) -> None:
    body = json.dumps(document).encode()
    if isinstance(document, list):
        body = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in document)
    changed = replace(read_answer(body, wire), calls=CALLS[1:], text="Other.")
    try:
        encode_answer(changed, wire, body)
    except ValueError as error:
        if type(error) is not ValueError:  # a subclass, such as JSONDecodeError, would not be ours
            raise


@pytest.mark.slow
@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_with_a_value_of_the_wrong_type_raises_no_other_error(wire):
    for number, document in enumerate(list_documents(wire)):
        for position, (change, changed) in enumerate(mutate(document)):
            try:
                check_answer(changed, wire)
                if position % ENCODED_EVERY == 0:
                    check_encoding(changed, wire)
            except Exception as error:
                error.add_note(f"{wire}, answer {number}: {change}")
                raise


MESSAGE = {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
FUNCTION = {"name": "Weather", "description": "d", "parameters": {"type": "object"}}
REQUESTS = {
    "openai.chat": ("", {"model": "m", "messages": [MESSAGE], "tools": [{"type": "function", "function": FUNCTION}]}),
    "openai.responses": (
        "/v1/responses",
        {
            "model": "m",
            "instructions": "i",
            "input": [MESSAGE, {"type": "function_call", "name": "Weather", "arguments": "{}"}],
            "tools": [{"type": "function", **FUNCTION}],
        },
    ),
    "gemini": (
        "/v1beta/models/m:generateContent",
        {
            "systemInstruction": {"parts": [{"text": "i"}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}, {"functionCall": {"name": "f", "args": {}}}]}],
            "tools": [{"functionDeclarations": [FUNCTION]}],
        },
    ),
    "anthropic": (
        "/v1/messages",
        {
            "model": "m",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "i"}],
            "messages": [MESSAGE, {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {}}]}],
            "tools": [{"name": "Weather", "input_schema": {"type": "object"}}],
        },
    ),
    "bedrock": (
        "/model/m/converse",
        {
            "system": [{"text": "i"}],
            "messages": [{"role": "user", "content": [{"text": "Hi"}, {"toolUse": {"name": "f", "input": {}}}]}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "Weather", "inputSchema": {"json": {}}}}]},
        },
    ),
    "ollama": (
        "/api/chat",
        {
            "model": "m",
            "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}],
            "tools": [{"type": "function", "function": FUNCTION}],
        },
    ),
    "xai": (
        "/xai_api.Chat/GetCompletion",
        {
            "model": "m",
            "messages": [{"role": "ROLE_USER", "content": [{"text": "Hi"}], "toolCalls": [{"function": FUNCTION}]}],
            "tools": [{"function": FUNCTION}],
        },
    ),
}


@pytest.mark.parametrize("wire", REQUESTS)
def test_a_request_with_a_value_of_the_wrong_type_raises_no_error(wire):
    url, document = REQUESTS[wire]
    wire_format = registry.get_format(wire)
    assert wire_format.recognizes_request(document, url)
    for change, changed in mutate(document):
        try:
            read_request(changed, url)
            wire_format.recognizes_request(changed, url)
            wire_format.read_request(changed)
            assert all(isinstance(message.text, str) for message in wire_format.read_messages(changed))
        except Exception as error:
            error.add_note(f"{wire}: {change}")
            raise
