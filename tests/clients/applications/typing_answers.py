"""An application that says of everything it gets what type it is. It is type-checked, and never run."""

from collections.abc import Iterable, Sequence
from typing import Annotated, TypeAlias, assert_type

# as `from google import genai`, pyright would not find it beside types-protobuf, whose stubs are of google, too
import google.genai as genai
import openai
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, Field
from vertexai.generative_models import GenerationResponse, GenerativeModel

import multitrack
from multitrack import Extraction, ExtractionStream, Mode, Toolset, decode


class Weather(BaseModel):
    location: str


class Search(BaseModel):
    query: str


Tools: TypeAlias = Iterable[Weather | Search]
Both: TypeAlias = Extraction[Weather | Search]
BothStreamed: TypeAlias = ExtractionStream[Weather | Search]
USER = [{"role": "user", "content": "Plan the trip"}]

# OpenAI's clients
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

# whatever the response_model may be
assert_type(create(model="m", messages=[], response_model=Tools), Both)
assert_type(create(model="m", messages=[], response_model=list[Weather]), Extraction[Weather])
assert_type(create(model="m", messages=[], response_model=Sequence[Weather]), Extraction[Weather])
assert_type(create(model="m", messages=[], response_model=tuple[Weather, ...]), Extraction[Weather])
assert_type(create(model="m", messages=[], response_model=Iterable[Annotated[Weather | Search, Field()]]), Both)

with create(model="m", messages=[], response_model=Tools, stream=True) as stream:
    assert_type(stream, BothStreamed)
    for model in stream:
        assert_type(model, Weather | Search)
    assert_type(stream.extraction, Both)


def streamed_or_not(stream: bool) -> None:
    assert_type(create(model="m", messages=[], response_model=Tools, stream=stream), Both | BothStreamed)
    assert_type(create(model="m", messages=[], stream=stream), ChatCompletion | openai.Stream[ChatCompletionChunk])


# without a response_model it is the SDK's own
assert_type(create(model="m", messages=[{"role": "user", "content": "Plan the trip"}]), ChatCompletion)
assert_type(create(model="m", messages=[], response_model=None), ChatCompletion)
assert_type(create(model="m", messages=[], stream=True), openai.Stream[ChatCompletionChunk])
assert_type(client.models.retrieve("m").owned_by, str)

create = multitrack.from_openai(openai.AzureOpenAI(api_version="2024-10-21")).chat.completions.create
assert_type(create(model="m", messages=[], response_model=Tools), Both)
create = multitrack.patch(openai.OpenAI()).chat.completions.create
assert_type(create(model="m", messages=[], response_model=Tools), Both)
assert_type(create(model="m", messages=[]), ChatCompletion)

respond = multitrack.from_openai(openai.OpenAI(), mode=Mode.RESPONSES_PARALLEL_TOOLS).responses.create
assert_type(respond(model="m", input="x", response_model=Tools), Both)
assert_type(respond(model="m", input="x", response_model=Tools, stream=True), BothStreamed)
assert_type(respond(model="m", input="x"), Response)
assert_type(respond(model="m", input="x", stream=True), openai.Stream[ResponseStreamEvent])


# OpenAI's asynchronous clients
async def ask_openai() -> None:
    client = multitrack.from_openai(openai.AsyncOpenAI())
    create = client.chat.completions.create
    assert_type(await create(model="m", messages=[], response_model=Tools), Both)
    assert_type(await create(model="m", messages=[]), ChatCompletion)
    assert_type(await create(model="m", messages=[], stream=True), openai.AsyncStream[ChatCompletionChunk])
    async with await create(model="m", messages=[], response_model=Tools, stream=True) as stream:
        assert_type(stream, BothStreamed)
        async for model in stream:
            assert_type(model, Weather | Search)
        assert_type(stream.extraction, Both)

    create = multitrack.patch(openai.AsyncAzureOpenAI(api_version="2024-10-21")).chat.completions.create
    assert_type(await create(model="m", messages=[], response_model=Tools), Both)

    respond = client.responses.create
    assert_type(await respond(model="m", input="x", response_model=Tools), Both)
    assert_type(await respond(model="m", input="x", response_model=Tools, stream=True), BothStreamed)
    assert_type(await respond(model="m", input="x"), Response)
    assert_type(await respond(model="m", input="x", stream=True), openai.AsyncStream[ResponseStreamEvent])


# Google's clients
vertex = multitrack.from_vertexai(GenerativeModel("gemini"), mode=Mode.VERTEXAI_PARALLEL_TOOLS)
assert_type(vertex.create(messages=USER, response_model=Tools), Both)
assert_type(vertex.create(messages=USER, response_model=Tools, stream=True), BothStreamed)
assert_type(vertex.create(messages=USER), GenerationResponse)
assert_type(vertex.create(messages=USER, stream=True), Iterable[GenerationResponse])

gemini = multitrack.from_genai(genai.Client(), mode=Mode.GENAI_PARALLEL_TOOLS, model="gemini")
assert_type(gemini.create(messages=USER, response_model=Tools), Both)
assert_type(gemini.create(messages=USER, response_model=Tools, stream=True), BothStreamed)
assert_type(gemini.create(messages=USER), GenerateContentResponse)
assert_type(gemini.create(messages=USER, stream=True), Iterable[GenerateContentResponse])


async def ask_google() -> None:
    assert_type(await vertex.create_async(messages=USER, response_model=Tools), Both)
    assert_type(await vertex.create_async(messages=USER, response_model=Tools, stream=True), BothStreamed)
    assert_type(await vertex.create_async(messages=USER), GenerationResponse)
    assert_type(await gemini.create_async(messages=USER, response_model=Tools), Both)
    assert_type(await gemini.create_async(messages=USER), GenerateContentResponse)
    async with await gemini.create_async(messages=USER, response_model=Tools, stream=True) as stream:
        async for model in stream:
            assert_type(model, Weather | Search)


# and apart from any client
assert_type(Toolset(Tools).parse(decode(b"")), Both)


def kept(extraction: Extraction[Weather], stream: ExtractionStream[Weather]) -> Sequence[BaseModel]:
    wider: ExtractionStream[BaseModel] = stream
    return [*extraction, *wider]
