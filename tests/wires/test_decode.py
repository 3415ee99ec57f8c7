"""Every wire's answers, whole: recorded ones, and one of our own for each quirk."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_answers import STREAMS, body_of, recorded, written

from multitrack import ToolCall, decode
from multitrack.wires import WIRES, create_stream_decoder, read_answer, read_request, recognize

WRITTEN = [pytest.param(wire, answer, id=f"{wire}-{answer['id']}") for wire, answer in written()]


def triples(calls):
    return [[call.id, call.name, call.arguments] for call in calls]


@pytest.mark.parametrize(("wire", "answer"), WRITTEN)
def test_written_answer(wire, answer):
    got = read_answer(body_of(answer), wire)
    assert triples(got.calls) == answer["calls"]
    assert [call.index for call in got.calls] == list(range(len(got.calls)))
    for name, value in answer.get("answer", {}).items():
        assert getattr(got, name) == value, name


@pytest.mark.parametrize(("wire", "answer"), WRITTEN)
def test_written_answer_is_recognised(wire, answer):
    if answer.get("note") == "named":
        assert recognize(body_of(answer)) in WIRES
        return
    assert recognize(body_of(answer)) == wire
    assert recognize(answer["body"]) == wire
    assert triples(decode(body_of(answer))) == answer["calls"]
    assert triples(decode(body_of(answer).decode())) == answer["calls"]


def as_recorded(call):
    try:
        arguments = None if call.arguments is None else json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    fits = isinstance(arguments, dict)
    return {
        "name": call.name,
        "arguments": arguments if fits else {"__raw__": call.arguments},
        "id": call.id,
    }


@pytest.mark.parametrize("named", [True, False])
def test_recorded_answers(named):
    for line in recorded():
        calls = decode(line["response_body"].encode(), line["wire"] if named else None)
        assert [as_recorded(call) for call in calls] == line["expected"], line["id"]


def test_recorded_requests():
    for line in recorded():
        asked = read_request(json.dumps(line["request_body"]).encode())
        assert asked.tools == tuple(tool["name"] for tool in line["tools"]), line["id"]
        assert asked.model == (line["request_body"] or {}).get("model"), line["id"]


def test_request_of_gemini():
    body = {
        "model": "projects/p/locations/l/publishers/google/models/gemini-2.5-flash",
        "contents": [],
        "tools": [{"functionDeclarations": [{"name": "A"}, {"name": "B"}]}],
    }
    assert read_request(body) == ("gemini-2.5-flash", ("A", "B"))


@pytest.mark.parametrize("body", [b"", b"\xff", "[1", [], 3, None, {"tools": 3, "model": []}])
def test_request_that_is_none(body):
    assert read_request(body) == (None, ())


def test_parsed_json_is_taken_too():
    call = {"id": "a", "function": {"name": "Weather", "arguments": "{}"}}
    chunk = {"choices": [{"delta": {"tool_calls": [{**call, "index": 0}]}}]}
    assert decode({"choices": [{"message": {"tool_calls": [call]}}]}) == [ToolCall("a", "Weather", "{}", 0)]
    assert decode([chunk]) == [ToolCall("a", "Weather", "{}", 0)]


def test_a_body_may_be_a_buffer():
    body = b'{"choices": [{"message": {"function_call": {"name": "A"}}}]}'
    for buffer in (bytearray(body), memoryview(body)):
        assert decode(buffer) == [ToolCall(None, "A", None, 0)]


@pytest.mark.parametrize(
    ("body", "wire", "message"),
    [
        (b"<html>", None, "no known answer of a model: it begins with b'<html>'; pass wire=..."),
        (
            "<html>",
            "openai.chat",
            "no answer over openai.chat: it begins with '<html>', and is no JSON object",
        ),
        (
            "{}",
            "openai",
            "unknown wire 'openai'; known: openai.chat, openai.chat.stream, openai.responses, "
            "openai.responses.stream, gemini, gemini.stream",
        ),
    ],
)
def test_what_is_no_answer(body, wire, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        decode(body, wire)


def test_a_wire_that_does_not_stream_has_no_decoder_for_streams():
    with pytest.raises(ValueError, match=r"^no streaming wire 'gemini'; known: openai\.chat\.stream, "):
        create_stream_decoder("gemini")


KEYS = """
choices delta message tool_calls function name arguments index id custom function_call object error type
candidates content parts functionCall args partialArgs jsonPath output response output_index item
""".split()  # noqa: SIM905 - a list of thirty strings is longer and says no more

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@given(st.binary() | st.text() | json_values)
def test_recognize_never_raises(body):
    assert recognize(body) in (None, *WIRES)


@given(st.dictionaries(st.sampled_from(["choices", "candidates", "output", "type", "response"]), json_values))
def test_no_shape_of_json_breaks_a_decoder(document):
    for wire in WIRES:
        calls = read_answer([document, document] if wire in STREAMS else document, wire).calls
        assert [call.index for call in calls] == list(range(len(calls)))
        assert all(isinstance(call.arguments, str | None) for call in calls)


def test_deeply_nested_json_is_no_answer():
    assert recognize(b"[" * 100_000) is None
