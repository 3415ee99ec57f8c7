"""LiteLLM's functions, on OpenAI, Gemini and DeepSeek."""

import os

import litellm
import pytest

FRAMEWORK_VARIABLES = ["TIKTOKEN_CACHE_DIR"]
MODELS = ["gpt-4o-mini", "gemini/gemini-2.5-flash", "deepseek/deepseek-chat"]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Look up the weather.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
NOW = {"role": "user", "content": "And now?"}
USER = {"role": "user", "content": "Weather in Toronto?"}


def continue_conversation(message):
    results = [
        {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": "It rains."}
        for call in message.tool_calls
    ]
    return [USER, message.model_dump(exclude_none=True), *results]


@pytest.mark.cassette
@pytest.mark.parametrize("model", MODELS)
def test_tool_call(model):
    first = litellm.completion(model=model, messages=[USER], tools=[WEATHER]).choices[0].message
    second = litellm.completion(model=model, messages=continue_conversation(first), tools=[WEATHER])
    assert second.choices[0].message.content == "Take an umbrella."


@pytest.mark.cassette
@pytest.mark.parametrize("model", MODELS)
def test_completion(model):
    response = litellm.completion(model=model, messages=[NOW])
    assert response.choices[0].message.content == "Stay at home."


@pytest.mark.cassette
@pytest.mark.parametrize("model", MODELS)
async def test_async_completion(model):
    response = await litellm.acompletion(model=model, messages=[NOW])
    assert response.choices[0].message.content == "Stay at home."


@pytest.mark.cassette
@pytest.mark.parametrize("model", MODELS)
async def test_stream(model):
    chunks = [chunk async for chunk in await litellm.acompletion(model=model, messages=[NOW], stream=True)]
    assert litellm.stream_chunk_builder(chunks).choices[0].message.content == "Stay at home."


@pytest.mark.cassette
def test_responses():
    response = litellm.responses(model="gpt-4o-mini", input="And now?")
    assert response.output[-1].content[0].text == "Stay at home."


@pytest.mark.skipif("OPENAI_API_KEY" in os.environ, reason="the scenario is being recorded, with keys")
@pytest.mark.parametrize("model", MODELS[:2])
def test_without_a_cassette_the_framework_says_that_the_key_is_missing(model):
    # LiteLLM has no single class for this error, and sends requests to DeepSeek without a key
    with pytest.raises(Exception, match=r"Missing (credentials|Gemini API key)"):
        litellm.completion(model=model, messages=[NOW])
