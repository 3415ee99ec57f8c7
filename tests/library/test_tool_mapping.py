"""Recorded calls become calls of the tools that a request offers."""

import json

import pytest

from multitrack.library.answer_rewriting import rewrite_calls
from multitrack.library.behaviour import behaviours
from multitrack.library.requests import ends_with_results, find_wire, read_tools
from multitrack.library.tool_mapping import map_calls
from multitrack.tape.exchange import Request
from multitrack.tool_call import ToolCall
from multitrack.wires.tool import OfferedTool


def schema(**properties):
    return {"type": "object", "properties": {n: {"type": t} for n, t in properties.items()}, "required": [*properties]}


WEATHER = OfferedTool("Weather", schema(location="string", units="string"))
SEARCH = OfferedTool("GoogleSearch", schema(query="string"))
BOOK = OfferedTool("book_flight", schema(city="string", airline="string"))
FIND = OfferedTool("find", schema(text="string"))
CALLS = [
    ToolCall("1", "Weather", '{"location":"Toronto","units":"metric"}', 0),
    ToolCall("2", "GoogleSearch", '{"query":"x"}', 1),
    ToolCall("3", "Weather", '{"location":"Dallas","units":"imperial"}', 2),
]


def map_names(offered):
    return [call.name for call in map_calls(CALLS, [WEATHER, SEARCH], offered, "valid")]


def map_arguments(call, tool, style):
    [mapped] = map_calls([call], [WEATHER, SEARCH], [tool], style)
    return mapped.arguments


def test_tools_are_mapped_by_the_types_of_their_fields():
    assert map_names([FIND, BOOK]) == ["book_flight", "find", "book_flight"]


def test_a_tool_with_the_same_name_is_preferred():
    assert map_names([OfferedTool("GoogleSearch", WEATHER.schema), OfferedTool("Weather", SEARCH.schema)]) == [
        "Weather",
        "GoogleSearch",
        "Weather",
    ]


def test_one_tool_receives_all_calls_with_different_arguments():
    mapped = map_calls(CALLS, [WEATHER, SEARCH], [FIND], "valid")
    assert [call.name for call in mapped] == ["find"] * 3
    assert len({call.arguments for call in mapped}) == 3


def test_a_call_of_an_unknown_tool_stays_one():
    [call] = map_calls([ToolCall(None, "find", "{}", 0)], [WEATHER], [FIND, BOOK], "valid")
    assert call.name == "find_2"


@pytest.mark.parametrize("arguments", [None, "", "{}"])
def test_recorded_arguments_stay(arguments):
    assert map_arguments(ToolCall(None, "Weather", arguments, 0), BOOK, "recorded") == arguments


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (BOOK, {"city": {"unexpected": True}, "airline": "text"}),
        (OfferedTool("t", {"properties": {"a": {"type": "object"}}}), {"a": "unexpected"}),
        (OfferedTool("t", {"properties": {"a": {}}, "required": ["a"]}), {}),
        (OfferedTool("t", {"type": "object", "additionalProperties": False}), {"unexpected": True}),
    ],
)
def test_invalid_arguments_do_not_match_the_schema(tool, expected):
    assert json.loads(map_arguments(CALLS[0], tool, "invalid")) == expected


@pytest.mark.parametrize(
    ("field", "unexpected"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, {"unexpected": True}),
        ({"type": ["integer", "null"]}, {"unexpected": True}),
        ({"type": ["object", "null"]}, "unexpected"),
        ({"type": ["object", "string"]}, ["unexpected"]),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_a_field_that_may_be_null_has_an_invalid_value(field, unexpected, required):
    tool = OfferedTool("t", {"type": "object", "properties": {"x": field}, "required": ["x"] if required else []})
    assert json.loads(map_arguments(CALLS[0], tool, "invalid"))["x"] == unexpected


def test_a_tool_that_accepts_everything_has_no_invalid_arguments():
    with pytest.raises(ValueError, match="the tool t accepts all arguments"):
        map_arguments(CALLS[0], OfferedTool("t", {"type": "object"}), "invalid")


def test_truncated_text_is_the_beginning_of_valid_arguments():
    cut = map_arguments(ToolCall(None, "Weather", '{"loca', 0), BOOK, "cut_off")
    assert '{"city":"text","airline":"text"}'.startswith(cut)
    assert cut[-1] != "}"


def test_truncated_objects_lack_a_field():
    assert map_arguments(ToolCall(None, "Weather", '{"location":"x"}', 0), BOOK, "cut_off") == '{"city":"text"}'


def test_spaced_arguments_are_valid():
    spaced = map_arguments(CALLS[0], BOOK, "spaced")
    assert json.loads(spaced) == {"city": "text", "airline": "text"}
    assert spaced.startswith(" {\n")
    assert r'"\u0074ext"' in spaced


def count_deltas(body):
    return body.count(b'"tool_calls"')


@pytest.mark.parametrize("name", ["interleaved_deltas", "missing_index", "repeated_index", "call_in_one_delta"])
def test_a_stream_of_chat_completions_keeps_its_deltas(name):
    [behaviour] = behaviours("openai.chat.stream", name)
    calls = map_calls(behaviour.calls, read_tools(behaviour.interactions[0].request), [BOOK, FIND], "valid")
    body = rewrite_calls(behaviour.body, "openai.chat.stream", calls)
    assert count_deltas(body) == count_deltas(behaviour.body)
    assert (b'"index":' in body.partition(b"tool_calls")[2][:20]) == (
        b'"index":' in behaviour.body.partition(b"tool_calls")[2][:20]
    )


REQUESTS = [
    ("openai.chat", "https://api.openai.com/v1/chat/completions", {"messages": [], "stream": False}),
    ("openai.chat.stream", "https://api.openai.com/v1/chat/completions", {"messages": [], "stream": True}),
    ("openai.responses.stream", "https://api.openai.com/v1/responses", {"input": "x", "stream": True}),
    ("anthropic", "https://api.anthropic.com/v1/messages", {"messages": [], "max_tokens": 1}),
    ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse", {"messages": []}),
    ("bedrock.stream", "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse-stream", {"messages": []}),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta/models/x:generateContent", {"contents": []}),
    (
        "gemini.stream",
        "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/x:streamGenerateContent"
        "?$alt=json",
        {"contents": []},
    ),
    (
        "gemini.grpc.stream",
        "grpc://host/google.cloud.aiplatform.v1.PredictionService/StreamGenerateContent",
        {"contents": []},
    ),
]


@pytest.mark.parametrize(("wire", "url", "document"), REQUESTS)
def test_the_wire_format_of_a_request(wire, url, document):
    assert find_wire(Request("POST", url, (), json.dumps(document).encode())) == wire


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": {"type": "function", "function": {"name": "b"}}},
        {"tool_choice": {"type": "tool", "name": "b"}},
        {"toolConfig": {"toolChoice": {"tool": {"name": "b"}}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["b"]}}},
    ],
)
def test_only_tools_that_the_request_allows_are_called(fields):
    tools = [{"name": name, "input_schema": schema(text="string")} for name in ("a", "b", "c")]
    request = Request(
        "POST", "https://api.anthropic.com/v1/messages", (), json.dumps({"tools": tools, **fields}).encode()
    )
    assert [tool.name for tool in read_tools(request)] == ["b"]


@pytest.mark.parametrize("behaviour", behaviours(name="one_call"))
def test_the_requests_of_every_format_are_read(behaviour):
    first, final = behaviour.interactions[0].request, behaviour.final.request
    assert find_wire(first) == behaviour.wire
    assert read_tools(first)[0].name == behaviour.calls[0].name
    assert list(read_tools(first)[0].schema["properties"]) == list(json.loads(behaviour.calls[0].arguments))
    assert not ends_with_results(first)
    assert ends_with_results(final)
