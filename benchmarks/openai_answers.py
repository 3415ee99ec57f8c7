"""Answers of OpenAI's chat completions: three calls as one would ask for them, and any number of 2 KB each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"]


class GoogleSearch(BaseModel):
    """A search of the web."""

    query: str


class Leg(BaseModel):
    """From one place to the next."""

    start: str
    end: str
    kilometres: float
    remark: str | None = None


class Trip(BaseModel):
    """A trip, leg by leg."""

    title: str
    legs: list[Leg]


Calls = Sequence[BaseModel]

THREE: Calls = (
    Weather(location="Toronto", units="metric"),
    Weather(location="Dallas", units="imperial"),
    GoogleSearch(query="who won the super bowl"),
)

# 24 legs make 2 KB of JSON
_LEGS = [Leg(start=f"Stop {n}", end=f"Stop {n + 1}", kilometres=12.5 * n, remark='"by train"') for n in range(100, 124)]


def trips(number: int) -> Calls:
    """Calls of 2 KB each, no two alike."""
    return [Trip(title=f"Trip {index} through the country, by train", legs=_LEGS) for index in range(number)]


def whole(calls: Calls) -> bytes:
    """The body of an answer that is not streamed."""
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [_call(index, call, call.model_dump_json()) for index, call in enumerate(calls)],
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 148, "completion_tokens": 68, "total_tokens": 216}
    return json.dumps({**_answer("chat.completion"), "choices": [choice], "usage": usage}).encode()


def streamed(calls: Calls, fragment: int) -> Iterator[bytes]:
    """The events of a streamed answer, with the arguments in pieces of ``fragment`` characters."""
    yield _event({"role": "assistant", "content": None})
    for index, call in enumerate(calls):
        yield _event({"tool_calls": [{"index": index, **_call(index, call, "")}]})
        text = call.model_dump_json()
        for start in range(0, len(text), fragment):
            piece = text[start : start + fragment]
            yield _event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _event({}, finish="tool_calls")
    yield b"data: [DONE]\n\n"


def _call(index: int, call: BaseModel, arguments: str) -> dict[str, Any]:
    function = {"name": type(call).__name__, "arguments": arguments}
    return {"id": f"call_{index:024}", "type": "function", "function": function}


def _event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**_answer("chat.completion.chunk"), "choices": [choice]}).encode() + b"\n\n"


def _answer(kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-0123456789",
        "object": kind,
        "created": 1700000000,
        "model": "gpt-4o-mini",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
