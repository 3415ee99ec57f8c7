"""Agents of the OpenAI Agents SDK that call a tool, on both APIs, with its tracing switched on as by default."""

import os

import openai
import pytest
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, trace
from openai import AsyncOpenAI


@function_tool
def weather(place: str) -> str:
    """Look up the weather."""
    return f"It rains in {place}."


def create_agents():
    chat = OpenAIChatCompletionsModel(model="gpt-4o-mini", openai_client=AsyncOpenAI())
    return {
        "responses": Agent(name="Forecaster", model="gpt-4o-mini", tools=[weather]),
        "chat": Agent(name="Forecaster", model=chat, tools=[weather]),
    }


AGENTS = create_agents()


@pytest.mark.cassette
@pytest.mark.parametrize("name", AGENTS)
async def test_run(name):
    result = await Runner.run(AGENTS[name], "Weather in Toronto?")
    assert result.final_output == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("name", AGENTS)
async def test_stream(name):
    result = Runner.run_streamed(AGENTS[name], "Weather in Toronto?")
    assert [event async for event in result.stream_events()]
    assert result.final_output == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("name", AGENTS)
async def test_two_runs_in_one_trace(name):
    agent = create_agents()[name]
    with trace("trip"):
        first = await Runner.run(agent, "Weather in Toronto?")
        second = await Runner.run(agent, [*first.to_input_list(), {"role": "user", "content": "And now?"}])
    assert first.final_output == "Take an umbrella."
    assert second.final_output == "Stay at home."


@pytest.mark.skipif("OPENAI_API_KEY" in os.environ, reason="the scenario is being recorded, with a key")
@pytest.mark.parametrize("name", AGENTS)
async def test_without_a_cassette_the_framework_says_that_the_key_is_missing(name):
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_KEY"):
        await Runner.run(AGENTS[name], "Weather in Toronto?")
