"""Extract models from tool calls: results, errors and their messages."""

import json
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
    def limit_days(cls, days: int, info: ValidationInfo) -> int:
        if info.context and days > info.context["maximum"]:
            raise ValueError(f"at most {info.context['maximum']}")
        return days


TOOLS = Toolset(Iterable[Weather | Stops | Ping | Days])
OSLO = Weather(location="Oslo", units="metric")
GOOD = '{"location": "Oslo", "units": "metric"}'


def make_calls(*named):
    """Return a ``ToolCall`` for each pair of a name and arguments."""
    return [ToolCall(f"call_{index}", name, arguments, index) for index, (name, arguments) in enumerate(named)]


def parse_error(*named, **options):
    """Return the error that parsing these calls raises."""
    with pytest.raises(ExtractionError) as raised:
        TOOLS.parse(make_calls(*named), **options)
    return raised.value


def test_models_are_in_call_order():
    calls = make_calls(("Ping", "{}"), ("Weather", GOOD), ("Ping", None), ("Ping", " "))
    extraction = TOOLS.parse(calls)
    assert extraction == [Ping(), OSLO, Ping(), Ping()]
    assert extraction.calls == tuple(calls)
    assert extraction.errors == ()


def test_an_extraction_is_a_sequence_equal_by_value():
    extraction = TOOLS.parse(make_calls(("Weather", GOOD), ("Ping", "{}")))
    assert isinstance(extraction, Sequence)
    assert len(extraction) == 2
    assert extraction[0] == OSLO
    assert extraction[-1] == Ping()
    assert list(extraction) == [OSLO, Ping()]
    # unlike an iterator, an extraction can be read again
    assert list(extraction) == [OSLO, Ping()]
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


def test_a_call_of_an_unknown_tool_is_an_error():
    error = parse_error(("Weather", GOOD), ("Stocks", "{}"))
    assert type(error) is UnknownTool
    assert str(error) == (
        "call 2 of 2 (id 'call_1'), Stocks: this tool was not offered; offered tools: Weather, Stops, Ping, Days"
    )
    assert error.offered == ("Weather", "Stops", "Ping", "Days")
    assert error.call == ToolCall("call_1", "Stocks", "{}", 1)
    assert error.calls == tuple(make_calls(("Weather", GOOD), ("Stocks", "{}")))
    assert error.models == (OSLO,)
    assert error.errors == (error,)


def test_the_wrapper_that_some_models_call_is_an_unknown_tool():
    assert str(parse_error(("multi_tool_use.parallel", "{}"))).startswith(
        "call 1 of 1 (id 'call_0'), multi_tool_use.parallel: this tool was not offered;"
    )


def test_invalid_arguments_are_an_error_with_a_line_for_each_field():
    error = parse_error(("Stops", '{"stops": [{"location": "Oslo", "units": "kelvin"}, {"location": 3}]}'))
    assert type(error) is InvalidArguments
    assert str(error) == (
        "call 1 of 1 (id 'call_0'), Stops: the arguments do not match the model\n"
        "  $.stops[0].units: Input should be 'imperial' or 'metric', got 'kelvin'\n"
        "  $.stops[1].location: Input should be a valid string, got 3\n"
        "  $.stops[1].units: Field required"
    )
    assert [detail["type"] for detail in error.details] == ["literal_error", "string_type", "missing"]
    assert error.call.name == "Stops"


def test_arguments_that_are_not_an_object_are_invalid():
    assert str(parse_error(("Ping", "[1]"))) == (
        "call 1 of 1 (id 'call_0'), Ping: the arguments do not match the model\n  $: Input should be an object, got [1]"
    )


@pytest.mark.parametrize("arguments", ['{"loc', "SELECT 1", '{"location": "Oslo"}{}'])
def test_arguments_that_are_not_json_are_invalid(arguments):
    error = parse_error(("Weather", arguments))
    assert type(error) is InvalidArguments
    assert str(error).startswith("call 1 of 1 (id 'call_0'), Weather: the arguments are not valid JSON: ")
    assert str(error).endswith(f", in {arguments!r}")
    assert error.details == ()


def test_half_of_a_surrogate_pair_is_invalid():
    error = parse_error(("Weather", '{"location": "\ud800", "units": "metric"}'))
    assert type(error) is InvalidArguments


def test_long_arguments_are_shortened_in_messages():
    assert len(str(parse_error(("Weather", "x" * 10_000)))) < 400


def test_several_invalid_calls_of_one_kind_raise_this_kind():
    error = parse_error(("Weather", "{"), ("Ping", "{}"), ("Days", "{}"))
    assert type(error) is InvalidArguments
    assert str(error) == (
        "2 of 3 calls are invalid:\n"
        "- call 1 of 3 (id 'call_0'), Weather: the arguments are not valid JSON: "
        "EOF while parsing an object at line 1 column 1, in '{'\n"
        "- call 3 of 3 (id 'call_2'), Days: the arguments do not match the model\n"
        "  $.days: Field required"
    )
    assert error.models == (Ping(),)
    assert [call_error.call.index for call_error in error.errors] == [0, 2]
    assert error.call.index == 0


def test_invalid_calls_of_both_kinds_raise_an_extraction_error():
    error = parse_error(("Stocks", "{}"), ("Days", "{}"))
    assert type(error) is ExtractionError
    assert [type(call_error) for call_error in error.errors] == [UnknownTool, InvalidArguments]
    assert str(error).startswith("2 of 2 calls are invalid:\n- call 1 of 2 (id 'call_0'), Stocks: ")


def test_collected_errors_are_stored_in_the_result():
    extraction = TOOLS.parse(make_calls(("Stocks", "{}"), ("Weather", GOOD), ("Days", "{}")), on_error="collect")
    assert extraction == [OSLO]
    assert [type(error) for error in extraction.errors] == [UnknownTool, InvalidArguments]
    assert len(extraction.calls) == 3
    assert repr(extraction).startswith("Extraction([Weather(location='Oslo', units='metric')], errors=[UnknownTool(")


def test_on_error_accepts_two_values():
    with pytest.raises(TypeError, match=r"^on_error must be 'raise' or 'collect', not 'ignore'$"):
        TOOLS.parse([], on_error="ignore")


def test_no_calls_are_an_error_unless_allowed():
    assert str(parse_error()) == (
        "the response has no tool calls and no text\n"
        "  offered tools: Weather, Stops, Ping, Days; pass allow_empty=True to accept a response without tool calls"
    )
    assert TOOLS.parse([], allow_empty=True) == []
    collected = TOOLS.parse([], on_error="collect")
    assert [type(error) for error in collected.errors] == [NoToolCalls]


def test_the_context_is_passed_to_validators():
    calls = make_calls(("Days", '{"days": 9}'))
    assert TOOLS.parse(calls) == [Days(days=9)]
    error = parse_error(("Days", '{"days": 9}'), context={"maximum": 7})
    assert str(error).endswith("\n  $.days: Value error, at most 7, got 9")


def extract_error(**answer):
    """Return the error that extracting this response raises."""
    with pytest.raises(ExtractionError) as raised:
        TOOLS.extract(WireAnswer(**answer), raw="raw")
    assert raised.value.raw == "raw"
    return raised.value


def test_text_instead_of_calls_is_an_error_that_quotes_it():
    error = extract_error(text="Which place?", finish_reason="stop")
    assert type(error) is NoToolCalls
    assert str(error) == (
        "the response has no tool calls (finish reason 'stop'); its text: 'Which place?'\n"
        "  offered tools: Weather, Stops, Ping, Days; pass allow_empty=True to accept a response without tool calls"
    )
    assert error.text == "Which place?"


def test_a_truncated_response_is_an_error_with_its_invalid_calls():
    calls = tuple(make_calls(("Weather", GOOD), ("Weather", '{"loc')))
    error = extract_error(calls=calls, finish_reason="length", is_truncated=True)
    assert type(error) is TruncatedResponse
    assert str(error) == (
        "the response was cut off by a length limit (finish reason 'length'); "
        "1 of 2 calls are valid; raise the limit:\n"
        "- call 2 of 2 (id 'call_1'), Weather: the arguments are not valid JSON: "
        "EOF while parsing a string at line 1 column 5, in '{\"loc'"
    )
    assert error.models == (OSLO,)
    assert [type(call_error) for call_error in error.errors] == [InvalidArguments]


def test_a_response_truncated_between_two_calls_is_an_error():
    calls = tuple(make_calls(("Weather", GOOD)))
    error = extract_error(calls=calls, finish_reason="MAX_TOKENS", is_truncated=True)
    assert str(error) == (
        "the response was cut off by a length limit (finish reason 'MAX_TOKENS'); "
        "1 of 1 calls are valid; raise the limit"
    )


def test_a_refusal_is_an_error():
    error = extract_error(refusal="I cannot help with that.")
    assert type(error) is Refusal
    assert str(error) == "the model refused, or a filter blocked the response: I cannot help with that."
    assert error.text == "I cannot help with that."


def test_an_error_of_the_provider_is_an_extraction_error():
    error = extract_error(error="Upstream is overloaded")
    assert type(error) is ExtractionError
    assert str(error) == "the provider returned an error: Upstream is overloaded"


def test_the_error_of_the_response_is_collected_after_those_of_its_calls():
    calls = tuple(make_calls(("Weather", '{"loc')))
    answer = WireAnswer(calls=calls, finish_reason="length", text="Hm.", is_truncated=True)
    extraction = TOOLS.extract(answer, on_error="collect", usage="usage", raw="raw")
    assert [type(error) for error in extraction.errors] == [InvalidArguments, TruncatedResponse]
    assert extraction.raw == "raw"
    assert extraction.usage == "usage"
    assert extraction.text == "Hm."
    assert all(error.raw == "raw" for error in extraction.errors)


class Trimmed(BaseModel):
    city: str

    @classmethod
    def model_validate_json(cls, json_data, **options):
        return super().model_validate_json(json_data.replace(" Oslo ", "Oslo"), **options)


class Static(BaseModel):
    city: str

    @staticmethod
    def model_validate_json(json_data, **options):
        return Static.model_validate(json.loads(json_data.replace(" Oslo ", "Oslo")), **options)


class Deferred(BaseModel, defer_build=True):
    city: str


@pytest.mark.parametrize(("model", "city"), [(Trimmed, " Oslo "), (Static, " Oslo "), (Deferred, "Oslo")])
def test_a_model_is_validated_by_its_own_method(model, city):
    calls = make_calls((model.__name__, f'{{"city": "{city}"}}'))
    assert Toolset(Iterable[model]).parse(calls) == [model(city="Oslo")]


def test_a_model_is_validated_by_a_function_that_replaces_its_method(monkeypatch):
    monkeypatch.setattr(Deferred, "model_validate_json", lambda *_, **__: Deferred(city="Bergen"))
    calls = make_calls(("Deferred", '{"city": "Oslo"}'))
    assert Toolset(Iterable[Deferred]).parse(calls) == [Deferred(city="Bergen")]
