"""Models as tools: names, descriptions, schemas."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Generic, Literal, TypeVar

import pytest
from pydantic import BaseModel, Field

from multitrack import ToolCall, Toolset

T = TypeVar("T")


class Weather(BaseModel):
    """The weather at a place.

    Today's, that is.
    """

    location: str = Field(description="A city", title="Place")
    units: Literal["imperial", "metric"] = "metric"


class Unit(enum.Enum):
    C = "c"


class Trip(BaseModel):
    title: str
    start: date
    unit: Unit
    stops: list[Weather] = []


class Node(BaseModel):
    """A tree."""

    kids: list[Node] = []


class Alias(BaseModel):
    where: str = Field(alias="location")


def parameters(form, wire="openai.chat"):
    [tool] = Toolset(form).schemas(wire)
    return tool["function"]


def test_a_tool_is_described_by_the_docstring_and_holds_no_noise():
    assert parameters(Iterable[Weather]) == {
        "name": "Weather",
        "description": "The weather at a place.\n\nToday's, that is.",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "A city", "title": "Place"},
                "units": {"type": "string", "enum": ["imperial", "metric"], "default": "metric"},
            },
            "required": ["location"],
        },
    }


def test_a_model_without_docstring_has_no_description():
    tool = parameters(Iterable[Trip])
    assert "description" not in tool
    assert tool["parameters"]["properties"]["title"] == {"type": "string"}
    assert tool["parameters"]["$defs"]["Unit"] == {"type": "string", "enum": ["c"]}
    assert "title" not in tool["parameters"]["$defs"]["Weather"]


def test_a_recursive_model_is_an_object_all_the_same():
    tool = parameters(Iterable[Node])
    assert (tool["description"], tool["parameters"]["type"]) == ("A tree.", "object")
    assert tool["parameters"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/Node"}
    with pytest.raises(TypeError, match=r"^Node: Gemini's schema language cannot express Node, which contains itself"):
        Toolset(Iterable[Node]).schemas("gemini")
    call = ToolCall("a", "Node", '{"kids": [{"kids": []}]}', 0)
    assert Toolset(Iterable[Node]).parse([call]) == [Node(kids=[Node()])]


def test_aliases_are_what_the_model_is_told():
    assert parameters(Iterable[Alias])["parameters"]["required"] == ["location"]
    assert Toolset(Iterable[Alias]).parse([ToolCall(None, "Alias", '{"location": "Rome"}', 0)])[0].where == "Rome"


def test_models_of_one_class_name_get_distinct_tools_and_their_own_calls():
    def another():
        class Weather(BaseModel):
            """Of another place."""

            city: str

        return Weather

    Other = another()  # noqa: N806
    toolset = Toolset(Iterable[Weather | Other])
    assert toolset.names == ("Weather", "Weather_2")
    assert toolset.models == {"Weather": Weather, "Weather_2": Other}
    calls = [ToolCall("a", "Weather_2", '{"city": "Rome"}', 0), ToolCall("b", "Weather", '{"location": "Oslo"}', 1)]
    assert toolset.parse(calls) == [Other(city="Rome"), Weather(location="Oslo")]


def test_generic_models():
    class Box(BaseModel, Generic[T]):
        value: T

    toolset = Toolset(Iterable[Box[int] | Box[list[str]]])
    assert toolset.names == ("Box_int", "Box_list_str")
    assert toolset.parse([ToolCall(None, "Box_list_str", '{"value": ["a"]}', 0)]) == [Box[list[str]](value=["a"])]


def test_discriminated_unions():
    class Cat(BaseModel):
        kind: Literal["cat"] = "cat"

    class Dog(BaseModel):
        kind: Literal["dog"] = "dog"

    toolset = Toolset(Iterable[Annotated[Cat | Dog, Field(discriminator="kind")]])
    assert toolset.parse([ToolCall(None, "Dog", "{}", 0)]) == [Dog()]


@pytest.mark.parametrize("name", ["Größe", "x" * 80, "Ünï"])
def test_tool_names_are_those_that_providers_take(name):
    model = type(name, (BaseModel,), {"__annotations__": {"a": int}})
    [tool] = Toolset(Iterable[model]).names
    assert len(tool) <= 64
    assert tool.isascii()


def test_schemas_are_made_once_for_the_same_models_in_the_same_order():
    first = Toolset(Iterable[Weather | Trip]).schemas("openai.chat")
    assert Toolset(list[Weather | Trip]).schemas("openai.chat") is first
    assert [tool["function"]["name"] for tool in Toolset(Iterable[Trip | Weather]).schemas("openai.chat")] == [
        "Trip",
        "Weather",
    ]


def test_the_same_models_in_each_dialect():
    toolset = Toolset(Iterable[Trip])
    [gemini] = toolset.schemas("gemini")
    trip = gemini["functionDeclarations"][0]["parameters"]
    assert trip["properties"]["start"] == {"type": "STRING", "description": "(format: date)"}
    assert trip["properties"]["stops"]["items"]["properties"]["location"] == {"type": "STRING", "description": "A city"}
    [responses] = toolset.schemas("openai.responses")
    assert (responses["type"], responses["name"]) == ("function", "Trip")
