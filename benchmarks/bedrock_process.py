"""One process of the benchmark of Amazon Bedrock. The provider is a handler of one of botocore's events."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from pydantic import BaseModel

from benchmarks.openai_completions import THREE, GoogleSearch, Weather
from benchmarks.provider_extraction import MULTITRACK, compare_candidates
from multitrack import Toolset, from_bedrock

_MODELS: dict[str, type[BaseModel]] = {"Weather": Weather, "GoogleSearch": GoogleSearch}
_RESPONSE_MODEL: Any = Iterable[Weather | GoogleSearch]
_HEADERS = {"content-type": "application/json", "x-amzn-requestid": "01234567-89ab-cdef-0123-456789abcdef"}


class _RawBody(io.BytesIO):
    """The body of a response, with the method of urllib3 that botocore calls."""

    def stream(self, *_: object, **__: object) -> Iterable[bytes]:
        yield self.read()


class FakeProvider:
    """A provider that returns three calls for each request. ``last_request`` is the last request that it received."""

    def __init__(self) -> None:
        self.last_request: Any = None
        blocks = [{"text": "I will look up the weather in both cities, and search the web."}]
        blocks += [_make_block(index, call) for index, call in enumerate(THREE)]
        response = {
            "metrics": {"latencyMs": 1234},
            "output": {"message": {"content": blocks, "role": "assistant"}},
            "stopReason": "tool_use",
            "usage": {
                "cacheReadInputTokenCount": 0,
                "cacheReadInputTokens": 0,
                "cacheWriteInputTokenCount": 0,
                "cacheWriteInputTokens": 0,
                "inputTokens": 148,
                "outputTokens": 68,
                "serverToolUsage": {},
                "totalTokens": 216,
            },
        }
        self._body = json.dumps(response).encode()

    def make_client(self) -> Any:
        client = boto3.client(
            "bedrock-runtime", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
        )
        client.meta.events.register("before-send.bedrock-runtime.Converse", self._respond)
        return client

    def _respond(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        self.last_request = request
        return AWSResponse(request.url, 200, dict(_HEADERS), _RawBody(self._body))


def _make_block(index: int, call: BaseModel) -> dict[str, Any]:
    use = {"input": call.model_dump(), "name": type(call).__name__, "toolUseId": f"tooluse_{index:022}"}
    return {"toolUse": use}


def make_extraction(provider: FakeProvider, name: str) -> Callable[[], list[BaseModel]]:
    """Return a function that extracts the models as the candidate ``name`` does."""
    client = provider.make_client()
    prompt = "The weather in Toronto and Dallas? Who won the super bowl?"
    request: dict[str, Any] = {
        "modelId": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "messages": [{"role": "user", "content": [{"text": prompt}]}],
    }
    tools = Toolset(_RESPONSE_MODEL).schemas("bedrock")

    def extract_by_hand() -> list[BaseModel]:
        response = client.converse(toolConfig={"tools": tools}, **request)
        uses = [block["toolUse"] for block in response["output"]["message"]["content"] if "toolUse" in block]
        return [_MODELS[use["name"]].model_validate(use["input"]) for use in uses]

    extracting = from_bedrock(client)

    def extract() -> list[BaseModel]:
        return list(extracting.create(response_model=_RESPONSE_MODEL, **request))

    return extract if name == MULTITRACK else extract_by_hand


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bedrock_process")
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    provider = FakeProvider()
    results = await compare_candidates(
        partial(make_extraction, provider),
        lambda: provider.last_request.body,
        expected=THREE,
        packages=("boto3", "botocore"),
        rounds=options.rounds,
    )
    print(results)


if __name__ == "__main__":
    asyncio.run(main())
