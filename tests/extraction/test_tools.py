"""Pydantic models as tools: their names, descriptions and schemas."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import uuid
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar

import pytest
from pydantic import (
    AliasChoices,
    AliasGenerator,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PrivateAttr,
    RootModel,
    computed_field,
    create_model,
)
from pydantic.alias_generators import to_camel
from schema_rules import assert_gemini_schema, assert_strict_schema
from typing_extensions import TypedDict, deprecated

from multitrack import ToolCall, Toolset
from multitrack.errors import UnknownTool

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


def openai_function(response_model):
    """Return the only tool, without OpenAI's wrapper."""
    [tool] = Toolset(response_model).schemas("openai.chat")
    return tool["function"]


def test_a_tool_has_the_docstring_as_description_and_no_generated_titles():
    assert openai_function(Iterable[Weather]) == {
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
    tool = openai_function(Iterable[Trip])
    assert "description" not in tool
    assert tool["parameters"]["properties"]["title"] == {"type": "string"}
    assert tool["parameters"]["$defs"]["Unit"] == {"type": "string", "enum": ["c"]}
    assert "title" not in tool["parameters"]["$defs"]["Weather"]


def test_a_recursive_model_is_an_object_with_a_reference_to_itself():
    tool = openai_function(Iterable[Node])
    assert tool["description"] == "A tree."
    assert tool["parameters"]["type"] == "object"
    assert tool["parameters"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/Node"}
    with pytest.raises(TypeError, match=r"^Node: Gemini's schema language cannot express the recursive type Node"):
        Toolset(Iterable[Node]).schemas("gemini")
    call = ToolCall("a", "Node", '{"kids": [{"kids": []}]}', 0)
    assert Toolset(Iterable[Node]).parse([call]) == [Node(kids=[Node()])]


def aliased(config, **field):
    """Return a model with one field, ``where_to``, with these options."""
    return create_model("Aliased", where_to=(str, Field(**field)), __config__=ConfigDict(**config))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (aliased({}, alias="location"), "location"),
        (aliased({}, validation_alias="location", serialization_alias="loc"), "location"),
        (aliased({}, validation_alias=AliasChoices("location", "place")), "location"),
        (aliased({}, validation_alias=AliasChoices(AliasPath("places", 0), "place")), "place"),
        (aliased({"populate_by_name": True}, alias="location"), "location"),
        (aliased({"populate_by_name": True}, validation_alias=AliasPath("places", 0)), "where_to"),
        pytest.param(
            aliased({"validate_by_alias": False, "validate_by_name": True}, alias="location"),
            "where_to",
            marks=pytest.mark.skipif(
                "validate_by_alias" not in ConfigDict.__annotations__, reason="the setting requires Pydantic 2.11"
            ),
        ),
        (aliased({"alias_generator": to_camel}), "whereTo"),
        (aliased({"alias_generator": AliasGenerator(validation_alias=str.upper)}), "WHERE_TO"),
    ],
)
@pytest.mark.parametrize(("wire", "strict"), [("openai.chat", False), ("openai.chat", True), ("gemini", False)])
def test_schemas_use_the_alias_that_the_validator_accepts(model, name, wire, strict):
    toolset = Toolset(Iterable[model])
    [tool] = toolset.schemas(wire, strict=strict)
    schema = (tool.get("function") or tool["functionDeclarations"][0])["parameters"]
    assert list(schema["properties"]) == [name]
    assert schema["required"] == [name]
    [instance] = toolset.parse([ToolCall(None, "Aliased", json.dumps({name: "Rome"}), 0)])
    assert instance.where_to == "Rome"


@pytest.mark.parametrize("path", [AliasPath("places", 0), AliasChoices(AliasPath("a", "b"), AliasPath("c", 1))])
def test_a_field_that_no_argument_can_fill_is_rejected(path):
    inner = aliased({}, validation_alias=path)
    outer = create_model("Outer", inner=(inner | int, ...))
    with pytest.raises(TypeError) as raised:
        Toolset(Iterable[outer]).schemas("openai.chat")
    assert str(raised.value) == (
        f"Outer cannot be a tool: the field where_to of Aliased can only be read from {path}, "
        f"which cannot be the name of an argument; add an alias that is a plain string"
    )


def test_models_with_the_same_class_name_get_different_tools():
    def make_other_weather():
        class Weather(BaseModel):
            """The weather at a different place."""

            city: str

        return Weather

    Other = make_other_weather()  # noqa: N806
    toolset = Toolset(Iterable[Weather | Other])
    assert toolset.names == ("Weather", "Weather_2")
    assert toolset.models == {"Weather": Weather, "Weather_2": Other}
    calls = [ToolCall("a", "Weather_2", '{"city": "Rome"}', 0), ToolCall("b", "Weather", '{"location": "Oslo"}', 1)]
    assert toolset.parse(calls) == [Other(city="Rome"), Weather(location="Oslo")]


def test_generic_models_are_named_with_their_parameters():
    class Box(BaseModel, Generic[T]):
        value: T

    toolset = Toolset(Iterable[Box[int] | Box[list[str]]])
    assert toolset.names == ("Box_int", "Box_list_str")
    assert toolset.parse([ToolCall(None, "Box_list_str", '{"value": ["a"]}', 0)]) == [Box[list[str]](value=["a"])]


def test_a_generic_model_has_the_docstring_of_its_generic_class():
    class Box(BaseModel, Generic[T]):
        """A box with
        a value."""

        value: T

    class Labelled(Box[int]):
        label: str

    assert openai_function(Iterable[Box[int]])["description"] == "A box with\na value."
    assert "description" not in openai_function(Iterable[Labelled])


def test_a_docstring_is_not_inherited():
    class Forecast(Weather):
        days: int

    assert "description" not in openai_function(Iterable[Forecast])


class GetWeather(BaseModel):
    """For developers."""

    model_config = ConfigDict(title="get_weather", json_schema_extra={"description": "Look up the weather."})
    place: str


def test_the_config_of_a_model_can_set_name_and_description_of_its_tool():
    toolset = Toolset(Iterable[GetWeather])
    assert toolset.models == {"get_weather": GetWeather}
    assert openai_function(Iterable[GetWeather]) == {
        "name": "get_weather",
        "description": "Look up the weather.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    }
    [gemini] = toolset.schemas("gemini")
    assert gemini["functionDeclarations"][0]["name"] == "get_weather"
    assert toolset.parse([ToolCall("a", "get_weather", '{"place": "Rome"}', 0)]) == [GetWeather(place="Rome")]
    with pytest.raises(UnknownTool):
        toolset.parse([ToolCall("a", "GetWeather", '{"place": "Rome"}', 0)])


def test_duplicate_titles_are_numbered_and_inherited_titles_ignored():
    class Again(BaseModel, title="get_weather"):
        city: str

    class Forecast(GetWeather):
        days: int

    class Box(BaseModel, Generic[T], title="box"):
        value: T

    toolset = Toolset(Iterable[GetWeather | Again | Forecast | Box[int] | Box[str]])
    assert toolset.models == {
        "get_weather": GetWeather,
        "get_weather_2": Again,
        "Forecast": Forecast,
        "Box_int": Box[int],
        "Box_str": Box[str],
    }


@pytest.mark.parametrize("title", ["The weather", "wetter.heute", "7days", "-x", "x" * 65, "größe", ""])
def test_a_title_that_is_not_a_valid_tool_name_stays_a_title(title):
    named = create_model("Named", __config__=ConfigDict(title=title), place=(str, ...))
    tool = openai_function(Iterable[named])
    assert tool["name"] == "Named"
    assert tool["parameters"].get("title", "") == title


def test_a_discriminated_union_names_its_models():
    class Cat(BaseModel):
        kind: Literal["cat"] = "cat"

    class Dog(BaseModel):
        kind: Literal["dog"] = "dog"

    toolset = Toolset(Iterable[Annotated[Cat | Dog, Field(discriminator="kind")]])
    assert toolset.parse([ToolCall(None, "Dog", "{}", 0)]) == [Dog()]


@pytest.mark.parametrize(
    ("name", "tool"),
    [("Größe", "Gr_e"), ("x" * 80, "x" * 64), ("Ünï", "_n"), ("2nd", "_2nd"), ("-x", "_-x"), ("天气", "_")],
)
def test_class_names_become_tool_names_that_providers_accept(name, tool):
    first, second = (create_model(name, a=(int, ...)) for _ in range(2))
    assert Toolset(Iterable[first | second]).names == (tool, f"{tool[:60]}_2")


def test_schemas_are_generated_once_for_the_same_models_in_the_same_order():
    first = Toolset(Iterable[Weather | Trip]).schemas("openai.chat")
    strict = Toolset(Iterable[Weather | Trip]).schemas("openai.chat", strict=True)
    assert Toolset(list[Weather | Trip]).schemas("openai.chat") is first
    assert Toolset(list[Weather | Trip]).schemas("openai.chat", strict=True) is strict
    assert "strict" not in first[0]["function"]
    assert strict[0]["function"]["strict"] is True
    assert [tool["function"]["name"] for tool in Toolset(Iterable[Trip | Weather]).schemas("openai.chat")] == [
        "Trip",
        "Weather",
    ]


def test_a_model_is_written_in_the_schema_language_of_each_provider():
    toolset = Toolset(Iterable[Trip])
    [gemini] = toolset.schemas("gemini")
    trip = gemini["functionDeclarations"][0]["parameters"]
    assert trip["properties"]["start"] == {"type": "STRING", "description": "(format: date)"}
    assert trip["properties"]["stops"]["items"]["properties"]["location"] == {"type": "STRING", "description": "A city"}
    [responses] = toolset.schemas("openai.responses")
    assert responses["type"] == "function"
    assert responses["name"] == "Trip"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    WORD = "word"
    NUMBER = 2


class Pair(NamedTuple):
    x: int
    y: int


class Uneven(NamedTuple):
    x: int
    y: str


@dataclasses.dataclass
class Point:
    """A point in the plane."""

    x: float
    y: float = 0.0


class Place(TypedDict):
    city: str
    country: NotRequired[str]


class Words(RootModel[list[str]]):
    """Some words."""


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = "Rex"


class Person(BaseModel):
    name: str
    works_at: Company | None = None


class Company(BaseModel):
    staff: list[Person] = []


class Open(BaseModel, extra="allow"):
    a: int


class Closed(BaseModel, extra="forbid"):
    a: int


class Empty(BaseModel):
    pass


DICTIONARY, UNEVEN, ANY = "a dictionary with arbitrary keys", "a tuple of several types", "a value of any type"
FIELDS = [
    (list[int], [1, 2], [1, 2], None, None),
    (set[str], ["a", "a"], {"a"}, None, None),
    (frozenset[int], [1], frozenset({1}), None, None),
    (tuple[int, int], [1, 2], (1, 2), None, None),
    (tuple[int, ...], [1, 2, 3], (1, 2, 3), None, None),
    (tuple[int, str], [1, "a"], (1, "a"), UNEVEN, UNEVEN),
    (Pair, [1, 2], Pair(1, 2), None, None),
    (Uneven, [1, "a"], Uneven(1, "a"), UNEVEN, UNEVEN),
    (list, [1, "a"], [1, "a"], ANY, ANY),
    (dict[str, int], {"a": 1}, {"a": 1}, DICTIONARY, DICTIONARY),
    (dict[Literal["a"], int], {"a": 1}, {"a": 1}, DICTIONARY, DICTIONARY),
    (dict, {"a": 1}, {"a": 1}, DICTIONARY, DICTIONARY),
    (Any, {"a": 1}, {"a": 1}, ANY, ANY),
    (Level, 2, Level.HIGH, None, None),
    (Mixed, "word", Mixed.WORD, None, None),
    (Unit, "c", Unit.C, None, None),
    (Literal["a", 1, True, None], 1, 1, None, None),
    (Literal["a"] | None, None, None, None, None),
    (Literal[None], None, None, None, "a value that is always null"),
    (date, "2024-02-29", date(2024, 2, 29), None, None),
    (datetime, "2024-02-29T10:00:00", datetime(2024, 2, 29, 10), None, None),
    (time, "10:00", time(10), None, None),
    (timedelta, "PT90S", timedelta(seconds=90), None, None),
    (uuid.UUID, str(uuid.UUID(int=1)), uuid.UUID(int=1), None, None),
    (Decimal, "1.10", Decimal("1.10"), None, None),
    (Annotated[Decimal, Field(max_digits=3, decimal_places=1, gt=0)], 1.5, Decimal("1.5"), None, None),
    (bytes, "ab", b"ab", None, None),
    (Json[list[int]], "[1]", [1], None, None),
    (Annotated[int, Field(gt=0, le=9, multiple_of=3)], 9, 9, None, None),
    (Annotated[str, Field(min_length=1, pattern="^a+$")], "aa", "aa", None, None),
    (Annotated[list[int], Field(min_length=1, max_length=2)], [1], [1], None, None),
    (Point, {"x": 1}, Point(1.0), None, None),
    (Place, {"city": "Rome"}, {"city": "Rome"}, None, None),
    (Words, ["a"], Words(["a"]), None, None),
    (Weather, {"location": "Rome"}, Weather(location="Rome"), None, None),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "dog"}, Dog(kind="dog"), None, None),
    (list[Cat | Dog | None], [None, {"kind": "cat"}], [None, Cat()], None, None),
    (Node, {"kids": [{}]}, Node(kids=[Node()]), None, "the recursive type Node"),
    (
        Person,
        {"name": "A", "works_at": {}},
        Person(name="A", works_at=Company()),
        None,
        "the recursive type Person",
    ),
    (Open, {"a": 1, "b": 2}, Open(a=1, b=2), None, None),
    (Closed, {"a": 1}, Closed(a=1), None, None),
    (Empty, {}, Empty(), None, "an object without fields"),
]


@pytest.mark.parametrize(("kind", "given", "value", "not_strict", "not_gemini"), FIELDS)
def test_schemas_and_values_for_each_type_of_field(kind, given, value, not_strict, not_gemini):
    toolset = Toolset(Iterable[create_model("Thing", field=(kind, Field(description="It.")))])
    [openai] = toolset.schemas("openai.chat")
    assert json.loads(json.dumps(openai))["function"]["parameters"]["required"] == ["field"]
    for wire, refusal, assert_schema in [
        ("openai.responses", not_strict, assert_strict_schema),
        ("gemini", not_gemini, assert_gemini_schema),
    ]:
        if refusal:
            with pytest.raises(TypeError, match=rf"^Thing: .* cannot express {refusal} \(at \$\.field"):
                toolset.schemas(wire, strict=wire != "gemini")
        else:
            [tool] = toolset.schemas(wire, strict=wire != "gemini")
            assert_schema(
                json.loads(json.dumps(tool.get("parameters") or tool["functionDeclarations"][0]["parameters"]))
            )
            assert "It." in json.dumps(tool)
    [instance] = toolset.parse([ToolCall("a", "Thing", json.dumps({"field": given}), 0)])
    assert instance.field == value
    assert type(instance.field) is type(value)


def test_private_and_computed_fields_are_not_parameters():
    class Trip(BaseModel):
        _seen: int = PrivateAttr(0)
        start: date
        end: date = date(2030, 1, 1)

        @computed_field
        @property
        def days(self) -> int:
            return (self.end - self.start).days

    assert list(openai_function(Iterable[Trip])["parameters"]["properties"]) == ["start", "end"]
    [trip] = Toolset(Iterable[Trip]).parse([ToolCall("a", "Trip", '{"start": "2029-12-30"}', 0)])
    assert trip.days == 2


def test_attribute_docstrings_and_deprecations_are_in_the_schema():
    @deprecated("Ask for the forecast.")
    class Old(BaseModel, use_attribute_docstrings=True):
        where: str
        """A city."""
        when: Annotated[str, Field(deprecated=True)] = "today"

    toolset = Toolset(Iterable[Old])
    [tool] = toolset.schemas("openai.chat")
    assert tool["function"]["parameters"] == {
        "type": "object",
        "deprecated": True,
        "properties": {
            "where": {"type": "string", "description": "A city."},
            "when": {"type": "string", "default": "today", "deprecated": True},
        },
        "required": ["where"],
    }
    [strict] = toolset.schemas("openai.chat", strict=True)
    assert strict["function"]["parameters"] == {
        "type": "object",
        "description": "(deprecated)",
        "properties": {
            "where": {"type": "string", "description": "A city."},
            "when": {"type": "string", "description": '(default: "today", deprecated)'},
        },
        "required": ["where", "when"],
        "additionalProperties": False,
    }


def test_a_default_that_json_cannot_represent_is_left_out():
    class Wait(BaseModel):
        seconds: float = math.inf
        until: object = object()

    assert openai_function(Iterable[Wait])["parameters"]["properties"] == {"seconds": {"type": "number"}, "until": {}}


def test_nested_models_with_the_same_class_name_get_different_definitions():
    def make_other_weather():
        class Weather(BaseModel):
            city: str

        return Weather

    other = make_other_weather()
    both = create_model("Both", here=(Weather, ...), there=(other, ...))
    toolset = Toolset(Iterable[both])
    [tool] = toolset.schemas("openai.chat", strict=True)
    assert_strict_schema(tool["function"]["parameters"])
    assert len(tool["function"]["parameters"]["$defs"]) == 2
    call = ToolCall("a", "Both", '{"here": {"location": "Rome"}, "there": {"city": "Oslo"}}', 0)
    assert toolset.parse([call]) == [both(here=Weather(location="Rome"), there=other(city="Oslo"))]


class Unfinished(BaseModel):
    where: Nowhere  # noqa: F821


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            create_model("Call", back=(Callable[[], int], ...)),
            "Call cannot be a tool: Cannot generate a JsonSchema",
        ),
        (Unfinished, "Unfinished cannot be a tool: `Unfinished` is not fully defined; you should define "),
    ],
)
@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "gemini"])
def test_a_model_without_a_json_schema_is_rejected(model, message, wire):
    with pytest.raises(TypeError) as raised:
        Toolset(Iterable[model]).schemas(wire)
    assert str(raised.value).startswith(message)


def test_a_model_whose_schema_is_not_an_object_is_rejected():
    class Odd(BaseModel):
        @classmethod
        def __get_pydantic_json_schema__(cls, schema, handler):
            return {"type": "string"}

    with pytest.raises(TypeError, match=r"^Odd cannot be a tool: its JSON schema does not describe an object$"):
        Toolset(Iterable[Odd]).schemas("openai.chat")
