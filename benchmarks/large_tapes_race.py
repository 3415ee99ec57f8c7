"""One process of the race: tapes of several sizes are read as YAML, opened and played, and written.

What is opened for the first time has changed since it was opened, so that nothing of it is remembered.
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

from benchmarks.race import Contender, Lap, printed, race, timed
from multitrack import use_cassette
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction

SIZES = (1, 10, 100, 1000, 10_000)
YAML, FIRST, AGAIN = "read as YAML", "opened and played", "opened and played again"
DUMPED, WRITTEN = "written by PyYAML", "written"

_URL = "https://provider.test/v1/chat/completions"
_JSON = (("content-type", "application/json"),)
_WORDS = "alpha beta gamma delta epsilon zeta eta theta "


def contender(case: str, size: int) -> str:
    """The name of what does ``case`` with a tape of ``size`` interactions."""
    return f"{size} {case}"


def _asked(number: int) -> dict[str, Any]:
    tool = {"type": "object", "properties": {"location": {"type": "string"}, "units": {"enum": ["metric", "imperial"]}}}
    return {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": _WORDS * 8},
            {"role": "user", "content": f"What is the weather at place {number}? {_WORDS * 8}"},
        ],
        "tools": [{"type": "function", "function": {"name": "Weather", "parameters": tool}}],
    }


def _answered(number: int) -> dict[str, Any]:
    arguments = json.dumps({"location": f"Place {number}", "units": "metric"})
    calls = [{"id": f"call_{number}", "type": "function", "function": {"name": "Weather", "arguments": arguments}}]
    message = {"role": "assistant", "content": _WORDS * 17, "tool_calls": calls}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    return {"id": f"chatcmpl-{number}", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice]}


def _cassette(size: int) -> Cassette:
    found = [
        Interaction(
            Request("POST", _URL, _JSON, json.dumps(_asked(number)).encode()),
            Response(200, "OK", _JSON, json.dumps(_answered(number)).encode()),
            (f"tests/test_weather.py::test_place[{number}]",),
        )
        for number in range(size)
    ]
    return Cassette(tuple(found), {"format": 1, "recorded_at": "2026-01-02T03:04:05+00:00"})


def _contenders(size: int, folder: Path) -> dict[str, Contender]:
    cassette = _cassette(size)
    changing, steady, written = (folder / f"{size}-{name}.yaml" for name in ("changing", "steady", "written"))
    storage.write(changing, cassette)
    storage.write(steady, cassette)
    text = steady.read_text(encoding="utf-8")
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    others = cycle([text.replace("03:04:05", "03:04:06"), text])
    asked, answered = _asked(size // 2), _answered(size // 2)
    client = httpx.Client()

    def play(path: Path) -> None:
        with use_cassette(path, mode="replay"):
            given = client.post(_URL, json=asked).json()
        if given != answered:
            raise SystemExit(f"{path} gives something else:\n{given}\nexpected:\n{answered}")

    async def play_changed() -> Lap:
        changing.write_text(next(others), encoding="utf-8")
        return await timed(partial(play, changing))()

    async def play_again() -> Lap:
        # what plays in between may have taken its place in memory
        play(steady)
        return await timed(partial(play, steady))()

    return {
        YAML: timed(partial(yaml.load, text, Loader=yaml.CSafeLoader)),
        FIRST: play_changed,
        AGAIN: play_again,
        DUMPED: timed(partial(yaml.dump, document, Dumper=yaml.CSafeDumper, allow_unicode=True, width=10**9)),
        WRITTEN: timed(partial(storage.write, written, cassette)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_tapes_race")
    parser.add_argument("--rounds", type=int, required=True)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as scratch:
        contenders = {
            contender(case, size): lap for size in SIZES for case, lap in _contenders(size, Path(scratch)).items()
        }
        laps = asyncio.run(race(contenders, rounds))
    print(printed({package: version(package) for package in ("multitrack", "PyYAML", "httpx")}, laps))


if __name__ == "__main__":
    main()
