"""One process of the replay benchmark: each client makes the same call, live and replayed.

The environment variables of the stand-in provider direct the clients to it. Before the measurement, the replayed
response is compared with the live one. A live call uses a connection that is already open.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import openai
from google.cloud import aiplatform_v1
from google.cloud.aiplatform_v1.services.prediction_service.transports.rest import PredictionServiceRestTransport
from requests.adapters import HTTPAdapter

from benchmarks.measurement import CPU_TIME, Candidate, Figures, format_results, measure_in_turns
from benchmarks.openai_completions import GoogleSearch, Weather
from multitrack import Toolset, use_cassette

QUESTION = "What is the weather in Toronto and Dallas, and who won the super bowl?"

WALL_TIME = "wall-clock time"
WITH_CASSETTE = "wall-clock time, with opening and closing the cassette"

MakeCall = Callable[[], Any]
"""Makes the call. Returns the arguments of the tool calls, or an awaitable that returns them."""

_TOOLSET = Toolset(Iterable[Weather | GoogleSearch])
_OPTIONS = {"api_endpoint": "us-central1-aiplatform.googleapis.com"}


class _NoDelayAdapter(HTTPAdapter):
    """Disable Nagle's algorithm even for proxies, because a live call would otherwise take 40 ms longer."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        no_delay = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        return super().proxy_manager_for(proxy, socket_options=no_delay, **options)


class _RestTransport(PredictionServiceRestTransport):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._session.mount("https://", _NoDelayAdapter())


def _make_vertex_call(client: type, transport: str) -> MakeCall:
    service: Any = client(transport=_RestTransport if transport == "rest" else transport, client_options=_OPTIONS)
    request = aiplatform_v1.GenerateContentRequest(
        model="projects/harbour-forecast-7/locations/us-central1/publishers/google/models/gemini-1.5-pro-preview-0409",
        contents=[{"role": "user", "parts": [{"text": QUESTION}]}],
        tools=[aiplatform_v1.Tool.from_json(json.dumps(tool)) for tool in _TOOLSET.schemas("gemini")],
    )

    def read(response: aiplatform_v1.GenerateContentResponse) -> list[dict[str, Any]]:
        return [dict(part.function_call.args) for part in response.candidates[0].content.parts]

    async def call_async() -> list[dict[str, Any]]:
        return read(await service.generate_content(request))

    return call_async if transport == "grpc_asyncio" else lambda: read(service.generate_content(request))


def _make_openai_call(client: openai.OpenAI | openai.AsyncOpenAI) -> MakeCall:
    completions: Any = client.chat.completions
    request = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": _TOOLSET.schemas("openai.chat"),
    }

    def read(response: Any) -> list[str]:
        return [call.function.arguments for call in response.choices[0].message.tool_calls]

    async def call_async() -> list[str]:
        return read(await completions.create(**request))

    return call_async if isinstance(client, openai.AsyncOpenAI) else lambda: read(completions.create(**request))


CASES: Mapping[str, Callable[[], MakeCall]] = {
    "GenerateContent, gRPC": lambda: _make_vertex_call(aiplatform_v1.PredictionServiceClient, "grpc"),
    "GenerateContent, gRPC with asyncio": lambda: _make_vertex_call(
        aiplatform_v1.PredictionServiceAsyncClient, "grpc_asyncio"
    ),
    "GenerateContent, REST": lambda: _make_vertex_call(aiplatform_v1.PredictionServiceClient, "rest"),
    "OpenAI chat": lambda: _make_openai_call(openai.OpenAI()),
    "OpenAI chat with asyncio": lambda: _make_openai_call(openai.AsyncOpenAI()),
}


def name_live(case: str) -> str:
    """Return the name of the candidate that calls the provider."""
    return f"{case}, live"


def name_replayed(case: str) -> str:
    """Return the name of the candidate that opens a cassette and replays the call."""
    return f"{case}, replayed"


async def _await_call(make_call: MakeCall) -> Any:
    result = make_call()
    return await result if inspect.isawaitable(result) else result


def _make_candidates(make_call: MakeCall, cassette: Path) -> tuple[Candidate, Candidate]:
    async def run_live() -> Figures:
        wall, processor = perf_counter(), process_time()
        await _await_call(make_call)
        return {WALL_TIME: perf_counter() - wall, CPU_TIME: process_time() - processor}

    async def run_replayed() -> Figures:
        start = perf_counter()
        with use_cassette(cassette, mode="replay"):
            figures = await run_live()
        return {**figures, WITH_CASSETTE: perf_counter() - start}

    return run_live, run_replayed


async def _record(make_call: MakeCall, cassette: Path) -> None:
    """Record the call. Raises ``SystemExit`` if the replayed response differs from the provider's response."""
    with use_cassette(cassette, mode="record"):
        live = await _await_call(make_call)
    with use_cassette(cassette, mode="replay"):
        replayed = await _await_call(make_call)
    if not live or live != replayed:
        raise SystemExit(f"{cassette.stem}: the replayed response differs:\n{replayed}\nexpected:\n{live}")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay_process")
    parser.add_argument("--rounds", type=int, required=True)
    rounds = parser.parse_args().rounds
    candidates: dict[str, Candidate] = {}
    with TemporaryDirectory() as scratch:
        for case, connect in CASES.items():
            make_call, cassette = connect(), Path(scratch, f"{case}.yaml")
            await _record(make_call, cassette)
            candidates[name_live(case)], candidates[name_replayed(case)] = _make_candidates(make_call, cassette)
        figures = await measure_in_turns(candidates, rounds)
    packages = ("multitrack", "google-cloud-aiplatform", "grpcio", "requests", "openai")
    print(format_results({package: version(package) for package in packages}, figures))


if __name__ == "__main__":
    asyncio.run(main())
