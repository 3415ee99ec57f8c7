"""Make every kind of request to Vertex AI over each transport: ``vertex_transports.py MODE TRANSPORT=CASSETTE...``."""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

import httpx
import vertexai
from google import genai
from google.api_core.exceptions import GoogleAPICallError
from google.genai import types
from pydantic import BaseModel
from vertexai import generative_models

import multitrack
from multitrack import errors, use_cassette

MODEL = "gemini-1.5-pro"
PLACE = {"project": "acme-prod-7", "location": "us-central1"}
SETTINGS = {"temperature": 0.5, "max_output_tokens": 77, "stop_sequences": ["THE END"]}
TOOL_RESULT = {"temperature": 21.5, "windy": False, "days": [1, 2]}


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]


class Search(BaseModel):
    query: str


class VertexSdk:
    """The Vertex SDK over one transport, through its sync or its async methods."""

    error = GoogleAPICallError

    def __init__(self, transport, *, is_async=False):
        vertexai.init(**PLACE, api_transport=transport)
        # created here, because a model keeps the transport of its first request
        self._model = generative_models.GenerativeModel(MODEL)
        self.is_async = is_async

    async def create(self, **arguments):
        client = multitrack.from_vertexai(self._model)
        return await client.create_async(**arguments) if self.is_async else client.create(**arguments)

    async def generate(self, contents, *, model=None, **arguments):
        model = model or self._model
        return (
            await model.generate_content_async(contents, **arguments)
            if self.is_async
            else model.generate_content(contents, **arguments)
        )

    async def text(self):
        return await self.generate("Tell a tale", generation_config=generative_models.GenerationConfig(**SETTINGS))

    async def text_stream(self):
        return await self.generate("Tell a tale", stream=True)

    async def conversation(self):
        part, content = generative_models.Part, generative_models.Content
        declared = generative_models.FunctionDeclaration(
            name="Weather",
            description="The weather at a place.",
            parameters={
                "type": "object",
                "properties": {"location": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["location"],
            },
        )
        config = generative_models.ToolConfig.FunctionCallingConfig
        called = {"name": "Weather", "args": {"location": "Toronto", "days": 2}}
        model = generative_models.GenerativeModel(
            MODEL,
            system_instruction="Be brief.",
            tools=[generative_models.Tool(function_declarations=[declared])],
            tool_config=generative_models.ToolConfig(config(mode=config.Mode.NONE)),
            generation_config=generative_models.GenerationConfig(**SETTINGS),
            safety_settings={
                generative_models.HarmCategory.HARM_CATEGORY_HARASSMENT: (
                    generative_models.HarmBlockThreshold.BLOCK_ONLY_HIGH
                )
            },
        )
        history = [
            content(role="user", parts=[part.from_text("What is it like?")]),
            content(role="model", parts=[part.from_dict({"function_call": called})]),
            content(role="user", parts=[part.from_function_response(name="Weather", response=TOOL_RESULT)]),
            content(role="model", parts=[part.from_text("Fair.")]),
            content(role="user", parts=[part.from_text("Tell a tale")]),
        ]
        return await self.generate(history, model=model)

    @staticmethod
    def describe(error):
        found = []
        for detail in error.details:
            violation = detail["violations"][0] if isinstance(detail, dict) else detail.violations[0]
            found.append(violation["subject"] if isinstance(violation, dict) else violation.subject)
        return [type(error).__name__, error.message, found]


class GenaiSdk:
    """google-genai for Vertex AI, through its sync or its async methods."""

    error = genai.errors.APIError

    def __init__(self, *, is_async=False, **options):
        self._client = genai.Client(vertexai=True, **PLACE, **options)
        self.is_async = is_async

    @property
    def _models(self):
        return self._client.aio.models if self.is_async else self._client.models

    async def create(self, **arguments):
        client = multitrack.from_genai(self._client, model=MODEL)
        return await client.create_async(**arguments) if self.is_async else client.create(**arguments)

    async def generate(self, contents, **settings):
        config = types.GenerateContentConfig(**settings)
        answer = self._models.generate_content(model=MODEL, contents=contents, config=config)
        return await answer if self.is_async else answer

    async def text(self):
        return await self.generate("Tell a tale", **SETTINGS)

    async def text_stream(self):
        parts = self._models.generate_content_stream(model=MODEL, contents="Tell a tale")
        return await parts if self.is_async else parts

    async def conversation(self):
        declared = types.FunctionDeclaration(
            name="Weather",
            description="The weather at a place.",
            parameters=types.Schema(
                type="OBJECT",
                properties={"location": types.Schema(type="STRING"), "days": types.Schema(type="INTEGER")},
                required=["location"],
                # the Vertex SDK adds this
                property_ordering=["location", "days"],
            ),
        )
        history = [
            types.Content(role="user", parts=[types.Part(text="What is it like?")]),
            types.Content(
                role="model",
                parts=[types.Part.from_function_call(name="Weather", args={"location": "Toronto", "days": 2})],
            ),
            types.Content(role="user", parts=[types.Part.from_function_response(name="Weather", response=TOOL_RESULT)]),
            types.Content(role="model", parts=[types.Part(text="Fair.")]),
            types.Content(role="user", parts=[types.Part(text="Tell a tale")]),
        ]
        return await self.generate(
            history,
            system_instruction="Be brief.",
            tools=[types.Tool(function_declarations=[declared])],
            tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="NONE")),
            safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_ONLY_HIGH")],
            **SETTINGS,
        )

    @staticmethod
    def describe(error):
        details = error.details["error"].get("details", ())
        return [type(error).__name__, error.message, [detail["violations"][0]["subject"] for detail in details]]


SDKS = {
    "grpc": lambda: VertexSdk("grpc"),
    "grpc_asyncio": lambda: VertexSdk("grpc", is_async=True),
    "rest": lambda: VertexSdk("rest"),
    "genai": GenaiSdk,
    "genai_httpx": lambda: GenaiSdk(
        is_async=True, http_options=types.HttpOptions(httpx_async_client=httpx.AsyncClient())
    ),
    # uses aiohttp if it is installed
    "genai_asyncio": lambda: GenaiSdk(is_async=True),
}


async def outcomes(sdk):
    """Make every kind of request, and return the outcomes."""

    async def extract(prompt, **options):
        message = {"role": "user", "content": prompt}
        result = await sdk.create(messages=[message], response_model=Iterable[Weather | Search], **options)
        return [repr(model) for model in await to_list(result)]

    async def to_list(results):
        # an extraction is a sequence even if the SDK is async; a stream is not
        if sdk.is_async and not isinstance(results, Sequence):
            return [result async for result in results]
        return list(results)

    async def text_and_finish_reason(request):
        response = await request
        return [response.text, response.candidates[0].finish_reason.name]

    async def streamed_texts():
        return [response.text for response in await to_list(await sdk.text_stream())]

    actions = {
        "whole": extract("Plan the trip"),
        "streamed": extract("Plan the trip", stream=True),
        "exhausted": extract("Too much"),
        "exhausted_stream": extract("Too much", stream=True),
        "refused": extract("What is wrong"),
        "refused_stream": extract("What is wrong", stream=True),
        "text": text_and_finish_reason(sdk.text()),
        "text_of_a_stream": streamed_texts(),
        "conversation": text_and_finish_reason(sdk.conversation()),
    }
    return {name: await outcome(action, sdk) for name, action in actions.items()}


async def outcome(action, sdk):
    try:
        return await action
    except sdk.error as error:
        return sdk.describe(error)
    except errors.CassetteMiss as miss:
        return f"missed: {miss}"


def main(mode, *runs):
    for run in runs:
        transport, cassette = run.split("=")
        with use_cassette(cassette, mode=mode, keep_errors=True) as tape, tape.expect_misses():
            yield asyncio.run(outcomes(SDKS[transport]()))


sys.stdout.writelines(f"{json.dumps(found)}\n" for found in main(*sys.argv[1:]))
