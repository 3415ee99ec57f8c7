"""A model that changed after its cassette was recorded: what the miss reports, through each client."""

from collections.abc import Iterable
from typing import Literal

import pytest
from pydantic import BaseModel, Field
from test_every_mode import (
    MODES,
    NETWORK,
    Cell,
    openai_client,
    place_param,
    standin_environment,
    vertexai_environment,
)

from multitrack.errors import CassetteMiss
from multitrack.standin import Rule, ScriptedCall, StandIn
from multitrack.tape.use_cassette import use_cassette

STRICT = [place_param(mode, "strict") for mode in ("chat", "azure", "responses")]


def make_models(change=None):
    """Return the two models, with one ``change``."""
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


REPORTED = {
    "description": ["`GoogleSearch.query` lost its description"],
    "value": ['`Weather.units` gained the allowed value "si"'],
    "renamed": [
        "`GoogleSearch.limit` was removed",
        "`GoogleSearch.most` is new",
        "`GoogleSearch.most` is now required, `GoogleSearch.limit` is no longer required",
    ],
    "optional": ["`GoogleSearch.limit` gained its default", "`GoogleSearch.limit` is no longer required"],
    "class": ["`GoogleSearch` is now named `Search`"],
}
# schemas for Gemini have no defaults
REPORTED_FOR_GEMINI = {"optional": ["`GoogleSearch.limit` is no longer required"]}


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn([Rule(calls=[ScriptedCall("Weather", {"units": "metric"})])]) as standin:
        yield standin


def reported_changes(path, change, ask):
    """Record with the original models, replay with changed ones, and return the changes that the miss reports."""
    with use_cassette(path, mode="record"):
        ask(*make_models())
    with use_cassette(path) as tape, tape.expect_misses(), pytest.raises(CassetteMiss) as raised:
        ask(*make_models(change))
    return [line.strip() for line in str(raised.value).splitlines() if line.strip().startswith("`")]


@pytest.fixture
def ask(place, standin):
    mode, how = place
    options = {"strict": True} if how == "strict" else {}
    is_vertex = mode.startswith("vertex ")
    transport = mode.removeprefix("vertex ")
    with vertexai_environment(standin, transport) if is_vertex else standin_environment(standin):
        client = MODES[mode](False, standin)
        cell = Cell(mode, client, None)
        yield lambda weather, search: cell.ask("Plan", Iterable[weather | search], **options)
        client.close()


@pytest.mark.parametrize("place", [*NETWORK, *STRICT])
@pytest.mark.parametrize("change", REPORTED)
def test_a_changed_model_is_reported_with_its_class_and_field(place, change, ask, tmp_path):
    mode, how = place
    path = tmp_path / "trip.yaml"
    if (how, change) == ("strict", "optional"):
        # strict schemas require every field and have no defaults, so the request does not change
        with use_cassette(path, mode="record"):
            ask(*make_models())
        with use_cassette(path) as tape:
            ask(*make_models(change))
        assert len(tape.played) == 1
        return
    is_gemini = mode.startswith(("vertex", "gemini"))
    assert reported_changes(path, change, ask) == (REPORTED | REPORTED_FOR_GEMINI if is_gemini else REPORTED)[change]


@pytest.mark.parametrize("change", REPORTED)
def test_changed_tools_written_by_hand_are_reported_with_their_names_and_fields(change, standin, tmp_path):
    def tool(model):
        return {"type": "function", "function": {"name": model.__name__, "parameters": model.model_json_schema()}}

    def ask(*models):
        messages = [{"role": "user", "content": "Plan"}]
        client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[*map(tool, models)])

    with standin_environment(standin), openai_client(False, standin) as client:
        lines = reported_changes(tmp_path / "trip.yaml", change, ask)
    titles = ["`Search` changed its title"] if change == "class" else []
    assert lines == REPORTED[change] + titles
