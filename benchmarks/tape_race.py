"""One process of the race, which prints its laps: each client asks the same, live and from a tape.

The provider is where the environment leads to. What a tape gives is held against the live answer before any lap; a
live call finds its connection open.
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

from benchmarks.openai_answers import GoogleSearch, Weather
from benchmarks.race import TIME, Contender, Lap, printed, race
from multitrack import Toolset, use_cassette

QUESTION = "What is the weather in Toronto and Dallas, and who won the super bowl?"

WALL = "time on the wall"
WITH_TAPE = "time on the wall, with the tape opened and closed"

Ask = Callable[[], Any]
"""What gives the arguments of the calls, or an awaitable of them."""

_OFFERED = Toolset(Iterable[Weather | GoogleSearch])
_OPTIONS = {"api_endpoint": "us-central1-aiplatform.googleapis.com"}


class _Promptly(HTTPAdapter):
    """Sends through a proxy as requests does without one; else Nagle's algorithm makes a live call 40 ms longer."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        promptly = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        return super().proxy_manager_for(proxy, socket_options=promptly, **options)


class _Rest(PredictionServiceRestTransport):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._session.mount("https://", _Promptly())


def _vertex(client: type, transport: str) -> Ask:
    service: Any = client(transport=_Rest if transport == "rest" else transport, client_options=_OPTIONS)
    request = aiplatform_v1.GenerateContentRequest(
        model="projects/harbour-forecast-7/locations/us-central1/publishers/google/models/gemini-1.5-pro-preview-0409",
        contents=[{"role": "user", "parts": [{"text": QUESTION}]}],
        tools=[aiplatform_v1.Tool.from_json(json.dumps(tool)) for tool in _OFFERED.schemas("gemini")],
    )

    def read(answer: aiplatform_v1.GenerateContentResponse) -> list[dict[str, Any]]:
        return [dict(part.function_call.args) for part in answer.candidates[0].content.parts]

    async def ask_async() -> list[dict[str, Any]]:
        return read(await service.generate_content(request))

    return ask_async if transport == "grpc_asyncio" else lambda: read(service.generate_content(request))


def _openai(client: openai.OpenAI | openai.AsyncOpenAI) -> Ask:
    completions: Any = client.chat.completions
    request = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": _OFFERED.schemas("openai.chat"),
    }

    def read(answer: Any) -> list[str]:
        return [call.function.arguments for call in answer.choices[0].message.tool_calls]

    async def ask_async() -> list[str]:
        return read(await completions.create(**request))

    return ask_async if isinstance(client, openai.AsyncOpenAI) else lambda: read(completions.create(**request))


CASES: Mapping[str, Callable[[], Ask]] = {
    "GenerateContent, gRPC": lambda: _vertex(aiplatform_v1.PredictionServiceClient, "grpc"),
    "GenerateContent, gRPC with asyncio": lambda: _vertex(aiplatform_v1.PredictionServiceAsyncClient, "grpc_asyncio"),
    "GenerateContent, REST": lambda: _vertex(aiplatform_v1.PredictionServiceClient, "rest"),
    "OpenAI chat": lambda: _openai(openai.OpenAI()),
    "OpenAI chat with asyncio": lambda: _openai(openai.AsyncOpenAI()),
}


def live(case: str) -> str:
    """The contender that goes to the provider."""
    return f"{case}, live"


def replayed(case: str) -> str:
    """The contender that plays a tape, which is opened for each call."""
    return f"{case}, replayed"


async def _answer(ask: Ask) -> Any:
    answer = ask()
    return await answer if inspect.isawaitable(answer) else answer


def _contenders(ask: Ask, tape: Path) -> tuple[Contender, Contender]:
    async def call() -> Lap:
        wall, processor = perf_counter(), process_time()
        await _answer(ask)
        return {WALL: perf_counter() - wall, TIME: process_time() - processor}

    async def play() -> Lap:
        start = perf_counter()
        with use_cassette(tape, mode="replay"):
            lap = await call()
        return {**lap, WITH_TAPE: perf_counter() - start}

    return call, play


async def _record(ask: Ask, tape: Path) -> None:
    """Write ``tape``. Raises SystemExit if it gives something else than the provider."""
    with use_cassette(tape, mode="record"):
        given = await _answer(ask)
    with use_cassette(tape, mode="replay"):
        again = await _answer(ask)
    if not given or given != again:
        raise SystemExit(f"{tape.stem} gives something else:\n{again}\nexpected:\n{given}")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tape_race")
    parser.add_argument("--rounds", type=int, required=True)
    rounds = parser.parse_args().rounds
    contenders: dict[str, Contender] = {}
    with TemporaryDirectory() as scratch:
        for case, connect in CASES.items():
            ask, tape = connect(), Path(scratch, f"{case}.yaml")
            await _record(ask, tape)
            contenders[live(case)], contenders[replayed(case)] = _contenders(ask, tape)
        laps = await race(contenders, rounds)
    packages = ("multitrack", "google-cloud-aiplatform", "grpcio", "requests", "openai")
    print(printed({package: version(package) for package in packages}, laps))


if __name__ == "__main__":
    asyncio.run(main())
