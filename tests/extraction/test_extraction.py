"""Calls as models: what comes out, what is raised, and with which words."""

from collections.abc import Iterable, Sequence
from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationInfo, field_validator

from multitrack import Extraction, ToolCall, Toolset
from multitrack.errors import (
    ExtractionError,
    InvalidArguments,
    NoToolCalls,
    Refusal,
    TruncatedResponse,
    UnknownTool,
)
from multitrack.wires import WireAnswer


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]


class Stops(BaseModel):
    stops: list[Weather] = Field(min_length=1)


class Ping(BaseModel):
    pass


class Days(BaseModel):
    days: int

    @field_validator("days")
    @classmethod
    def few(cls, days: int, info: ValidationInfo) -> int:
        if info.context and days > info.context["most"]:
            raise ValueError(f"at most {info.context['most']}")
        return days


TOOLS = Toolset(Iterable[Weather | Stops | Ping | Days])
OSLO = Weather(location="Oslo", units="metric")
GOOD = '{"location": "Oslo", "units": "metric"}'


def calls(*named):
    return [ToolCall(f"call_{index}", name, arguments, index) for index, (name, arguments) in enumerate(named)]


def raised_by(*named, **options):
    with pytest.raises(ExtractionError) as raised:
        TOOLS.parse(calls(*named), **options)
    return raised.value


def test_models_in_call_order():
    asked = calls(("Ping", "{}"), ("Weather", GOOD), ("Ping", None), ("Ping", " "))
    extraction = TOOLS.parse(asked)
    assert extraction == [Ping(), OSLO, Ping(), Ping()]
    assert extraction.calls == tuple(asked)
    assert extraction.errors == ()


def test_an_extraction_is_a_sequence_equal_by_value():
    extraction = TOOLS.parse(calls(("Weather", GOOD), ("Ping", "{}")))
    assert isinstance(extraction, Sequence)
    assert (len(extraction), extraction[0], extraction[-1]) == (2, OSLO, Ping())
    assert list(extraction) == list(extraction) == [OSLO, Ping()]
    assert extraction[:1] == (OSLO,)
    assert extraction == (OSLO, Ping())
    assert [OSLO, Ping()] == extraction
    assert extraction == Extraction([OSLO, Ping()])
    assert extraction != [Ping(), OSLO]
    assert extraction != "anything"
    assert extraction.__eq__({}) is NotImplemented
    assert repr(extraction) == "Extraction([Weather(location='Oslo', units='metric'), Ping()])"
    with pytest.raises(TypeError, match="unhashable"):
        hash(extraction)


def test_unknown_tool():
    error = raised_by(("Weather", GOOD), ("Stocks", "{}"))
    assert type(error) is UnknownTool
    assert str(error) == (
        "call 2 of 2 (id 'call_1'), Stocks: this tool was not offered; offered tools: Weather, Stops, Ping, Days"
    )
    assert error.offered == ("Weather", "Stops", "Ping", "Days")
    assert error.call == ToolCall("call_1", "Stocks", "{}", 1)
    assert error.calls == tuple(calls(("Weather", GOOD), ("Stocks", "{}")))
    assert error.models == (OSLO,)
    assert error.errors == (error,)


def test_the_wrapper_that_some_models_call_is_no_tool():
    assert str(raised_by(("multi_tool_use.parallel", "{}"))).startswith(
        "call 1 of 1 (id 'call_0'), multi_tool_use.parallel: this tool was not offered;"
    )


def test_invalid_arguments():
    error = raised_by(("Stops", '{"stops": [{"location": "Oslo", "units": "kelvin"}, {"location": 3}]}'))
    assert type(error) is InvalidArguments
    assert str(error) == (
        "call 1 of 1 (id 'call_0'), Stops: the arguments do not match the model\n"
        "  $.stops[0].units: Input should be 'imperial' or 'metric', got 'kelvin'\n"
        "  $.stops[1].location: Input should be a valid string, got 3\n"
        "  $.stops[1].units: Field required"
    )
    assert [detail["type"] for detail in error.details] == ["literal_error", "string_type", "missing"]
    assert error.call.name == "Stops"


def test_arguments_that_are_no_object():
    assert str(raised_by(("Ping", "[1]"))) == (
        "call 1 of 1 (id 'call_0'), Ping: the arguments do not match the model\n  $: Input should be an object, got [1]"
    )


@pytest.mark.parametrize("arguments", ['{"loc', "SELECT 1", '{"location": "Oslo"}{}'])
def test_arguments_that_are_no_json(arguments):
    error = raised_by(("Weather", arguments))
    assert type(error) is InvalidArguments
    assert str(error).startswith("call 1 of 1 (id 'call_0'), Weather: the arguments are not valid JSON: ")
    assert str(error).endswith(f", in {arguments!r}")
    assert error.details == ()


def test_half_a_character_is_no_text():
    error = raised_by(("Weather", '{"location": "\ud800", "units": "metric"}'))
    assert type(error) is InvalidArguments


def test_long_arguments_are_shortened_in_messages():
    assert len(str(raised_by(("Weather", "x" * 10_000)))) < 400


def test_several_bad_calls_of_a_kind():
    error = raised_by(("Weather", "{"), ("Ping", "{}"), ("Days", "{}"))
    assert type(error) is InvalidArguments
    assert str(error) == (
        "2 of 3 calls are invalid:\n"
        "- call 1 of 3 (id 'call_0'), Weather: the arguments are not valid JSON: "
        "EOF while parsing an object at line 1 column 1, in '{'\n"
        "- call 3 of 3 (id 'call_2'), Days: the arguments do not match the model\n"
        "  $.days: Field required"
    )
    assert error.models == (Ping(),)
    assert [bad.call.index for bad in error.errors] == [0, 2]
    assert error.call.index == 0


def test_bad_calls_of_both_kinds():
    error = raised_by(("Stocks", "{}"), ("Days", "{}"))
    assert type(error) is ExtractionError
    assert [type(bad) for bad in error.errors] == [UnknownTool, InvalidArguments]
    assert str(error).startswith("2 of 2 calls are invalid:\n- call 1 of 2 (id 'call_0'), Stocks: ")


def test_collect():
    extraction = TOOLS.parse(calls(("Stocks", "{}"), ("Weather", GOOD), ("Days", "{}")), on_error="collect")
    assert extraction == [OSLO]
    assert [type(error) for error in extraction.errors] == [UnknownTool, InvalidArguments]
    assert len(extraction.calls) == 3
    assert repr(extraction).startswith("Extraction([Weather(location='Oslo', units='metric')], errors=[UnknownTool(")


def test_on_error_has_two_values():
    with pytest.raises(TypeError, match=r"^on_error must be 'raise' or 'collect', not 'ignore'$"):
        TOOLS.parse([], on_error="ignore")


def test_no_calls():
    assert str(raised_by()) == (
        "the response has no tool calls and no text\n"
        "  offered tools: Weather, Stops, Ping, Days; pass allow_empty=True to accept a response without tool calls"
    )
    assert TOOLS.parse([], allow_empty=True) == []
    collected = TOOLS.parse([], on_error="collect")
    assert [type(error) for error in collected.errors] == [NoToolCalls]


def test_context_reaches_validators():
    asked = calls(("Days", '{"days": 9}'))
    assert TOOLS.parse(asked) == [Days(days=9)]
    error = raised_by(("Days", '{"days": 9}'), context={"most": 7})
    assert str(error).endswith("\n  $.days: Value error, at most 7, got 9")


def extracted(**answer):
    with pytest.raises(ExtractionError) as raised:
        TOOLS.extract(WireAnswer(**answer), raw="raw")
    assert raised.value.raw == "raw"
    return raised.value


def test_text_instead_of_calls():
    error = extracted(text="Which place?", finish_reason="stop")
    assert type(error) is NoToolCalls
    assert str(error) == (
        "the response has no tool calls (finish reason 'stop'); its text: 'Which place?'\n"
        "  offered tools: Weather, Stops, Ping, Days; pass allow_empty=True to accept a response without tool calls"
    )
    assert error.text == "Which place?"


def test_truncated():
    error = extracted(calls=tuple(calls(("Weather", GOOD), ("Weather", '{"loc'))), finish_reason="length")
    assert type(error) is TruncatedResponse
    assert str(error) == (
        "the response was cut off by a length limit (finish reason 'length'); "
        "1 of 2 calls are valid; raise the limit:\n"
        "- call 2 of 2 (id 'call_1'), Weather: the arguments are not valid JSON: "
        "EOF while parsing a string at line 1 column 5, in '{\"loc'"
    )
    assert (error.models, [type(bad) for bad in error.errors]) == ((OSLO,), [InvalidArguments])


def test_truncated_between_two_calls():
    error = extracted(calls=tuple(calls(("Weather", GOOD))), finish_reason="MAX_TOKENS")
    assert str(error) == (
        "the response was cut off by a length limit (finish reason 'MAX_TOKENS'); "
        "1 of 1 calls are valid; raise the limit"
    )


def test_refusal():
    error = extracted(refusal="I cannot help with that.")
    assert type(error) is Refusal
    assert (str(error), error.text) == (
        "the model refused, or a filter blocked the response: I cannot help with that.",
        "I cannot help with that.",
    )


def test_an_error_in_the_place_of_an_answer():
    error = extracted(error="Upstream is overloaded")
    assert type(error) is ExtractionError
    assert str(error) == "the provider returned an error: Upstream is overloaded"


def test_what_is_wrong_with_the_answer_is_collected_behind_its_calls():
    answer = WireAnswer(calls=tuple(calls(("Weather", '{"loc'))), finish_reason="length", text="Hm.")
    extraction = TOOLS.extract(answer, on_error="collect", usage="usage", raw="raw")
    assert [type(error) for error in extraction.errors] == [InvalidArguments, TruncatedResponse]
    assert (extraction.raw, extraction.usage, extraction.text) == ("raw", "usage", "Hm.")
    assert all(error.raw == "raw" for error in extraction.errors)
