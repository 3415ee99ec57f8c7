"""One process of the benchmark of large cassettes: each candidate reads, replays or writes a cassette of one size.

The candidate "replayed" changes its cassette before each run, so that no part of the cassette is in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from functools import partial
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import yaml

from benchmarks.measurement import Candidate, Figures, format_results, measure_in_turns, time_call
from multitrack import use_cassette
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction

SIZES = (1, 10, 100, 1000, 10_000)
YAML, REPLAYED, REPLAYED_AGAIN = "loaded as YAML", "replayed", "replayed again"
DUMPED, WRITTEN = "written by PyYAML", "written"

_URL = "https://provider.test/v1/chat/completions"
_JSON = (("content-type", "application/json"),)
_WORDS = "alpha beta gamma delta epsilon zeta eta theta "


def name_candidate(case: str, size: int) -> str:
    """Return the name of the candidate for a cassette with ``size`` interactions."""
    return f"{size} {case}"


def _make_request(number: int) -> dict[str, Any]:
    tool = {"type": "object", "properties": {"location": {"type": "string"}, "units": {"enum": ["metric", "imperial"]}}}
    return {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": _WORDS * 8},
            {"role": "user", "content": f"What is the weather at place {number}? {_WORDS * 8}"},
        ],
        "tools": [{"type": "function", "function": {"name": "Weather", "parameters": tool}}],
    }


def _make_response(number: int) -> dict[str, Any]:
    arguments = json.dumps({"location": f"Place {number}", "units": "metric"})
    calls = [{"id": f"call_{number}", "type": "function", "function": {"name": "Weather", "arguments": arguments}}]
    message = {"role": "assistant", "content": _WORDS * 17, "tool_calls": calls}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    return {"id": f"chatcmpl-{number}", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice]}


def _make_cassette(size: int) -> Cassette:
    interactions = [
        Interaction(
            Request("POST", _URL, _JSON, json.dumps(_make_request(number)).encode()),
            Response(200, "OK", _JSON, json.dumps(_make_response(number)).encode()),
            (f"tests/test_weather.py::test_place[{number}]",),
        )
        for number in range(size)
    ]
    return Cassette(tuple(interactions), {"format": 1, "recorded_at": "2026-01-02T03:04:05+00:00"})


def _make_candidates(size: int, folder: Path) -> dict[str, Candidate]:
    cassette = _make_cassette(size)
    changing, steady, written = (folder / f"{size}-{name}.yaml" for name in ("changing", "steady", "written"))
    storage.write(changing, cassette)
    storage.write(steady, cassette)
    text = steady.read_text(encoding="utf-8")
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    versions = cycle([text.replace("03:04:05", "03:04:06"), text])
    request, response = _make_request(size // 2), _make_response(size // 2)
    client = httpx.Client()

    def replay(path: Path) -> None:
        with use_cassette(path, mode="replay"):
            replayed = client.post(_URL, json=request).json()
        if replayed != response:
            raise SystemExit(f"{path}: the replayed response differs:\n{replayed}\nexpected:\n{response}")

    async def replay_changed() -> Figures:
        changing.write_text(next(versions), encoding="utf-8")
        return await time_call(partial(replay, changing))()

    async def replay_again() -> Figures:
        # put this cassette back in memory, because a cassette that was replayed in between may have replaced it there
        replay(steady)
        return await time_call(partial(replay, steady))()

    return {
        YAML: time_call(partial(yaml.load, text, Loader=yaml.CSafeLoader)),
        REPLAYED: replay_changed,
        REPLAYED_AGAIN: replay_again,
        DUMPED: time_call(partial(yaml.dump, document, Dumper=yaml.CSafeDumper, allow_unicode=True, width=10**9)),
        WRITTEN: time_call(partial(storage.write, written, cassette)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_cassettes_process")
    parser.add_argument("--rounds", type=int, required=True)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as scratch:
        candidates = {
            name_candidate(case, size): candidate
            for size in SIZES
            for case, candidate in _make_candidates(size, Path(scratch)).items()
        }
        figures = asyncio.run(measure_in_turns(candidates, rounds))
    print(format_results({package: version(package) for package in ("multitrack", "PyYAML", "httpx")}, figures))


if __name__ == "__main__":
    main()
