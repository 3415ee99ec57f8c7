"""A model that was changed after its tape: what the miss tells of it, through each client."""

from collections.abc import Iterable
from typing import Literal

import pytest
from pydantic import BaseModel, Field
from test_every_mode import MODES, NETWORK, OF_HTTPX, Cell, openai_client, placed, reaching, vertexai_reaching

from multitrack.errors import CassetteMiss
from multitrack.standin import Rule, ScriptedCall, StandIn
from multitrack.tape.use_cassette import use_cassette

STRICT = [placed(mode, "strict") for mode in ("chat", "azure", "responses")]


def models(change=None):
    unit = Literal["imperial", "metric", "si"] if change == "value" else Literal["imperial", "metric"]

    class Weather(BaseModel):
        units: unit

    class GoogleSearch(BaseModel):
        query: str = Field(description=None if change == "description" else "what to look up")
        if change == "renamed":
            most: int
        else:
            limit: int | None = None if change == "optional" else Field()

    if change == "class":
        GoogleSearch.__name__ = GoogleSearch.__qualname__ = "Search"
        GoogleSearch.model_rebuild(force=True)
    return Weather, GoogleSearch


TOLD = {
    "description": ["`GoogleSearch.query` lost its description"],
    "value": ['`Weather.units` gained the allowed value "si"'],
    "renamed": [
        "`GoogleSearch.limit` is no longer there",
        "`GoogleSearch.most` is new",
        "`GoogleSearch.most` is required now, `GoogleSearch.limit` is no longer required",
    ],
    "optional": ["`GoogleSearch.limit` gained its default", "`GoogleSearch.limit` is no longer required"],
    "class": ["`GoogleSearch` is named `Search` now"],
}
# its schemas have no defaults
TOLD_BY_GEMINI = {"optional": ["`GoogleSearch.limit` is no longer required"]}


@pytest.fixture(scope="module")
def standin():
    with StandIn([Rule(calls=[ScriptedCall("Weather", {"units": "metric"})])]) as standin:
        yield standin


def told(path, change, ask):
    """What the miss tells when ``ask`` asks with changed models for what it was recorded with."""
    with use_cassette(path, mode="record"):
        ask(*models())
    with pytest.raises(CassetteMiss) as missed, use_cassette(path):
        ask(*models(change))
    return [line.strip() for line in str(missed.value).splitlines() if line.strip().startswith("`")]


@pytest.fixture
def ask(place, standin):
    mode, how = place
    options = {"strict": True} if how == "strict" else {}
    with reaching(standin) if mode in OF_HTTPX else vertexai_reaching(standin, mode.removeprefix("vertex ")):
        client = MODES[mode](False, standin)
        cell = Cell(mode, client, None)
        yield lambda weather, search: cell.ask("Plan", Iterable[weather | search], **options)
        client.close()


@pytest.mark.parametrize("place", [*NETWORK, *STRICT])
@pytest.mark.parametrize("change", TOLD)
def test_a_changed_model_is_told_by_its_class_and_field(place, change, ask, tmp_path):
    mode, how = place
    path = tmp_path / "tape.yaml"
    if (how, change) == ("strict", "optional"):
        # strict schemas require every field, and have no defaults: what is sent is the same
        with use_cassette(path, mode="record"):
            ask(*models())
        with use_cassette(path) as tape:
            ask(*models(change))
        assert len(tape.played) == 1
        return
    by_gemini = mode.startswith(("vertex", "gemini"))
    assert told(path, change, ask) == (TOLD | TOLD_BY_GEMINI if by_gemini else TOLD)[change]


@pytest.mark.parametrize("change", TOLD)
def test_tools_written_by_hand_are_told_by_their_names_and_fields(change, standin, tmp_path):
    def tool(model):
        return {"type": "function", "function": {"name": model.__name__, "parameters": model.model_json_schema()}}

    def ask(*offered):
        messages = [{"role": "user", "content": "Plan"}]
        client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[*map(tool, offered)])

    with reaching(standin), openai_client(False, standin) as client:
        lines = told(tmp_path / "tape.yaml", change, ask)
    titles = ["`Search` changed its title"] if change == "class" else []
    assert lines == TOLD[change] + titles
