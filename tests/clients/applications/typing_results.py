"""An application that asserts the type of each result. It is checked by type checkers, and never run."""

from collections.abc import Iterable, Sequence
from typing import Annotated, TypeAlias, assert_type

# not `from google import genai`: types-protobuf has stubs for google as well, and pyright then only looks there
import anthropic
import google.genai as genai
import openai
from anthropic.lib.bedrock import AnthropicBedrock, AsyncAnthropicBedrock
from anthropic.lib.vertex import AnthropicVertex, AsyncAnthropicVertex
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, Field
from vertexai.generative_models import GenerationResponse, GenerativeModel

import multitrack
from multitrack import CallsSnapshot, Extraction, ExtractionStream, Mode, Sent, Settings, Tape, Toolset, decode


class Weather(BaseModel):
    location: str


class Search(BaseModel):
    query: str


Tools: TypeAlias = Iterable[Weather | Search]
Result: TypeAlias = Extraction[Weather | Search]
StreamedResult: TypeAlias = ExtractionStream[Weather | Search]
USER = [{"role": "user", "content": "Plan the trip"}]

# OpenAI's synchronous clients
client = multitrack.from_openai(openai.OpenAI(), mode=Mode.PARALLEL_TOOLS)
create = client.chat.completions.create

assert_type(create(model="m", messages=[], response_model=Iterable[Weather]), Extraction[Weather])
extraction = create(model="m", messages=[], response_model=Iterable[Weather | Search], on_error="collect")
assert_type(extraction, Extraction[Weather | Search])
assert_type(extraction[0], Weather | Search)
for call in extraction:
    if isinstance(call, Weather):
        assert_type(call.location, str)
    else:
        assert_type(call, Search)

# other forms of response_model
assert_type(create(model="m", messages=[], response_model=Tools), Result)
assert_type(create(model="m", messages=[], response_model=list[Weather]), Extraction[Weather])
assert_type(create(model="m", messages=[], response_model=Sequence[Weather]), Extraction[Weather])
assert_type(create(model="m", messages=[], response_model=tuple[Weather, ...]), Extraction[Weather])
assert_type(create(model="m", messages=[], response_model=Iterable[Annotated[Weather | Search, Field()]]), Result)

with create(model="m", messages=[], response_model=Tools, stream=True) as stream:
    assert_type(stream, StreamedResult)
    for model in stream:
        assert_type(model, Weather | Search)
    assert_type(stream.extraction, Result)


def ask_with_a_flag(stream: bool) -> None:
    assert_type(create(model="m", messages=[], response_model=Tools, stream=stream), Result | StreamedResult)
    assert_type(create(model="m", messages=[], stream=stream), ChatCompletion | openai.Stream[ChatCompletionChunk])


pair = client.chat.completions.create_with_completion(model="m", messages=[], response_model=Tools)
assert_type(pair, tuple[Result, ChatCompletion])

# without response_model, the result is the SDK's own
assert_type(create(model="m", messages=[{"role": "user", "content": "Plan the trip"}]), ChatCompletion)
assert_type(create(model="m", messages=[], response_model=None), ChatCompletion)
assert_type(create(model="m", messages=[], stream=True), openai.Stream[ChatCompletionChunk])
assert_type(client.models.retrieve("m").owned_by, str)

create = multitrack.from_openai(openai.AzureOpenAI(api_version="2024-10-21")).chat.completions.create
assert_type(create(model="m", messages=[], response_model=Tools), Result)
create = multitrack.patch(openai.OpenAI()).chat.completions.create
assert_type(create(model="m", messages=[], response_model=Tools), Result)
assert_type(create(model="m", messages=[]), ChatCompletion)

respond = multitrack.from_openai(openai.OpenAI(), mode=Mode.RESPONSES_PARALLEL_TOOLS).responses.create
assert_type(respond(model="m", input="x", response_model=Tools), Result)
assert_type(respond(model="m", input="x", response_model=Tools, stream=True), StreamedResult)
assert_type(respond(model="m", input="x"), Response)
assert_type(respond(model="m", input="x", stream=True), openai.Stream[ResponseStreamEvent])
responses = multitrack.from_openai(openai.OpenAI(), mode=Mode.RESPONSES_PARALLEL_TOOLS).responses
assert_type(responses.create_with_completion(model="m", input="x", response_model=Tools), tuple[Result, Response])


# OpenAI's asynchronous clients
async def ask_openai() -> None:
    client = multitrack.from_openai(openai.AsyncOpenAI())
    create = client.chat.completions.create
    assert_type(await create(model="m", messages=[], response_model=Tools), Result)
    assert_type(await create(model="m", messages=[]), ChatCompletion)
    assert_type(await create(model="m", messages=[], stream=True), openai.AsyncStream[ChatCompletionChunk])
    pair = await client.chat.completions.create_with_completion(model="m", messages=[], response_model=Tools)
    assert_type(pair, tuple[Result, ChatCompletion])
    async with await create(model="m", messages=[], response_model=Tools, stream=True) as stream:
        assert_type(stream, StreamedResult)
        async for model in stream:
            assert_type(model, Weather | Search)
        assert_type(stream.extraction, Result)

    create = multitrack.patch(openai.AsyncAzureOpenAI(api_version="2024-10-21")).chat.completions.create
    assert_type(await create(model="m", messages=[], response_model=Tools), Result)

    respond = client.responses.create
    assert_type(await respond(model="m", input="x", response_model=Tools), Result)
    assert_type(await respond(model="m", input="x", response_model=Tools, stream=True), StreamedResult)
    assert_type(await respond(model="m", input="x"), Response)
    assert_type(await respond(model="m", input="x", stream=True), openai.AsyncStream[ResponseStreamEvent])


# Google's clients
vertex = multitrack.from_vertexai(GenerativeModel("gemini"), mode=Mode.VERTEXAI_PARALLEL_TOOLS)
assert_type(vertex.create(messages=USER, response_model=Tools), Result)
assert_type(vertex.create(messages=USER, response_model=Tools, stream=True), StreamedResult)
assert_type(vertex.create(messages=USER), GenerationResponse)
assert_type(vertex.create(messages=USER, stream=True), Iterable[GenerationResponse])

gemini = multitrack.from_genai(genai.Client(), mode=Mode.GENAI_PARALLEL_TOOLS, model="gemini")
assert_type(gemini.create(messages=USER, response_model=Tools), Result)
assert_type(gemini.create(messages=USER, response_model=Tools, stream=True), StreamedResult)
assert_type(gemini.create(messages=USER), GenerateContentResponse)
assert_type(gemini.create(messages=USER, stream=True), Iterable[GenerateContentResponse])
assert_type(vertex.create_with_completion(USER, Tools), tuple[Result, GenerationResponse])
assert_type(gemini.create_with_completion(USER, Tools), tuple[Result, GenerateContentResponse])


async def ask_google() -> None:
    assert_type(await vertex.create_with_completion_async(USER, Tools), tuple[Result, GenerationResponse])
    assert_type(await gemini.create_with_completion_async(USER, Tools), tuple[Result, GenerateContentResponse])
    assert_type(await vertex.create_async(messages=USER, response_model=Tools), Result)
    assert_type(await vertex.create_async(messages=USER, response_model=Tools, stream=True), StreamedResult)
    assert_type(await vertex.create_async(messages=USER), GenerationResponse)
    assert_type(await gemini.create_async(messages=USER, response_model=Tools), Result)
    assert_type(await gemini.create_async(messages=USER), GenerateContentResponse)
    async with await gemini.create_async(messages=USER, response_model=Tools, stream=True) as stream:
        async for model in stream:
            assert_type(model, Weather | Search)


# Anthropic's clients
messages = multitrack.from_anthropic(anthropic.Anthropic(), mode=Mode.ANTHROPIC_PARALLEL_TOOLS).messages
assert_type(messages.create(model="m", max_tokens=1, messages=[], response_model=Tools), Result)
assert_type(messages.create(model="m", max_tokens=1, messages=[], response_model=Tools, stream=True), StreamedResult)
assert_type(messages.create(model="m", max_tokens=1, messages=[]), Message)
assert_type(messages.create(model="m", max_tokens=1, messages=[], stream=True), anthropic.Stream[RawMessageStreamEvent])
assert_type(messages.create_with_completion(model="m", response_model=Tools), tuple[Result, Message])
bedrock = multitrack.from_anthropic(AnthropicBedrock(aws_region="eu-west-1")).messages
assert_type(bedrock.create(model="m", max_tokens=1, messages=[], response_model=Tools), Result)
claude_on_vertex = multitrack.from_anthropic(AnthropicVertex(region="us-east5")).messages
assert_type(claude_on_vertex.create(model="m", max_tokens=1, messages=[], response_model=Tools), Result)


async def ask_anthropic() -> None:
    messages = multitrack.from_anthropic(anthropic.AsyncAnthropic()).messages
    assert_type(await messages.create(model="m", max_tokens=1, messages=[], response_model=Tools), Result)
    assert_type(await messages.create(model="m", max_tokens=1, messages=[]), Message)
    async with await messages.create(model="m", response_model=Tools, stream=True) as stream:
        async for model in stream:
            assert_type(model, Weather | Search)
    bedrock = multitrack.from_anthropic(AsyncAnthropicBedrock(aws_region="eu-west-1")).messages
    assert_type(await bedrock.create(model="m", max_tokens=1, messages=[], response_model=Tools), Result)
    vertex = multitrack.from_anthropic(AsyncAnthropicVertex(region="us-east5")).messages
    assert_type(await vertex.create(model="m", max_tokens=1, messages=[], response_model=Tools), Result)


# without a client
assert_type(Toolset(Tools).parse(decode(b"")), Result)


def results_are_covariant(extraction: Extraction[Weather], stream: ExtractionStream[Weather]) -> Sequence[BaseModel]:
    wider: ExtractionStream[BaseModel] = stream
    return [*extraction, *wider]


# the fixtures of the pytest plugin
def test_trip(tape: Tape, calls_snapshot: CallsSnapshot) -> None:
    assert extraction == calls_snapshot(name="trip", ordered=True)
    assert_type(tape.sent, list[Sent])
    assert_type(tape.sent[0].tools, tuple[str, ...])
    assert_type(Settings(strict=True).max_age, int)
