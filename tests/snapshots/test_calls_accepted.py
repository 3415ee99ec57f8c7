"""Every representation of parallel tool calls is converted to the same calls."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from multitrack.extraction import Extraction
from multitrack.snapshots.collected_calls import to_snapshot_calls
from multitrack.snapshots.conversion import UnwritableValue
from multitrack.tool_call import ToolCall


class Weather(BaseModel):
    location: str
    units: str = "metric"


class RunCommand(BaseModel):
    name: str
    arguments: str


@dataclass
class Search:
    query: str


ARGUMENTS = '{"location": "Toronto", "units": "metric"}'


def openai_chat():
    from openai.types.chat import ChatCompletionMessageToolCall

    return ChatCompletionMessageToolCall.model_validate(
        {"id": "call_1", "type": "function", "function": {"name": "Weather", "arguments": ARGUMENTS}}
    )


def openai_responses():
    from openai.types.responses import ResponseFunctionToolCall

    return ResponseFunctionToolCall(type="function_call", call_id="call_1", name="Weather", arguments=ARGUMENTS)


def openai_chat_custom():
    from openai.types.chat import ChatCompletionMessageCustomToolCall

    return ChatCompletionMessageCustomToolCall.model_validate(
        {"id": "call_1", "type": "custom", "custom": {"name": "Weather", "input": ARGUMENTS}}
    )


def openai_responses_custom():
    from openai.types.responses import ResponseCustomToolCall

    return ResponseCustomToolCall(type="custom_tool_call", call_id="call_1", name="Weather", input=ARGUMENTS)


def genai():
    return pytest.importorskip("google.genai.types").FunctionCall(
        id="call_1", name="Weather", args={"location": "Toronto", "units": "metric"}
    )


def vertexai():
    from vertexai.generative_models import FunctionCall

    return FunctionCall(name="Weather", args={"location": "Toronto", "units": "metric"})


def openai_legacy():
    from openai.types.chat.chat_completion_message import FunctionCall

    return FunctionCall(name="Weather", arguments=ARGUMENTS)


def genai_part():
    return pytest.importorskip("google.genai.types").Part(function_call=genai())


def vertexai_part():
    from vertexai.generative_models import Part

    return Part.from_dict({"function_call": {"name": "Weather", "args": {"location": "Toronto", "units": "metric"}}})


def proto_plus_part():
    from google.cloud.aiplatform_v1beta1.types import Part

    return Part(function_call=proto_plus())


def protobuf_part():
    return type(proto_plus_part()).pb(proto_plus_part())


def proto_plus():
    from google.cloud.aiplatform_v1beta1.types import FunctionCall

    return FunctionCall(name="Weather", args={"location": "Toronto", "units": "metric"})


def protobuf():
    return type(proto_plus()).pb(proto_plus())


@pytest.mark.parametrize(
    "call",
    [
        lambda: Weather(location="Toronto"),
        lambda: ToolCall(id="call_1", name="Weather", arguments=ARGUMENTS, index=0),
        lambda: {"name": "Weather", "arguments": {"location": "Toronto", "units": "metric"}},
        lambda: {"id": "call_1", "name": "Weather", "arguments": ARGUMENTS},
        lambda: {"name": "Weather", "args": {"location": "Toronto", "units": "metric"}},
        lambda: {"type": "function", "function": {"name": "Weather", "arguments": ARGUMENTS}},
        lambda: SimpleNamespace(function=SimpleNamespace(name="Weather", arguments=ARGUMENTS)),
        lambda: {"id": "call_1", "type": "custom", "custom": {"name": "Weather", "input": ARGUMENTS}},
        openai_chat,
        openai_chat_custom,
        openai_responses,
        openai_responses_custom,
        genai,
        vertexai,
        proto_plus,
        protobuf,
        lambda: {"functionCall": {"name": "Weather", "args": {"location": "Toronto", "units": "metric"}}},
        openai_legacy,
        genai_part,
        vertexai_part,
        proto_plus_part,
        protobuf_part,
    ],
)
@pytest.mark.parametrize("collect", [list, tuple, iter])
def test_a_call_of_any_class_is_accepted(call, collect):
    assert [str(item) for item in to_snapshot_calls(collect([call()]))] == [
        "Weather(location='Toronto', units='metric')"
    ]


@pytest.mark.parametrize("make", [genai, vertexai, proto_plus])
def test_whole_numbers_of_gemini_are_integers_although_it_only_sends_doubles(make):
    arguments = {"days": 3.0, "low": -0.5, "stops": [{"nights": 1.0}, None], "open": True}
    kind = type(make())
    (full,) = to_snapshot_calls([kind(name="Plan", args=arguments)])
    assert dict(full.keywords) == {"days": 3, "low": -0.5, "stops": [{"nights": 1}, None], "open": True}
    assert isinstance(dict(full.keywords)["days"], int)
    assert [str(call) for call in to_snapshot_calls([kind(name="Stop", args={})])] == ["Stop()"]


def test_the_extraction_of_a_stream_has_the_calls_of_its_models():
    extraction = Extraction([Weather(location="Toronto")], calls=[ToolCall("1", "Weather", ARGUMENTS, 0)])
    assert (
        to_snapshot_calls(extraction)
        == to_snapshot_calls(extraction.calls)
        == to_snapshot_calls([Weather(location="Toronto")])
    )


def test_a_users_model_with_the_name_of_geminis_class_is_a_model():
    class FunctionCall(BaseModel):
        name: str
        args: dict[str, int]

    assert [str(call) for call in to_snapshot_calls([FunctionCall(name="f", args={"x": 1})])] == [
        "FunctionCall(name='f', args={'x': 1})"
    ]


def test_a_model_with_a_name_and_arguments_is_a_model():
    (call,) = to_snapshot_calls([RunCommand(name="ls", arguments="-l")])
    assert str(call) == "RunCommand(name='ls', arguments='-l')"


def test_a_dataclass_is_a_call():
    assert [str(call) for call in to_snapshot_calls([Search("x")])] == ["Search(query='x')"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (None, "Weather()"),
        ("{}", "Weather()"),
        ('{"loc', "Weather('{\"loc')"),
        ("[1]", "Weather('[1]')"),
        ("[" * 100_000, f"Weather('{'[' * 100_000}')"),
    ],
    ids=["none", "empty", "broken", "not an object", "too deep"],
)
def test_arguments_that_are_not_a_json_object_are_kept_as_text(arguments, text):
    assert [str(call) for call in to_snapshot_calls([ToolCall("1", "Weather", arguments, 0)])] == [text]


ACCEPTED = (
    "a call is a Pydantic model, a dataclass, a ToolCall, a tool call of an SDK, or a dict with 'name' and 'arguments'"
)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "expected an iterable of calls, got None; pass [] if there are no calls: message.tool_calls or []"),
        (3, f"expected an iterable of calls, got int; {ACCEPTED}"),
        ("Weather()", f"expected an iterable of calls, got str; {ACCEPTED}"),
        (Weather(location="x"), "expected an iterable of calls, got one Weather; put it in a list: [call]"),
        ({"name": "x"}, "expected an iterable of calls, got one dict; put it in a list: [call]"),
        (Search("x"), "expected an iterable of calls, got one Search; put it in a list: [call]"),
        ([Weather(location="x"), 3], f"[1]: int is not a tool call; {ACCEPTED}"),
        ([{"city": "x"}], f"[0]: dict is not a tool call; {ACCEPTED}"),
        ([{"name": "x", "arguments": 3}], f"[0]: dict is not a tool call; {ACCEPTED}"),
        ([[Weather(location="x")]], f"[0]: list is not a tool call; {ACCEPTED}"),
        (
            [{"name": "x", "arguments": {"payload": {"inner": object()}}}],
            "[0].payload.inner: builtins.object cannot be written in a snapshot",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_value_that_is_not_an_iterable_of_calls_is_rejected(value, message):
    with pytest.raises(UnwritableValue) as error_info:
        to_snapshot_calls(value)
    assert str(error_info.value) == message


def test_texts_of_every_kind_of_call_are_redacted():
    def redact_text(text: str) -> str:
        return text.replace("sk-1", "[key]")

    calls = [
        Weather(location="at sk-1"),
        ToolCall("1", "Weather", '{"location": "sk-1", "sk-1": "x"}', 0),
        ToolCall("1", "Weather", "{broken sk-1", 0),
    ]
    assert [str(call) for call in to_snapshot_calls(calls, redact_text=redact_text)] == [
        "Weather(location='at [key]', units='metric')",
        "Weather(location='[key]', **{'[key]': 'x'})",
        "Weather('{broken [key]')",
    ]


def reasoning():
    from openai.types.responses import ResponseReasoningItem

    return ResponseReasoningItem(id="rs_1", summary=[], type="reasoning")


def text_part():
    return pytest.importorskip("google.genai.types").Part(text="x")


def vertexai_text_part():
    from vertexai.generative_models import Part

    return Part.from_text("x")


@pytest.mark.parametrize("item", [reasoning, text_part, vertexai_text_part])
def test_other_parts_of_a_response_are_rejected_and_not_taken_for_calls(item):
    with pytest.raises(UnwritableValue) as error_info:
        to_snapshot_calls([Weather(location="x"), item()])
    assert str(error_info.value) == f"[1]: {type(item()).__name__} is not a tool call; {ACCEPTED}"
