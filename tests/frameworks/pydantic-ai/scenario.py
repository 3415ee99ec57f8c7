"""Agents of pydantic-ai that call a tool, on the two APIs of OpenAI, on DeepSeek and on Gemini."""

import os

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import UserError

MODELS = ["openai:gpt-4o-mini", "openai-chat:gpt-4o-mini", "deepseek:deepseek-chat", "google:gemini-2.5-flash"]
AGENTS = {name: Agent(name) for name in MODELS}


def weather(place: str) -> str:
    """Look up the weather."""
    return f"It rains in {place}."


for agent in AGENTS.values():
    agent.tool_plain(weather)


@pytest.mark.cassette
@pytest.mark.parametrize("model", AGENTS)
def test_run(model):
    assert AGENTS[model].run_sync("Weather in Toronto?").output == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("model", AGENTS)
async def test_stream(model):
    async with AGENTS[model].run_stream("Weather in Toronto?") as result:
        assert await result.get_output() == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("model", AGENTS)
def test_agent_that_is_created_in_the_test(model):
    assert Agent(model, tools=[weather]).run_sync("Weather in Toronto?").output == "Take an umbrella."


@pytest.mark.skipif("DEEPSEEK_API_KEY" in os.environ, reason="the scenario is being recorded, with keys")
@pytest.mark.parametrize("model", MODELS)
def test_without_a_cassette_the_framework_says_which_key_is_missing(model):
    with pytest.raises(UserError, match=r"Set the `\w+_API_KEY` environment variable") as raised:
        AGENTS[model].run_sync("Weather in Toronto?")
    assert "created without credentials" in raised.value.__notes__[0]
