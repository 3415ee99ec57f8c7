"""LangChain's chat model for Anthropic with a tool, plain and streamed."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool


@tool
def weather(place: str) -> str:
    """Look up the weather."""
    return f"It rains in {place}."


def create_models():
    return {
        "chat": ChatAnthropic(model="claude-sonnet-5"),
        "streaming": ChatAnthropic(model="claude-sonnet-5", streaming=True),
    }


MODELS = create_models()


def ask(model):
    messages = [HumanMessage("Weather in Toronto?")]
    bound = model.bind_tools([weather])
    messages.append(bound.invoke(messages))
    messages += [weather.invoke(call) for call in messages[-1].tool_calls]
    assert isinstance(messages[-1], ToolMessage)
    return bound.invoke(messages).text


@pytest.mark.cassette
@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    assert ask(MODELS[name]) == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("name", MODELS)
def test_model_that_is_created_in_the_test(name):
    assert ask(create_models()[name]) == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("name", MODELS)
async def test_async_stream(name):
    chunks = [chunk async for chunk in MODELS[name].bind_tools([weather]).astream("Weather in Toronto?")]
    message = chunks[0]
    for chunk in chunks[1:]:
        message += chunk
    assert [call["args"] for call in message.tool_calls] == [{"place": "Toronto"}]
