"""A miss because of a changed tool names the Pydantic class and the field, for every wire format."""

import json
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Literal

import pytest
from pydantic import BaseModel, Field
from recorded_tape import request

from multitrack import Toolset
from multitrack.errors import CassetteMiss
from multitrack.model_context import OfferedModels
from multitrack.tape.tape import Tape


def models(change=None):
    class Street(BaseModel):
        name: str = Field(description=None if change == "description" else "as on the sign")
        if change == "nested field":
            number: int

    class Address(BaseModel):
        street: Street
        code: str = Field(alias="zip", min_length=3 if change == "constraint" else 2)

    kinds = {
        "new value": Literal["a", "b", "y", "z"],
        "no value": Literal["a", "b"],
        "other value": Literal["a", "z", "y"],
    }
    number = {"type": float, "optional": int | None}

    class Order(BaseModel):
        """What is ordered."""

        to: Address
        kind: kinds.get(change, Literal["a", "b", "y"])
        count: number.get(change, int)
        note: str = Field("none" if change == "default" else "-", description="what else")
        if change == "new field":
            gift: bool = False
        if change != "left out":
            when: str = Field("now") if change == "not required" else Field()

    class Renamed(BaseModel):
        """What is ordered."""

        to: Address
        kind: Literal["a", "b", "y"]
        number: int
        note: str = Field("-", description="what else")
        when: str

    class Search(BaseModel):
        query: str

    if change in ("docstring", "class"):
        Order.__doc__ = "Another." if change == "docstring" else Order.__doc__
        Order.__name__ = "Purchase" if change == "class" else Order.__name__
        Order.model_rebuild(force=True)
    if change == "field":
        Renamed.__name__ = "Order"
        return Renamed, Search
    return (Search, Order) if change == "order" else (Order, Search)


WIRES = ["openai.chat", "openai.responses", "gemini"]


def build_request(wire, change=None):
    offered = models(change)
    toolset = Toolset(Iterable[offered[0] | offered[1]])
    fields = {"openai.chat": {"model": "m", "messages": []}, "openai.responses": {"model": "m", "input": []}}
    body = {**fields.get(wire, {"contents": []}), "tools": toolset.schemas(wire)}
    return request(json.dumps(body)), dict(zip(toolset.names, offered, strict=True))


EXPECTED = {
    "description": ["`Street.name` lost its description"],
    "nested field": ["`Street.number` is new", "`Street.number` is now required"],
    "constraint": ["`Address.zip` changed its minLength"],
    "new value": ['`Order.kind` gained the allowed value "z"'],
    "no value": ['`Order.kind` lost the allowed value "y"'],
    "other value": ['`Order.kind` changed the allowed value "b" to "z"'],
    "type": ["`Order.count` changed its type"],
    "optional": ["`Order.count` lost its type", "`Order.count` gained its alternative types"],
    "default": ["`Order.note` changed its default"],
    "new field": ["`Order.gift` is new"],
    "left out": ["`Order.when` was removed", "`Order.when` is no longer required"],
    "not required": ["`Order.when` gained its default", "`Order.when` is no longer required"],
    "docstring": ["`Order` changed its description"],
    "class": ["`Order` is now named `Purchase`"],
    "order": ["`Search` is offered at a different position"] * 2,
    "field": [
        "`Order.count` was removed",
        "`Order.number` is new",
        "`Order.number` is now required, `Order.count` is no longer required",
    ],
}
# Gemini's schemas have no defaults, and allow null with a keyword instead of a type
EXPECTED_FOR_GEMINI = {
    "optional": ["`Order.count` gained its permission to be null"],
    "not required": ["`Order.when` is no longer required"],
}


def explain(recorded, wire, change, *, without_models=False):
    recorded.put((build_request(wire)[0], "{}"))
    tape = Tape(recorded.path)
    sent, offered = build_request(wire, change)
    with pytest.raises(CassetteMiss) as missed, nullcontext() if without_models else OfferedModels(offered):
        tape.route(sent)
    return [line.strip() for line in str(missed.value).splitlines() if line.strip().startswith("`")]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("change", EXPECTED)
def test_the_class_and_the_field_are_named(recorded, wire, change):
    if (wire, change) == ("gemini", "default"):
        pytest.skip("Gemini's schemas have no defaults")
    expected = {**EXPECTED, **EXPECTED_FOR_GEMINI} if wire == "gemini" else EXPECTED
    assert explain(recorded, wire, change) == expected[change]


@pytest.mark.parametrize("wire", WIRES)
def test_tools_without_a_known_model_are_named_by_their_schema(recorded, wire):
    # Gemini's schemas contain the nested classes without their names
    path = "Order.to.street" if wire == "gemini" else "Street"
    assert explain(recorded, wire, "description", without_models=True) == [f"`{path}.name` lost its description"]
    assert explain(recorded, wire, "left out", without_models=True) == EXPECTED["left out"]


def test_only_the_first_misses_are_explained(recorded):
    recorded.put(*((request(f'{{"n": {number}}}'), "answer") for number in range(20)))
    tape = Tape(recorded.path)
    messages = []
    for number in range(20, 30):
        with pytest.raises(CassetteMiss) as missed:
            tape.route(request(f'{{"n": {number}}}'))
        messages.append(str(missed.value))
    assert ["$.n" in message for message in messages] == [True] * 5 + [False] * 5
    assert (
        "  reason: no recording matches (differences are only reported for the first misses of a test)" in messages[5]
    )
    assert len(tape.violations) == 10
