"""One process of the benchmark of redaction: each candidate redacts a body of one size."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from benchmarks.measurement import Candidate, format_results, measure_in_turns, time_call
from multitrack.tape.exchange import Request
from multitrack.tape.redaction.redactor import Redactor

SIZES = (100, 1000, 10_000)
REQUEST, REQUEST_WITH_SECRET = "a request without secrets", "a request with a secret in its prompt"

_SECRETS = {f"SERVICE_{number}_TOKEN": f"{number:04}-aB3dE6gH9jK2mN5p" for number in range(5)}
_KEY = next(iter(_SECRETS.values()))
_URL = "https://provider.test/v1/chat/completions"


def name_candidate(case: str, size: int) -> str:
    """Return the name of the candidate for a body with ``size`` parts."""
    return f"{size} {case}"


def _make_request(prompt: str) -> Request:
    tools = [
        {
            "type": "function",
            "function": {
                "name": f"get_current_weather_{number}",
                "description": "Get the weather at a location, now or on a date.",
                "parameters": {
                    "type": "object",
                    "properties": {"location": {"type": "string"}, "units": {"enum": ["metric", "imperial"]}},
                    "additionalProperties": False,
                },
            },
        }
        for number in range(8)
    ]
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "tools": tools}
    headers = (("content-type", "application/json"), ("authorization", f"Bearer {_KEY}"))
    return Request("POST", _URL, headers, json.dumps(body).encode())


def _write_names(size: int) -> bytes:
    return json.dumps([f"projects/acme-{n}-x/locations/europe-west{n}, acme-{n}-x" for n in range(size)]).encode()


def _write_events(size: int) -> bytes:
    words = [_KEY[:5], _KEY[5:], *([" word"] * (size - 4)), _KEY[:5], _KEY[5:]]
    return _write_stream(words)


def _write_secrets(size: int) -> bytes:
    return _write_stream([piece for _ in range(size) for piece in (" so ", _KEY[:5], _KEY[5:])])


def _write_stream(pieces: list[str]) -> bytes:
    documents = ({"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces)
    return "".join(f"data: {json.dumps(document)}\n\n" for document in documents).encode()


def _write_shapes(size: int) -> bytes:
    return json.dumps([f"key {n}: sk-proj-{n:06}aB3dE6gH9jK2mN5pQ8s" for n in range(size)]).encode()


GROWING: dict[str, Callable[[int], bytes]] = {
    "names of projects": _write_names,
    "events between two secrets": _write_events,
    "secrets, each in two events": _write_secrets,
    "different secrets": _write_shapes,
}


def _redact(body: bytes) -> None:
    Redactor(_SECRETS).redact_body(body)


def _redact_requests(request: Request) -> None:
    redactor = Redactor(_SECRETS)
    for _ in range(100):
        redactor.learn_request(request)
        redactor.redact_request(request)


def _make_candidates() -> dict[str, Candidate]:
    prompt = "What is the weather in San Francisco and Tokyo? Compare them, please. " * 8
    candidates = {
        REQUEST: time_call(partial(_redact_requests, _make_request(prompt))),
        REQUEST_WITH_SECRET: time_call(partial(_redact_requests, _make_request(f"{prompt} {_KEY}"))),
    }
    for case, write in GROWING.items():
        for size in SIZES:
            candidates[name_candidate(case, size)] = time_call(partial(_redact, write(size)))
    return candidates


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    rounds: int = parser.parse_args().rounds
    figures = asyncio.run(measure_in_turns(_make_candidates(), rounds))
    print(format_results({"multitrack": version("multitrack")}, figures))


if __name__ == "__main__":
    main()
