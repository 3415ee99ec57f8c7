"""Agents of Google's Agent Development Kit that call a tool."""

import os

import pytest
from google.adk.agents import Agent
from google.adk.runners import InMemoryRunner
from google.genai import types


def weather(place: str) -> str:
    """Look up the weather."""
    return f"It rains in {place}."


def create_agent():
    return Agent(name="forecaster", model="gemini-2.5-flash", tools=[weather])


AGENT = create_agent()


async def ask(agent, streaming):
    from google.adk.agents.run_config import RunConfig, StreamingMode

    runner = InMemoryRunner(agent=agent, app_name="forecast")
    session = await runner.session_service.create_session(app_name="forecast", user_id="user")
    prompt = types.Content(role="user", parts=[types.Part(text="Weather in Toronto?")])
    config = RunConfig(streaming_mode=StreamingMode.SSE if streaming else StreamingMode.NONE)
    events = [
        event
        async for event in runner.run_async(
            user_id="user", session_id=session.id, new_message=prompt, run_config=config
        )
    ]
    return events[-1].content.parts[0].text


@pytest.mark.cassette
@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "stream"])
async def test_agent(streaming):
    assert await ask(AGENT, streaming) == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "stream"])
async def test_agent_that_is_created_in_the_test(streaming):
    assert await ask(create_agent(), streaming) == "Take an umbrella."


@pytest.mark.skipif("GOOGLE_API_KEY" in os.environ, reason="the scenario is being recorded, with a key")
async def test_without_a_cassette_the_framework_says_that_the_key_is_missing():
    with pytest.raises(ValueError, match="API key"):
        await ask(AGENT, streaming=False)
