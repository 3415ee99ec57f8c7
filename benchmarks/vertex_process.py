"""One process of the benchmark of Vertex AI. The provider is a gRPC channel that returns a message."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import vertexai
from google.auth import credentials
from google.cloud import aiplatform_v1
from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport
from pydantic import BaseModel
from vertexai import generative_models
from vertexai.generative_models import GenerativeModel

from benchmarks.openai_completions import THREE, GoogleSearch, Weather
from benchmarks.provider_extraction import MULTITRACK, compare_candidates
from benchmarks.suite_clients import make_channel
from multitrack import Toolset, from_vertexai

_MODELS: dict[str, type[BaseModel]] = {"Weather": Weather, "GoogleSearch": GoogleSearch}
_RESPONSE_MODEL: Any = Iterable[Weather | GoogleSearch]


class FakeProvider:
    """A provider that returns three calls for each request. ``last_request`` is the last message that was sent."""

    def __init__(self) -> None:
        self.last_request = b""
        parts: list[Any] = [{"text": "I will look up the weather in both cities, and search the web."}]
        parts += [{"function_call": {"name": type(call).__name__, "args": call.model_dump()}} for call in THREE]
        response = aiplatform_v1.GenerateContentResponse(
            candidates=[{"content": {"parts": parts, "role": "model"}, "finish_reason": "STOP"}],
            usage_metadata={"prompt_token_count": 148, "candidates_token_count": 68, "total_token_count": 216},
            model_version="gemini-2.5-flash",
        )
        self._response: bytes = aiplatform_v1.GenerateContentResponse.serialize(response)

    def respond(self, request: Any) -> bytes:
        self.last_request = type(request).serialize(request)
        return self._response


def make_extraction(provider: FakeProvider, name: str) -> Callable[[], list[BaseModel]]:
    """Return a function that extracts the models as the candidate ``name`` does."""
    transport = PredictionServiceGrpcTransport(channel=make_channel(provider.respond))
    model: Any = GenerativeModel("gemini-2.5-flash")
    # a cached property of the model
    model._prediction_client = aiplatform_v1.PredictionServiceClient(transport=transport)
    prompt = "The weather in Toronto and Dallas? Who won the super bowl?"
    schemas: Any = Toolset(_RESPONSE_MODEL).schemas("gemini")
    tools = [generative_models.Tool.from_dict(schema) for schema in schemas]

    def extract_by_hand() -> list[BaseModel]:
        part = generative_models.Part.from_text(prompt)
        response = model.generate_content([generative_models.Content(role="user", parts=[part])], tools=tools)
        calls = response.candidates[0].function_calls
        return [_MODELS[call.name].model_validate(call.args) for call in calls]

    extracting = from_vertexai(model)

    def extract() -> list[BaseModel]:
        return list(extracting.create([{"role": "user", "content": prompt}], _RESPONSE_MODEL))

    return extract if name == MULTITRACK else extract_by_hand


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vertex_process")
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    anonymous: Any = credentials.AnonymousCredentials
    vertexai.init(project="harbour-forecast-7", location="us-central1", credentials=anonymous())
    provider = FakeProvider()
    message: Any = aiplatform_v1.GenerateContentRequest
    results = await compare_candidates(
        partial(make_extraction, provider),
        lambda: message.to_json(message.deserialize(provider.last_request)).encode(),
        expected=THREE,
        packages=("google-cloud-aiplatform", "grpcio"),
        rounds=options.rounds,
    )
    print(results)


if __name__ == "__main__":
    asyncio.run(main())
