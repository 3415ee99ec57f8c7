"""A miss over a changed tool: told by the Pydantic class and the field behind it, whatever the wire."""

import json
from collections.abc import Iterable
from typing import Literal

import pytest
from pydantic import BaseModel, Field
from recorded_tape import request

from multitrack import Toolset
from multitrack.errors import CassetteMiss
from multitrack.offers import offering
from multitrack.tape.tape import Tape


def models(change=None):
    class Street(BaseModel):
        name: str = Field(description=None if change == "description" else "as on the sign")

    class Address(BaseModel):
        street: Street
        code: str = Field(alias="zip", min_length=3 if change == "constraint" else 2)

    kinds = Literal["a", "b", "c"] if change == "values" else Literal["a", "b"]
    number = float if change == "type" else int

    class Order(BaseModel):
        """What is ordered."""

        to: Address
        kind: kinds
        count: number

    class Renamed(BaseModel):
        """What is ordered."""

        to: Address
        kind: kinds
        number: int

    class Search(BaseModel):
        query: str

    if change == "docstring":
        Order.__doc__ = "Another."
        Order.model_rebuild(force=True)
    if change == "field":
        Renamed.__name__ = "Order"
        return Renamed, Search
    return Order, Search


def asked(wire, change=None):
    offered = models(change)
    toolset = Toolset(Iterable[offered[0] | offered[1]])
    content = {"contents": []} if wire == "gemini" else {"model": "m", "messages": []}
    body = {**content, "tools": toolset.schemas(wire)}
    return request(json.dumps(body)), dict(zip(toolset.names, offered, strict=True))


TOLD = {
    "description": ["`Street.name` lost its description"],
    "constraint": ["`Address.zip` changed its minLength"],
    "values": ["`Order.kind` gained its allowed values"],
    "type": ["`Order.count` changed its type"],
    "docstring": ["`Order` changed its description"],
    "field": ["`Order.count` is no longer there", "`Order.number` is new"],
}


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "gemini"])
@pytest.mark.parametrize("change", TOLD)
def test_the_class_and_the_field_are_named(recorded, wire, change):
    recorded.put((asked(wire)[0], "{}"))
    tape = Tape(recorded.path)
    sent, offered = asked(wire, change)
    with pytest.raises(CassetteMiss) as missed, offering(offered):
        tape.route(sent)
    told = [line.strip() for line in str(missed.value).splitlines() if line.strip().startswith("`")]
    assert [line for line in TOLD[change] if line not in told] == [], str(missed.value)
    assert all("required fields" in line for line in told if line not in TOLD[change]), told


def test_only_the_first_misses_are_compared_with_the_whole_tape(recorded):
    recorded.put(*((request(f'{{"n": {number}}}'), "answer") for number in range(20)))
    tape = Tape(recorded.path)
    told = []
    for number in range(20, 30):
        with pytest.raises(CassetteMiss) as missed:
            tape.route(request(f'{{"n": {number}}}'))
        told.append(str(missed.value))
    assert ["$.n" in message for message in told] == [True] * 5 + [False] * 5
    assert "  reason: none of its recordings is equal (how it differs, only the first misses of a test tell)" in told[5]
    assert len(tape.violations) == 10
