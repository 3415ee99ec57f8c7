"""One process of a race of OpenAI clients, which prints its laps: ``python -m benchmarks.openai_race SCENARIO ...``.

The provider is a function in the same process, behind the SDK's ``MockTransport``, so that clients are measured and
no network. All contenders give the same models, by the same request where its tools are the same; that is checked
before any lap.
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

from benchmarks.openai_answers import THREE, Calls, GoogleSearch, Trip, Weather, streamed, trips, whole
from benchmarks.race import Contender, Lap, printed, race, timed, timed_async
from multitrack import Toolset, from_openai

RAW = "raw client"
CONTROL = "raw client, once more"
BARE = "raw client, no tool_choice"
BY_HAND = (RAW, CONTROL, BARE)
MULTITRACK = "multitrack"
INSTRUCTOR = "instructor"

FROM_FIRST = "from the first event"
FROM_LAST = "from the event that completes the call"
BEYOND = "events read beyond it"

# about as much as one event of a model holds; in a long answer, as much as a busy gateway puts into one
_TOKEN, _BURST = 4, 100

# the SDK went over to another HTTP library with version 3
_httpx: Any = import_module("httpx2" if int(openai.VERSION.partition(".")[0]) >= 3 else "httpx")

_MODELS: Mapping[str, type[BaseModel]] = {"Weather": Weather, "GoogleSearch": GoogleSearch, "Trip": Trip}


class Stage:
    """A provider that answers each request with ``calls``, and what to ask it."""

    def __init__(self, calls: Calls, *, fragment: int | None, asynchronous: bool) -> None:
        self.calls = list(calls)
        self.asynchronous = asynchronous
        self.response_model: Any = Iterable[Weather | GoogleSearch] if calls is THREE else Iterable[Trip]
        self.request: dict[str, Any] = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "The weather in Toronto and Dallas? Who won the super bowl?"}],
        }
        self.tools: Any = Toolset(self.response_model).schemas("openai.chat")
        self.events = list(streamed(calls, fragment)) if fragment else []
        # behind the event that begins the answer, and the one that begins the call
        self.completing = 2 - (-len(calls[0].model_dump_json()) // fragment) if fragment else 0
        """How many events it takes until the first call is complete."""
        self.handed_over: list[float] = []
        """When each event of the last answer was given to the client."""
        self.sent: Any = None
        self._body = whole(calls)

    def client(self) -> Any:
        transport = _httpx.MockTransport(self._answer)
        if self.asynchronous:
            return openai.AsyncOpenAI(api_key="none", http_client=_httpx.AsyncClient(transport=transport))
        return openai.OpenAI(api_key="none", http_client=_httpx.Client(transport=transport))

    def _answer(self, request: Any) -> Any:
        self.sent = request
        if not self.events:
            return _httpx.Response(200, headers={"content-type": "application/json"}, content=self._body)
        self.handed_over = []
        events = self._arriving_async() if self.asynchronous else self._arriving()
        return _httpx.Response(200, headers={"content-type": "text/event-stream"}, content=events)

    def _arriving(self) -> Iterator[bytes]:
        for event in self.events:
            self.handed_over.append(perf_counter())
            yield event

    async def _arriving_async(self) -> AsyncIterator[bytes]:
        for event in self._arriving():
            yield event


class Assembly:
    """The calls of a streamed answer as one puts them together by hand."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._arguments: list[list[str]] = []

    def add(self, chunk: Any) -> None:
        for call in chunk.choices[0].delta.tool_calls or ():
            if call.index == len(self._names):
                self._names.append(call.function.name)
                self._arguments.append([])
            self._arguments[call.index].append(call.function.arguments)

    def models(self) -> list[BaseModel]:
        texts = map("".join, self._arguments)
        return [_MODELS[name].model_validate_json(text) for name, text in zip(self._names, texts, strict=True)]


def validated(completion: Any) -> list[BaseModel]:
    calls = completion.choices[0].message.tool_calls
    return [_MODELS[call.function.name].model_validate_json(call.function.arguments) for call in calls]


def asking(stage: Stage, name: str) -> Callable[[], Any]:
    """What contender ``name`` does to get an answer, or the stream of one."""
    client = stage.client()
    request = {**stage.request, **({"stream": True} if stage.events else {})}
    if name in BY_HAND:
        request |= {"tools": stage.tools, **({} if name == BARE else {"tool_choice": "auto"})}
    else:
        request["response_model"] = stage.response_model
        client = _extracting(client, name)
    return lambda: client.chat.completions.create(**request)


def _extracting(client: Any, name: str) -> Any:
    if name == MULTITRACK:
        return from_openai(client)
    import instructor

    return instructor.from_openai(client, mode=instructor.Mode.PARALLEL_TOOLS)


def extracting(stage: Stage, name: str) -> Callable[[], Any]:
    """What contender ``name`` does to get the models; awaitable where the client is asynchronous."""
    ask = asking(stage, name)
    read = validated if name in BY_HAND else list

    def of_answer() -> list[BaseModel]:
        return read(ask())

    async def of_answer_async() -> list[BaseModel]:
        return read(await ask())

    def of_stream() -> list[BaseModel]:
        if name not in BY_HAND:
            return list(ask())
        assembly = Assembly()
        for chunk in ask():
            assembly.add(chunk)
        return assembly.models()

    async def of_stream_async() -> list[BaseModel]:
        if name not in BY_HAND:
            return [model async for model in await ask()]
        assembly = Assembly()
        async for chunk in await ask():
            assembly.add(chunk)
        return assembly.models()

    if stage.events:
        return of_stream_async if stage.asynchronous else of_stream
    return of_answer_async if stage.asynchronous else of_answer


def first_model(stage: Stage, name: str) -> Contender:
    """The contender that reads a stream until it has the model of the first call.

    By hand that is done as early as it can be: told which event completes the call.
    """
    ask = asking(stage, name)

    def by_hand() -> tuple[Any, object, float]:
        stream = ask()
        assembly = Assembly()
        for number, chunk in enumerate(stream, start=1):
            assembly.add(chunk)
            if number == stage.completing:
                break
        return stream, assembly.models()[0], perf_counter()

    async def by_hand_async() -> tuple[Any, object, float]:
        stream = await ask()
        assembly = Assembly()
        number = 0
        async for chunk in stream:
            number += 1
            assembly.add(chunk)
            if number == stage.completing:
                break
        return stream, assembly.models()[0], perf_counter()

    def by_model() -> tuple[Any, object, float]:
        stream = ask()
        return stream, next(iter(stream)), perf_counter()

    async def by_model_async() -> tuple[Any, object, float]:
        stream = await ask()
        return stream, await anext(aiter(stream)), perf_counter()

    async def lap() -> Lap:
        if stage.asynchronous:
            stream, model, now = await (by_hand_async() if name in BY_HAND else by_model_async())
        else:
            stream, model, now = by_hand() if name in BY_HAND else by_model()
        handed_over = stage.handed_over
        _same(model, stage.calls[0], name)
        closing = stream.close()
        if stage.asynchronous:
            await closing
        return {
            FROM_FIRST: now - handed_over[0],
            FROM_LAST: now - handed_over[stage.completing - 1],
            BEYOND: len(handed_over) - stage.completing,
        }

    return lap


async def checked(stage: Stage, names: Sequence[str]) -> None:
    """Raises SystemExit unless all contenders give the models of the answer, by equal requests."""
    sent = {}
    for name in names:
        models = extracting(stage, name)()
        _same(await models if stage.asynchronous else models, stage.calls, name)
        sent[name] = json.loads(stage.sent.content)
    for name in {RAW, CONTROL, MULTITRACK} & sent.keys():
        _same(sent[name], sent[RAW], name)


def _same(given: object, expected: object, name: str) -> None:
    if given != expected:
        raise SystemExit(f"{name} gives or sends something else:\n{given}\nexpected:\n{expected}")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.openai_race")
    parser.add_argument("contenders", nargs="+", choices=(*BY_HAND, MULTITRACK, INSTRUCTOR), metavar="CONTENDER")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--async", action="store_true", dest="asynchronous")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--first-model", action="store_true", help="only until the first model of a stream")
    parser.add_argument("--calls", type=int, help="so many calls of 2 KB each, instead of the three")
    options = parser.parse_args()
    calls = trips(options.calls) if options.calls else THREE
    fragment = (_BURST if options.calls else _TOKEN) if options.stream else None
    stage = Stage(calls, fragment=fragment, asynchronous=options.asynchronous)
    await checked(stage, options.contenders)
    contend = timed_async if options.asynchronous else timed
    contenders: dict[str, Contender] = {
        name: first_model(stage, name) if options.first_model else contend(extracting(stage, name))
        for name in options.contenders
    }
    packages = ["multitrack", "openai", _httpx.__name__, "pydantic", *{INSTRUCTOR} & {*options.contenders}]
    versions = {package: version(package) for package in packages}
    print(printed(versions, await race(contenders, options.rounds)))


if __name__ == "__main__":
    asyncio.run(main())
