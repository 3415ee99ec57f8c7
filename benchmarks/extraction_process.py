"""One process of the extraction benchmark, which compares OpenAI clients.

The provider is a function that the SDK's ``MockTransport`` calls in the same process, so that only the clients are
measured. All candidates return the same models, and candidates with the same tools send the same request. The process
checks both before it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from time import perf_counter
from typing import Any

import openai
from pydantic import BaseModel

from benchmarks.measurement import Candidate, Figures, format_results, measure_in_turns, time_async_call, time_call
from benchmarks.openai_completions import (
    THREE,
    Calls,
    GoogleSearch,
    Trip,
    Weather,
    format_response,
    make_trips,
    stream_response,
)
from multitrack import Toolset, from_openai

RAW = "raw client"
RAW_AGAIN = "raw client, again"
RAW_WITHOUT_CHOICE = "raw client, no tool_choice"
BY_HAND = (RAW, RAW_AGAIN, RAW_WITHOUT_CHOICE)
MULTITRACK = "multitrack"
INSTRUCTOR = "instructor"

FROM_FIRST = "from the first event"
FROM_COMPLETING = "from the event that completes the call"
EXTRA_EVENTS = "events read after it"

# characters in an event: about as many as a model sends, and for long responses, as many as a busy gateway collects
_TOKEN, _BURST = 4, 100

# the SDK uses a different HTTP library since version 3
_httpx: Any = import_module("httpx2" if int(openai.VERSION.partition(".")[0]) >= 3 else "httpx")

_MODELS: Mapping[str, type[BaseModel]] = {"Weather": Weather, "GoogleSearch": GoogleSearch, "Trip": Trip}


class FakeProvider:
    """A provider that returns ``calls`` for each request. ``request`` is the request to send to it.

    Attributes:
        completing: The number of events until the first call is complete.
        event_times: When each event of the last response was passed to the client.
        last_request: The last request that was received.
    """

    def __init__(self, calls: Calls, *, fragment: int | None, is_async: bool) -> None:
        self.calls = list(calls)
        self.is_async = is_async
        self.response_model: Any = Iterable[Weather | GoogleSearch] if calls is THREE else Iterable[Trip]
        self.request: dict[str, Any] = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "The weather in Toronto and Dallas? Who won the super bowl?"}],
        }
        self.tools: Any = Toolset(self.response_model).schemas("openai.chat")
        self.events = list(stream_response(calls, fragment)) if fragment else []
        # two events begin the response and the call; the others contain the arguments
        self.completing = 2 - (-len(calls[0].model_dump_json()) // fragment) if fragment else 0
        self.event_times: list[float] = []
        self.last_request: Any = None
        self._body = format_response(calls)

    def make_client(self) -> Any:
        transport = _httpx.MockTransport(self._respond)
        if self.is_async:
            return openai.AsyncOpenAI(api_key="none", http_client=_httpx.AsyncClient(transport=transport))
        return openai.OpenAI(api_key="none", http_client=_httpx.Client(transport=transport))

    def _respond(self, request: Any) -> Any:
        self.last_request = request
        if not self.events:
            return _httpx.Response(200, headers={"content-type": "application/json"}, content=self._body)
        self.event_times = []
        events = self._iterate_events_async() if self.is_async else self._iterate_events()
        return _httpx.Response(200, headers={"content-type": "text/event-stream"}, content=events)

    def _iterate_events(self) -> Iterator[bytes]:
        for event in self.events:
            self.event_times.append(perf_counter())
            yield event

    async def _iterate_events_async(self) -> AsyncIterator[bytes]:
        for event in self._iterate_events():
            yield event


class CallAssembler:
    """Collect the calls of a streamed response, as code written by hand does."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._arguments: list[list[str]] = []

    def add(self, chunk: Any) -> None:
        for call in chunk.choices[0].delta.tool_calls or ():
            if call.index == len(self._names):
                self._names.append(call.function.name)
                self._arguments.append([])
            self._arguments[call.index].append(call.function.arguments)

    def validate(self) -> list[BaseModel]:
        texts = map("".join, self._arguments)
        return [_MODELS[name].model_validate_json(text) for name, text in zip(self._names, texts, strict=True)]


def validate_calls(completion: Any) -> list[BaseModel]:
    calls = completion.choices[0].message.tool_calls
    return [_MODELS[call.function.name].model_validate_json(call.function.arguments) for call in calls]


def make_request(provider: FakeProvider, name: str) -> Callable[[], Any]:
    """Return a function with which the candidate ``name`` gets a response or a stream."""
    client = provider.make_client()
    request = {**provider.request, **({"stream": True} if provider.events else {})}
    if name in BY_HAND:
        request |= {"tools": provider.tools, **({} if name == RAW_WITHOUT_CHOICE else {"tool_choice": "auto"})}
    else:
        request["response_model"] = provider.response_model
        client = _patch_client(client, name)
    return lambda: client.chat.completions.create(**request)


def _patch_client(client: Any, name: str) -> Any:
    if name == MULTITRACK:
        return from_openai(client)
    import instructor

    return instructor.from_openai(client, mode=instructor.Mode.PARALLEL_TOOLS)


def make_extraction(provider: FakeProvider, name: str) -> Callable[[], Any]:
    """Return a function that extracts the models as the candidate ``name`` does.

    For an async client, the function returns an awaitable.
    """
    send = make_request(provider, name)
    read = validate_calls if name in BY_HAND else list

    def from_response() -> list[BaseModel]:
        return read(send())

    async def from_response_async() -> list[BaseModel]:
        return read(await send())

    def from_stream() -> list[BaseModel]:
        if name not in BY_HAND:
            return list(send())
        assembler = CallAssembler()
        for chunk in send():
            assembler.add(chunk)
        return assembler.validate()

    async def from_stream_async() -> list[BaseModel]:
        if name not in BY_HAND:
            return [model async for model in await send()]
        assembler = CallAssembler()
        async for chunk in await send():
            assembler.add(chunk)
        return assembler.validate()

    if provider.events:
        return from_stream_async if provider.is_async else from_stream
    return from_response_async if provider.is_async else from_response


def make_first_model_candidate(provider: FakeProvider, name: str) -> Candidate:
    """Return the candidate that reads a stream until it has the model of the first call.

    Code written by hand does that as early as possible, because it knows which event completes the call.
    """
    send = make_request(provider, name)

    def by_hand() -> tuple[Any, object, float]:
        stream = send()
        assembler = CallAssembler()
        for number, chunk in enumerate(stream, start=1):
            assembler.add(chunk)
            if number == provider.completing:
                break
        return stream, assembler.validate()[0], perf_counter()

    async def by_hand_async() -> tuple[Any, object, float]:
        stream = await send()
        assembler = CallAssembler()
        number = 0
        async for chunk in stream:
            number += 1
            assembler.add(chunk)
            if number == provider.completing:
                break
        return stream, assembler.validate()[0], perf_counter()

    def by_model() -> tuple[Any, object, float]:
        stream = send()
        return stream, next(iter(stream)), perf_counter()

    async def by_model_async() -> tuple[Any, object, float]:
        stream = await send()
        return stream, await anext(aiter(stream)), perf_counter()

    async def run_once() -> Figures:
        if provider.is_async:
            stream, model, now = await (by_hand_async() if name in BY_HAND else by_model_async())
        else:
            stream, model, now = by_hand() if name in BY_HAND else by_model()
        event_times = provider.event_times
        _check_equal(model, provider.calls[0], name)
        closing = stream.close()
        if provider.is_async:
            await closing
        return {
            FROM_FIRST: now - event_times[0],
            FROM_COMPLETING: now - event_times[provider.completing - 1],
            EXTRA_EVENTS: len(event_times) - provider.completing,
        }

    return run_once


async def check_candidates(provider: FakeProvider, names: Sequence[str]) -> None:
    """Raise ``SystemExit`` unless all candidates return the models of the response, and send equal requests."""
    sent = {}
    for name in names:
        models = make_extraction(provider, name)()
        _check_equal(await models if provider.is_async else models, provider.calls, name)
        sent[name] = json.loads(provider.last_request.content)
    for name in {RAW, RAW_AGAIN, MULTITRACK} & sent.keys():
        _check_equal(sent[name], sent[RAW], name)


def _check_equal(found: object, expected: object, name: str) -> None:
    if found != expected:
        raise SystemExit(f"{name} returns or sends something different:\n{found}\nexpected:\n{expected}")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extraction_process")
    parser.add_argument("candidates", nargs="+", choices=(*BY_HAND, MULTITRACK, INSTRUCTOR), metavar="CANDIDATE")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--async", action="store_true", dest="is_async")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--first-model", action="store_true", help="measure only until the first model of a stream")
    parser.add_argument("--calls", type=int, help="this many calls of 2 KB each, instead of three short ones")
    options = parser.parse_args()
    calls = make_trips(options.calls) if options.calls else THREE
    fragment = (_BURST if options.calls else _TOKEN) if options.stream else None
    provider = FakeProvider(calls, fragment=fragment, is_async=options.is_async)
    await check_candidates(provider, options.candidates)
    make_candidate = time_async_call if options.is_async else time_call
    candidates: dict[str, Candidate] = {
        name: make_first_model_candidate(provider, name)
        if options.first_model
        else make_candidate(make_extraction(provider, name))
        for name in options.candidates
    }
    packages = ["multitrack", "openai", _httpx.__name__, "pydantic", *{INSTRUCTOR} & {*options.candidates}]
    versions = {package: version(package) for package in packages}
    print(format_results(versions, await measure_in_turns(candidates, options.rounds)))


if __name__ == "__main__":
    asyncio.run(main())
