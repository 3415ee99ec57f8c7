"""Properties that hold for the schemas of all models, checked with generated models."""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal, Optional, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, create_model
from schema_rules import assert_gemini_schema, assert_strict_schema, values
from typing_extensions import TypedDict

from multitrack import ToolCall, Toolset

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    WORD = "word"
    NUMBER = 1.5
    WHOLE = 2


class Node(BaseModel):
    """A tree."""

    name: str = Field("leaf", description="Its name.")
    kids: list[Node] = Field([], description="Its children.")


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["dog"]
    owner: Annotated[str, Field(validation_alias=AliasChoices("boss", "owner"))]


class Place(TypedDict, total=False):
    city: str


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


SIMPLE = [
    bool,
    int,
    float,
    str,
    bytes,
    date,
    datetime,
    time,
    timedelta,
    uuid.UUID,
    Colour,
    Level,
    Mixed,
    Annotated[Colour, Field(description="The colour to paint it with.", title="Paint")],
    Literal["a", "b"],
    Literal["a", 1, None],
    Literal[True],
    Annotated[int, Field(ge=-3, lt=40, multiple_of=3)],
    Annotated[float, Field(ge=0, le=1.5)],
    Annotated[str, Field(pattern="^[a-z]{2,5}$")],
    Annotated[str, Field(description="Some word.", examples=["one"])],
    Point,
    Place,
    Cat,
    Annotated[Cat | Dog, Field(discriminator="kind", description="A pet.")],
    tuple[int, int],
    Annotated[list[int], Field(min_length=1, max_length=3)],
]
RECURSIVE = [Node, Annotated[Node, Field(description="The root.")], list[Node], Node | None]


def make_model(fields):
    """Return a model with ``fields``, a type by alias."""
    return create_model(
        "Thing", **{f"f{index}": (kind, Field(alias=name)) for index, (name, kind) in enumerate(fields.items())}
    )


kinds = st.recursive(
    st.sampled_from(SIMPLE),
    lambda inner: (
        inner.map(lambda kind: Optional[kind])  # noqa: UP045
        | inner.map(lambda kind: list[kind])
        | inner.map(lambda kind: tuple[kind, ...])
        | st.tuples(inner, inner).map(lambda both: Union[both])  # noqa: UP007
        | st.dictionaries(st.sampled_from(["a", "title", "required", "$ref"]), inner, min_size=1, max_size=3).map(
            make_model
        )
    ),
    max_leaves=6,
)


models = st.dictionaries(st.sampled_from(["one", "two", "anyOf", "default"]), kinds, min_size=1, max_size=4).map(
    make_model
)
models_for_openai = st.dictionaries(st.text("xyz", min_size=1), kinds | st.sampled_from(RECURSIVE), max_size=4).map(
    make_model
)


@pytest.mark.slow
@MANY
@given(models_for_openai, st.data())
def test_values_of_a_strict_schema_are_valid_for_the_model(model, data):
    toolset = Toolset(Iterable[model])
    [tool] = toolset.schemas("openai.chat", strict=True)
    parameters = json.loads(json.dumps(tool["function"]["parameters"]))
    assert_strict_schema(parameters)
    arguments = json.dumps(data.draw(values(parameters, parameters.get("$defs", {}))))
    [instance] = toolset.parse([ToolCall("a", "Thing", arguments, 0)])
    assert type(instance) is model


@pytest.mark.slow
@MANY
@given(models)
def test_schemas_for_gemini_are_accepted_by_its_servers_and_sdks(model):
    [tool] = Toolset(Iterable[model]).schemas("gemini")
    assert_gemini_schema(json.loads(json.dumps(tool["functionDeclarations"][0]["parameters"])))
