"""Decode whole answers in every wire format: recorded ones, and a hand-written one for each quirk."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_answers import (
    STREAMS,
    encode_body,
    load_recorded_answers,
    load_recorded_exchanges,
    load_written_answers,
    read_body,
)

from multitrack import ToolCall, decode
from multitrack.wires import WIRES, create_stream_decoder, read_answer, read_request, recognize

WRITTEN = [pytest.param(wire, answer, id=f"{wire}-{answer['id']}") for wire, answer in load_written_answers()]


def without_index(calls):
    return [[call.id, call.name, call.arguments] for call in calls]


@pytest.mark.parametrize(("wire", "answer"), WRITTEN)
def test_a_written_answer_is_decoded(wire, answer):
    decoded = read_answer(encode_body(answer), wire)
    assert without_index(decoded.calls) == answer["calls"]
    assert [call.index for call in decoded.calls] == list(range(len(decoded.calls)))
    for name, value in answer.get("answer", {}).items():
        assert getattr(decoded, name) == value, name


@pytest.mark.parametrize(("wire", "answer"), WRITTEN)
def test_a_written_answer_is_recognized(wire, answer):
    if answer.get("note") == "named":
        assert recognize(encode_body(answer)) in WIRES
        return
    assert recognize(encode_body(answer)) == wire
    assert recognize(answer["body"]) == wire
    assert without_index(decode(encode_body(answer))) == answer["calls"]
    assert without_index(decode(encode_body(answer).decode())) == answer["calls"]


def to_recorded_form(call):
    try:
        arguments = None if call.arguments is None else json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    is_object = isinstance(arguments, dict)
    return {
        "name": call.name,
        "arguments": arguments if is_object else {"__raw__": call.arguments},
        "id": call.id,
    }


@pytest.mark.parametrize("is_named", [True, False])
def test_recorded_answers_are_decoded(is_named):
    for line in load_recorded_answers():
        calls = decode(read_body(line), line["wire"] if is_named else None)
        assert [to_recorded_form(call) for call in calls] == line["expected"], line["id"]


def test_recorded_requests_are_summarized():
    for line in load_recorded_exchanges():
        request = read_request(json.dumps(line["request_body"]).encode())
        assert request.tools == tuple(tool["name"] for tool in line["tools"]), line["id"]
        assert request.model == (line["request_body"] or {}).get("model"), line["id"]


def test_recorded_answers_of_anthropic_are_recognized_and_complete():
    for line in load_recorded_answers():
        if line["wire"].startswith("anthropic"):
            body = read_body(line)
            answer = read_answer(body)
            assert recognize(body) == line["wire"], line["id"]
            assert answer.is_complete, line["id"]
            assert answer.error is None, line["id"]
            assert (answer.finish_reason == "tool_use") == bool(line["expected"]), line["id"]
            assert answer.finish_reason in ("tool_use", "end_turn"), line["id"]
            assert answer.text or answer.calls, line["id"]
            assert answer.usage["output_tokens"] > 0, line["id"]


def test_recorded_answers_of_bedrock_are_recognized_and_complete():
    for line in load_recorded_answers():
        if line["wire"].startswith("bedrock"):
            answer = read_answer(read_body(line))
            assert recognize(read_body(line)) == line["wire"], line["id"]
            assert answer.is_complete, line["id"]
            assert answer.error is None, line["id"]
            assert (answer.finish_reason == "tool_use") == bool(line["expected"]), line["id"]
            assert answer.finish_reason in ("tool_use", "end_turn", "guardrail_intervened"), line["id"]
            assert (answer.refusal is not None) == (answer.finish_reason == "guardrail_intervened"), line["id"]
            assert answer.text, line["id"]
            assert answer.usage["outputTokens"] > 0, line["id"]


@pytest.mark.parametrize(
    "extra",
    [
        {"anthropic_version": "bedrock-2023-05-31"},
        {"system": "Always use tools."},
        {"tools": [{"name": "A", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}]},
    ],
    ids=["version", "system", "tools"],
)
def test_an_anthropic_request_is_summarized(extra):
    request = read_request({"model": "claude-sonnet-4-5", "messages": [], **extra})
    assert request.model == "claude-sonnet-4-5"
    assert request.tools == (("A", "web_search") if "tools" in extra else ())


def test_the_model_of_a_request_to_bedrock_is_in_the_url():
    body = {"anthropic_version": "bedrock-2023-05-31", "messages": [], "tools": [{"name": "A", "input_schema": {}}]}
    request = read_request(body)
    assert request.model is None
    assert request.tools == ("A",)


@pytest.mark.parametrize("declarations", ["functionDeclarations", "function_declarations"])
def test_a_gemini_request_is_summarized(declarations):
    body = {
        "model": "projects/p/locations/l/publishers/google/models/gemini-2.5-flash",
        "contents": [],
        "tools": [{declarations: [{"name": "A"}, {"name": "B"}]}],
    }
    request = read_request(body)
    assert request.model == "gemini-2.5-flash"
    assert request.tools == ("A", "B")


@pytest.mark.parametrize("body", [b"", b"\xff", "[1", [], 3, None, {"tools": 3, "model": []}])
def test_a_body_that_is_not_a_request_has_no_model_and_no_tools(body):
    request = read_request(body)
    assert request.model is None
    assert request.tools == ()


def test_decode_accepts_parsed_json():
    call = {"id": "a", "function": {"name": "Weather", "arguments": "{}"}}
    chunk = {"choices": [{"delta": {"tool_calls": [{**call, "index": 0}]}}]}
    assert decode({"choices": [{"message": {"tool_calls": [call]}}]}) == [ToolCall("a", "Weather", "{}", 0)]
    assert decode([chunk]) == [ToolCall("a", "Weather", "{}", 0)]


def test_decode_accepts_a_buffer():
    body = b'{"choices": [{"message": {"function_call": {"name": "A"}}}]}'
    for buffer in (bytearray(body), memoryview(body)):
        assert decode(buffer) == [ToolCall(None, "A", None, 0)]


@pytest.mark.parametrize(
    ("body", "wire", "message"),
    [
        (
            b"<html>",
            None,
            "the body is not an answer in a known wire format: it begins with b'<html>'; "
            "if it is an answer, name its format with wire=",
        ),
        (
            "<html>",
            "openai.chat",
            "the body is not an answer in the wire format openai.chat: it begins with '<html>', "
            "which is not a JSON object; pass the whole body, or another wire=",
        ),
        (
            "{}",
            "openai",
            f"unknown wire format 'openai'; use one of: {', '.join(WIRES)}",
        ),
    ],
)
def test_a_body_that_is_not_an_answer_is_an_error(body, wire, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        decode(body, wire)


def test_a_wire_format_without_streams_has_no_stream_decoder():
    names = [wire for wire in WIRES if wire.endswith(".stream")]
    message = f"'gemini' is not a streaming wire format; use one of: {', '.join(names)}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        create_stream_decoder("gemini")


KEYS = """
choices delta message tool_calls function name arguments index id custom function_call object error type
candidates content parts functionCall args partialArgs jsonPath output response output_index item
content_block input partial_json text stop_reason stop_details usage
messageStart contentBlockStart contentBlockDelta contentBlockStop messageStop metadata contentBlockIndex start
toolUse toolUseId reasoningContent citationsContent stopReason
""".split()  # noqa: SIM905 - a list of thirty strings is longer but no clearer

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@pytest.mark.slow
@given(st.binary() | st.text() | json_values)
def test_recognize_never_raises(body):
    assert recognize(body) in (None, *WIRES)


@pytest.mark.slow
@given(
    st.dictionaries(st.sampled_from(["choices", "candidates", "output", "type", "response", "content"]), json_values)
)
def test_every_decoder_accepts_json_of_any_shape(document):
    for wire in WIRES:
        calls = read_answer([document, document] if wire in STREAMS else document, wire).calls
        assert [call.index for call in calls] == list(range(len(calls)))
        assert all(isinstance(call.arguments, str | None) for call in calls)


def test_deeply_nested_json_is_not_an_answer():
    assert recognize(b"[" * 100_000) is None


DEEP_ARGUMENTS = '{"n":' + "[" * 600 + "]" * 600 + "}"


@pytest.mark.parametrize(
    ("wire", "head", "tail"),
    [
        ("gemini", '{"candidates": [{"content": {"parts": [{"functionCall": {"name": "A", "args": ', "}}]}}]}"),
        ("anthropic", '{"type": "message", "content": [{"type": "tool_use", "id": "a", "name": "A", "input": ', "}]}"),
        ("bedrock", '{"output": {"message": {"content": [{"toolUse": {"name": "A", "input": ', "}}]}}}"),
    ],
)
def test_deeply_nested_arguments_are_decoded(wire, head, tail):
    [call] = decode(f"{head}{DEEP_ARGUMENTS}{tail}", wire)
    assert call.arguments == DEEP_ARGUMENTS


@pytest.mark.parametrize("wire", STREAMS)
def test_a_deeply_nested_event_is_an_error_of_the_stream(wire):
    answer = read_answer(b"data: " + b"[" * 100_000 + b"\n\n", wire)
    assert answer.error.startswith("an event is not a JSON object: '[[[")
