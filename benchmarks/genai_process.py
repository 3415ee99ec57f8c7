"""One process of the benchmark of google-genai. The provider is a function that the ``MockTransport`` calls."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import httpx
from google import genai
from google.genai import types
from pydantic import BaseModel

from benchmarks.openai_completions import THREE, GoogleSearch, Weather
from benchmarks.provider_extraction import MULTITRACK, compare_candidates
from multitrack import Toolset, from_genai

_MODELS: dict[str, type[BaseModel]] = {"Weather": Weather, "GoogleSearch": GoogleSearch}
_RESPONSE_MODEL: Any = Iterable[Weather | GoogleSearch]
_MODEL = "gemini-2.5-flash"


class FakeProvider:
    """A provider that returns three calls for each request. ``last_request`` is the last request that it received."""

    def __init__(self) -> None:
        self.last_request: Any = None
        parts: list[Any] = [{"text": "I will look up the weather in both cities, and search the web."}]
        parts += [{"functionCall": {"name": type(call).__name__, "args": call.model_dump()}} for call in THREE]
        response = {
            "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 148, "candidatesTokenCount": 68, "totalTokenCount": 216},
            "modelVersion": _MODEL,
            "responseId": "0123456789",
        }
        self._body = json.dumps(response).encode()

    def make_client(self) -> genai.Client:
        options: Any = {"client_args": {"transport": httpx.MockTransport(self._respond)}}
        return genai.Client(api_key="none", http_options=options)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.last_request = request
        return httpx.Response(200, headers={"content-type": "application/json"}, content=self._body)


def make_extraction(provider: FakeProvider, name: str) -> Callable[[], list[BaseModel]]:
    """Return a function that extracts the models as the candidate ``name`` does."""
    client = provider.make_client()
    prompt = "The weather in Toronto and Dallas? Who won the super bowl?"
    tools: Any = Toolset(_RESPONSE_MODEL).schemas("gemini")
    config = types.GenerateContentConfig(tools=[types.Tool.model_validate(tool) for tool in tools])

    def extract_by_hand() -> list[BaseModel]:
        contents: Any = [types.Content(role="user", parts=[types.Part(text=prompt)])]
        response = client.models.generate_content(model=_MODEL, contents=contents, config=config)
        [candidate] = response.candidates or []
        parts = (candidate.content and candidate.content.parts) or []
        calls = [part.function_call for part in parts if part.function_call]
        return [_MODELS[call.name or ""].model_validate(call.args) for call in calls]

    extracting = from_genai(client, model=_MODEL)

    def extract() -> list[BaseModel]:
        return list(extracting.create([{"role": "user", "content": prompt}], _RESPONSE_MODEL))

    return extract if name == MULTITRACK else extract_by_hand


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.genai_process")
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    provider = FakeProvider()
    results = await compare_candidates(
        partial(make_extraction, provider),
        lambda: provider.last_request.content,
        expected=THREE,
        packages=("google-genai", "httpx"),
        rounds=options.rounds,
    )
    print(results)


if __name__ == "__main__":
    asyncio.run(main())
