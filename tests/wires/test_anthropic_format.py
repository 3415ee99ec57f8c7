"""Tools and conversations in the wire format of Anthropic's Messages API."""

import copy
import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from wire_answers import load_recorded_answers

from multitrack import ToolCall
from multitrack.extraction import Toolset
from multitrack.wires import (
    ToolResult,
    continue_conversation,
    create_stream_decoder,
    read_answer,
    recognize,
    registry,
)


class Place(BaseModel):
    city: str
    country: str = "DE"


class Trip(BaseModel):
    """A trip."""

    start: Place = Field(description="Where it starts.")
    stops: Annotated[list[Place], Field(min_length=1, max_length=5)]
    nights: int = Field(3, ge=1, le=14)
    day: date | None = None
    units: Literal["metric", "imperial"] = "metric"
    code: str = Field("A1", pattern=r"^[A-Z]\d$")
    word: str = Field("", pattern=r"\bx\b")


def write_tool(model, *, strict=False):
    [tool] = Toolset(list[model]).schemas("anthropic", strict=strict)
    return tool


def test_a_tool_has_the_schema_of_its_model():
    assert write_tool(Place) == {
        "name": "Place",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "country": {"default": "DE", "type": "string"}},
            "required": ["city"],
        },
    }


def test_the_docstring_becomes_the_description():
    assert write_tool(Trip)["description"] == "A trip."


def test_a_strict_tool_is_marked():
    assert write_tool(Place, strict=True)["strict"] is True
    assert "strict" not in write_tool(Place)


def test_a_strict_schema_allows_no_other_fields():
    schema = write_tool(Trip, strict=True)["input_schema"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Place"]["additionalProperties"] is False


def test_a_strict_schema_keeps_fields_optional_with_their_default():
    schema = write_tool(Trip, strict=True)["input_schema"]
    assert schema["required"] == ["start", "stops"]
    assert schema["properties"]["units"]["default"] == "metric"
    assert schema["properties"]["day"] == {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}],
        "default": None,
    }


def test_a_strict_schema_describes_the_bounds_that_it_cannot_express():
    properties = write_tool(Trip, strict=True)["input_schema"]["properties"]
    assert properties["nights"] == {"type": "integer", "default": 3, "description": "(maximum: 14, minimum: 1)"}
    assert properties["stops"]["minItems"] == 1
    assert properties["stops"]["description"] == "(maxItems: 5)"


def test_a_strict_schema_has_simple_patterns_only():
    properties = write_tool(Trip, strict=True)["input_schema"]["properties"]
    assert properties["code"]["pattern"] == r"^[A-Z]\d$"
    assert "pattern" not in properties["word"]
    assert properties["word"]["description"] == r"(pattern: \bx\b)"


def test_a_reference_has_no_other_keyword_beside_it():
    start = write_tool(Trip, strict=True)["input_schema"]["properties"]["start"]
    assert start == {"anyOf": [{"$ref": "#/$defs/Place"}], "description": "Where it starts."}


class Tree(BaseModel):
    children: list["Tree"]


class Scores(BaseModel):
    scores: dict[str, int]


class Pair(BaseModel):
    pair: tuple[int, str]


class Anything(BaseModel):
    value: Any


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Tree, "Tree, which contains itself (at $.children[].children[])"),
        (Scores, "a dictionary with arbitrary keys (at $.scores)"),
        (Pair, "a tuple of several types (at $.pair)"),
        (Anything, "a value of any type (at $.value)"),
    ],
)
def test_what_a_strict_schema_cannot_express_is_an_error(model, reason):
    assert write_tool(model)
    with pytest.raises(TypeError) as raised:
        write_tool(model, strict=True)
    assert str(raised.value) == (
        f"{model.__name__}: Anthropic's strict tools cannot express {reason}; "
        f"change the type of the field, or remove strict=True"
    )


THINKING = {"type": "thinking", "thinking": "They want weather.", "signature": "EqQBCgYIBRgC"}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "url": "https://example.org", "encrypted_content": "Eqgf"}],
}


def call(call_id, name="Weather", **arguments):
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def continue_after(content, accepted, remark=None):
    """Return the messages after an answer, whose calls are ``accepted`` or not, in order."""
    document = {"type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use"}
    before = copy.deepcopy(document)
    calls = read_answer(document, "anthropic").calls
    results = [ToolResult(each, ok, "fine" if ok else "wrong") for each, ok in zip(calls, accepted, strict=True)]
    messages = continue_conversation(document, results, "anthropic", remark=remark)
    assert document == before
    return messages


def test_only_a_rejected_call_has_an_error():
    _, results = continue_after([call("toolu_a", n=1), call("toolu_b", n=2)], [True, False])
    assert results == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_a", "content": "fine"},
            {"type": "tool_result", "tool_use_id": "toolu_b", "content": "wrong", "is_error": True},
        ],
    }


def test_the_remark_follows_the_results_in_the_same_message():
    _, results = continue_after([call("toolu_a")], [False], remark="Correct these.")
    assert [block["type"] for block in results["content"]] == ["tool_result", "text"]
    assert results["content"][1]["text"] == "Correct these."


def test_thinking_and_server_tools_go_back_unchanged_and_in_order():
    content = [THINKING, REDACTED, {"type": "text", "text": "Let me look."}, SEARCH, FOUND, call("toolu_a", n=1)]
    answer, _ = continue_after(content, [False])
    assert answer == {"role": "assistant", "content": content}


def test_a_text_without_visible_characters_does_not_go_back():
    answer, _ = continue_after([{"type": "text", "text": " \n"}, call("toolu_a")], [True])
    assert answer["content"] == [call("toolu_a")]


def test_fields_that_are_null_do_not_go_back():
    content = [{"type": "text", "text": "Hi", "citations": None}, {**call("toolu_a"), "caller": None}]
    answer, _ = continue_after(content, [True])
    assert answer["content"] == [{"type": "text", "text": "Hi"}, call("toolu_a")]


def test_a_citation_goes_back_without_the_field_that_only_answers_have():
    citation = {"type": "char_location", "cited_text": "Rain.", "document_index": 0, "document_title": None}
    content = [{"type": "text", "text": "Rain.", "citations": [{**citation, "file_id": None}]}, call("toolu_a")]
    answer, _ = continue_after(content, [True])
    assert answer["content"][0] == {"type": "text", "text": "Rain.", "citations": [citation]}


def stream_block(index, start, *deltas):
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def continue_after_stream(*events):
    decoder = create_stream_decoder("anthropic.stream")
    for event in [*events, {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]:
        decoder.feed_chunk(event)
    results = [ToolResult(each, True, "fine") for each in decoder.answer.calls]
    return continue_conversation(decoder.document, results, "anthropic")


@pytest.mark.parametrize(
    ("pieces", "found"),
    [(['{"query":', ' "rain"}'], {"query": "rain"}), (['{"query":'], {}), ([""], {}), ([], {})],
    ids=["whole", "cut off", "empty", "none"],
)
def test_the_streamed_input_of_a_server_tool_goes_back(pieces, found):
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    events = [*stream_block(0, {**SEARCH, "input": {}}, *deltas), *stream_block(1, FOUND)]
    [answer] = continue_after_stream(*events)
    assert answer == {"role": "assistant", "content": [{**SEARCH, "input": found}, FOUND]}


def test_a_streamed_summary_of_the_conversation_goes_back():
    delta = {"type": "compaction_delta", "content": "They want weather.", "encrypted_content": "Eqgf"}
    [answer] = continue_after_stream(*stream_block(0, {"type": "compaction", "content": None}, delta))
    assert answer["content"] == [{**delta, "type": "compaction"}]


def test_a_block_whose_start_was_lost_does_not_go_back():
    _, *lost = stream_block(0, {}, {"type": "input_json_delta", "partial_json": '{"n": 1}'})
    answer, _ = continue_after_stream(*lost, *stream_block(1, call("toolu_a")))
    assert answer["content"] == [call("toolu_a")]


def test_calls_without_an_id_of_their_own_get_one():
    answer, results = continue_after([call("toolu_a"), call("toolu_a"), call("")], [True, True, True])
    ids = [block["id"] for block in answer["content"]]
    assert ids == ["toolu_a", "call_0", "call_1"]
    assert [block["tool_use_id"] for block in results["content"]] == ids


def test_a_name_that_anthropic_refuses_is_corrected():
    answer, _ = continue_after([call("toolu_a", name="multi_tool_use.parallel")], [False])
    assert answer["content"][0]["name"] == "multi_tool_use_parallel"


def test_input_that_is_not_an_object_goes_back_as_an_empty_one():
    answer, _ = continue_after([{**call("toolu_a"), "input": '{"n":'}], [False])
    assert answer["content"][0]["input"] == {}


def test_an_answer_without_content_is_left_out():
    assert continue_after([], [], remark="Go on.") == [
        {"role": "user", "content": [{"type": "text", "text": "Go on."}]}
    ]


def test_recorded_answers_can_be_continued():
    for line in load_recorded_answers():
        if line["wire"] == "anthropic":
            document = json.loads(line["response_body"])
            accepted = [True] * len(line["expected"])
            answer, *results = continue_after(document["content"], accepted)
            ids = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
            assert ids == [call["id"] for call in line["expected"]]
            assert len(results) == bool(ids)


def test_the_calls_of_an_answer_have_the_ids_of_their_blocks():
    content = [call("toolu_a", n=1), SEARCH, call("toolu_b")]
    assert read_answer({"type": "message", "content": content}).calls == (
        ToolCall("toolu_a", "Weather", '{"n":1}', 0),
        ToolCall("toolu_b", "Weather", "{}", 1),
    )


@pytest.mark.parametrize("fields", [{"content": None}, {}], ids=["null", "absent"])
def test_an_answer_without_content_is_recognized(fields):
    document = {"type": "message", "role": "assistant", "stop_reason": "refusal", **fields}
    assert recognize(document) == "anthropic"
    assert read_answer(document).refusal == "refusal"


@pytest.mark.parametrize("key", ["message", "Message"])
def test_an_error_of_bedrock_is_an_error(key):
    answer = read_answer({key: "Too many requests"}, "anthropic")
    assert answer.error == "Too many requests"


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://api.anthropic.com/v1/messages", None),
        ("https://b.amazonaws.com/model/eu.anthropic.claude-v1%3A0/invoke", "eu.anthropic.claude-v1:0"),
        ("https://b.amazonaws.com/model/claude-sonnet-5/invoke-with-response-stream", "claude-sonnet-5"),
        ("https://a.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-5:rawPredict",
         "claude-sonnet-5"),
    ],
)  # fmt: skip
def test_the_model_may_be_in_the_url(url, model):
    assert registry.find_model_in_url(url) == model


@pytest.mark.parametrize("url", ["https://api.anthropic.com/v1/messages", "https://a/v1/messages?beta=true"])
def test_a_request_is_recognized_by_its_path(url):
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    assert registry.get_format("anthropic").recognizes_request(body, url)
    assert not registry.get_format("anthropic").recognizes_request(body, "https://api.openai.com/v1/chat/completions")


@pytest.mark.parametrize(
    ("body", "has_mark"),
    [
        (b'event: message_stop\ndata: {"type":"message_stop"          }\n\n', True),
        (b'event: message_stop\ndata: {"type": "message_stop"}\r\n\r\n', True),
        (b"data: [DONE]\n\n", True),
        (b'event: message_stop\ndata: {"type":"message_st', False),
        (b'event: message_delta\ndata: {"type":"message_delta"}\n\n', False),
    ],
)
def test_the_end_mark_of_a_stream_is_found(body, has_mark):
    assert registry.has_end_mark(b"data: {}\n\n" + body) is has_mark


def test_a_block_of_the_sdk_is_a_call():
    types = pytest.importorskip("anthropic.types")
    wire_format = registry.get_format("anthropic")
    block = types.ToolUseBlock(id="toolu_a", name="Weather", input={"n": 1}, type="tool_use")
    assert wire_format.find_call(block) == ("Weather", {"n": 1})
    assert wire_format.find_call(types.TextBlock(text="Hi", type="text")) is None
