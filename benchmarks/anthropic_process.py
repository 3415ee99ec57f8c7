"""One process of the benchmark of Anthropic's client. The provider is a function that the ``MockTransport`` calls."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any

import anthropic
from pydantic import BaseModel

from benchmarks.openai_completions import THREE, GoogleSearch, Weather
from benchmarks.provider_extraction import MULTITRACK, compare_candidates
from multitrack import Toolset, from_anthropic

# the SDK uses a different HTTP library since version 1
_httpx: Any = import_module("httpx2" if int(anthropic.__version__.partition(".")[0]) >= 1 else "httpx")

_MODELS: dict[str, type[BaseModel]] = {"Weather": Weather, "GoogleSearch": GoogleSearch}
_RESPONSE_MODEL: Any = Iterable[Weather | GoogleSearch]


class FakeProvider:
    """A provider that returns three calls for each request. ``last_request`` is the last request that it received."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self.last_request: Any = None
        blocks = [{"type": "text", "text": "I will look up the weather in both cities, and search the web."}]
        blocks += [_make_block(index, call) for index, call in enumerate(THREE)]
        message = {
            "model": "claude-sonnet-5",
            "id": "msg_0123456789",
            "type": "message",
            "role": "assistant",
            "content": blocks,
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 148,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 68,
                "service_tier": "standard",
            },
        }
        self._body = json.dumps(message).encode()

    def make_client(self) -> Any:
        transport = _httpx.MockTransport(self._respond)
        if self.is_async:
            return anthropic.AsyncAnthropic(api_key="none", http_client=_httpx.AsyncClient(transport=transport))
        return anthropic.Anthropic(api_key="none", http_client=_httpx.Client(transport=transport))

    def _respond(self, request: Any) -> Any:
        self.last_request = request
        return _httpx.Response(200, headers={"content-type": "application/json"}, content=self._body)


def _make_block(index: int, call: BaseModel) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{index:024}", "name": type(call).__name__, "input": call.model_dump()}


def make_extraction(provider: FakeProvider, name: str) -> Callable[[], Any]:
    """Return a function that extracts the models as the candidate ``name`` does.

    For an async client, the function returns an awaitable.
    """
    client = provider.make_client()
    prompt = "The weather in Toronto and Dallas? Who won the super bowl?"
    request: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": prompt}],
    }
    if name == MULTITRACK:
        client = from_anthropic(client)
        request["response_model"] = _RESPONSE_MODEL
    else:
        request |= {"tools": Toolset(_RESPONSE_MODEL).schemas("anthropic"), "tool_choice": {"type": "auto"}}

    def read(result: Any) -> list[BaseModel]:
        if name == MULTITRACK:
            return list(result)
        return [_MODELS[block.name].model_validate(block.input) for block in result.content if block.type == "tool_use"]

    def extract() -> list[BaseModel]:
        return read(client.messages.create(**request))

    async def extract_async() -> list[BaseModel]:
        return read(await client.messages.create(**request))

    return extract_async if provider.is_async else extract


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anthropic_process")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--async", action="store_true", dest="is_async")
    options = parser.parse_args()
    provider = FakeProvider(is_async=options.is_async)
    results = await compare_candidates(
        partial(make_extraction, provider),
        lambda: provider.last_request.content,
        expected=THREE,
        packages=("anthropic", _httpx.__name__),
        rounds=options.rounds,
    )
    print(results)


if __name__ == "__main__":
    asyncio.run(main())
