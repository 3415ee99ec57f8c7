"""LangChain's models for OpenAI: a chat model on both APIs with a tool, and embeddings."""

import os

import openai
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@tool
def weather(place: str) -> str:
    """Look up the weather."""
    return f"It rains in {place}."


def create_models():
    return {
        "chat": ChatOpenAI(model="gpt-4o-mini"),
        "responses": ChatOpenAI(model="gpt-4o-mini", use_responses_api=True),
        "streaming": ChatOpenAI(model="gpt-4o-mini", streaming=True),
    }


MODELS = create_models()
EMBEDDINGS = OpenAIEmbeddings()


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


@pytest.mark.skipif("OPENAI_API_KEY" in os.environ, reason="the scenario is being recorded, with a key")
@pytest.mark.parametrize("name", MODELS)
def test_without_a_cassette_the_framework_says_that_the_key_is_missing(name):
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_KEY"):
        ask(MODELS[name])


@pytest.mark.skipif("OPENAI_API_KEY" in os.environ, reason="the scenario is being recorded, with a key")
def test_embeddings_have_a_client_without_a_key():
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_KEY"):
        EMBEDDINGS.client.create(model="text-embedding-3-small", input="Toronto")
