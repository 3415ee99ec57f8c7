"""instructor's clients, on OpenAI and on Gemini, with one of its retries."""

import os
from collections.abc import Iterable

import instructor
import openai
import pytest
from pydantic import BaseModel, field_validator

import multitrack


class weather(BaseModel):  # noqa: N801, as the tool of the stand-in's script
    """Look up the weather."""

    place: str

    @field_validator("place")
    @classmethod
    def check_place(cls, place):
        if place == "Nowhere":
            raise ValueError("there is no such place")
        return place


def create_clients():
    return {
        "openai": instructor.from_openai(openai.OpenAI()),
        "parallel": instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.PARALLEL_TOOLS),
        "provider": instructor.from_provider("openai/gpt-4o-mini"),
    }


CLIENTS = create_clients()
ASYNC_CLIENT = instructor.from_provider("openai/gpt-4o-mini", async_client=True)


def ask(name, client, prompt="Weather in Toronto?"):
    response_model = Iterable[weather] if name == "parallel" else weather
    result = client.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], response_model=response_model
    )
    return next(iter(result)).place if name == "parallel" else result.place


@pytest.mark.cassette
@pytest.mark.parametrize("name", CLIENTS)
def test_create(name):
    assert ask(name, CLIENTS[name]) == "Toronto"


@pytest.mark.cassette
@pytest.mark.parametrize("name", CLIENTS)
def test_client_that_is_created_in_the_test(name):
    assert ask(name, create_clients()[name]) == "Toronto"


@pytest.mark.cassette
def test_retry():
    assert ask("openai", CLIENTS["openai"], "Weather in Nowhere?") == "Toronto"


@pytest.mark.cassette
async def test_async_create():
    result = await ASYNC_CLIENT.create(
        messages=[{"role": "user", "content": "Weather in Toronto?"}], response_model=weather
    )
    assert result.place == "Toronto"


@pytest.mark.skipif("OPENAI_API_KEY" in os.environ, reason="the scenario is being recorded, with a key")
@pytest.mark.parametrize("name", CLIENTS)
def test_without_a_cassette_the_framework_says_that_the_key_is_missing(name):
    with pytest.raises(Exception, match="OPENAI_API_KEY"):
        ask(name, CLIENTS[name])


@pytest.mark.parametrize("name", instructor.__all__)
def test_multitrack_has_or_explains_every_name_of_instructor(name):
    if name not in multitrack.__all__:
        with pytest.raises(AttributeError, match=f"Multitrack does not offer {name}"):
            getattr(multitrack, name)
