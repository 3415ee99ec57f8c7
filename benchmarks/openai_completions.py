"""Responses of OpenAI's chat completions, with three typical calls or any number of calls of 2 KB each."""

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
    """A part of a trip."""

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


def make_trips(number: int) -> Calls:
    """Return calls of 2 KB each, all different."""
    return [Trip(title=f"Trip {index} through the country, by train", legs=_LEGS) for index in range(number)]


def format_response(calls: Calls) -> bytes:
    """Return the body of a response that is not streamed."""
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [_make_call(index, call, call.model_dump_json()) for index, call in enumerate(calls)],
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 148, "completion_tokens": 68, "total_tokens": 216}
    return json.dumps({**_make_envelope("chat.completion"), "choices": [choice], "usage": usage}).encode()


def stream_response(calls: Calls, fragment: int) -> Iterator[bytes]:
    """Yield the events of a streamed response, with ``fragment`` characters of the arguments in each."""
    yield _format_event({"role": "assistant", "content": None})
    for index, call in enumerate(calls):
        yield _format_event({"tool_calls": [{"index": index, **_make_call(index, call, "")}]})
        text = call.model_dump_json()
        for start in range(0, len(text), fragment):
            piece = text[start : start + fragment]
            yield _format_event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _format_event({}, finish="tool_calls")
    yield b"data: [DONE]\n\n"


def _make_call(index: int, call: BaseModel, arguments: str) -> dict[str, Any]:
    function = {"name": type(call).__name__, "arguments": arguments}
    return {"id": f"call_{index:024}", "type": "function", "function": function}


def _format_event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: " + json.dumps({**_make_envelope("chat.completion.chunk"), "choices": [choice]}).encode() + b"\n\n"


def _make_envelope(kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-0123456789",
        "object": kind,
        "created": 1700000000,
        "model": "gpt-4o-mini",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }
