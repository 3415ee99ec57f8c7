"""One process of the revalidation benchmark: each candidate revalidates a folder of cassettes."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel

from benchmarks.measurement import format_results, measure_in_turns, time_call
from multitrack.diagnosis.call_results import parse_answer, validate_calls
from multitrack.diagnosis.model_importer import ModelImporter
from multitrack.diagnosis.revalidation import revalidate
from multitrack.extraction import Toolset
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import cassette_reader, paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.model_paths import ModelPaths

CALLS = 3000
STEPS_OF = "1 call in each cassette"
"""The case whose steps are also measured."""
CASES = {STEPS_OF: 1, "3 calls in each cassette": 3, "20 calls in each cassette": 20}
STEPS = (
    "finding the cassettes",
    "reading the files",
    "parsing the cassettes",
    "decoding the responses",
    "validating the calls",
)


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"]


def _make_interaction(calls: int) -> Interaction:
    tools = Toolset(list[Weather]).schemas("openai.chat")
    request = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "What is the weather?"}],
        "tools": tools,
    }
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": "Weather", "arguments": f'{{"location":"Place {number}","units":"metric"}}'},
            }
            for number in range(calls)
        ],
    }
    response = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    headers = (("content-type", "application/json"),)
    return Interaction(
        Request("POST", "https://api.openai.com/v1/chat/completions", headers, json.dumps(request).encode()),
        Response(200, "OK", headers, json.dumps(response).encode()),
        ("test_weather.py::test_weather",),
        models=(("Weather", f"{__name__}:Weather"),),
        results=("12345678",) * calls,
    )


def _write_cassettes(folder: Path, calls: int) -> Path:
    for number in range(CALLS // calls):
        storage.write(folder / f"{number}.yaml", Cassette((_make_interaction(calls),), {"format": 1}))
    return folder


def _check(folder: Path) -> None:
    report = revalidate([folder], ModelImporter(ModelPaths(tools={"Weather": f"{Weather.__module__}:Weather"})))
    assert report.calls == CALLS
    assert report.is_good
    assert not report.unchecked


def _create_steps(folder: Path) -> Mapping[str, Callable[[], object]]:
    """Return a function for each step of revalidating the cassettes in ``folder``."""
    cassettes = paths.list_cassettes(folder)
    contents = [path.read_bytes() for path in cassettes]
    bodies = [
        one.response.body for content in contents for one in cassette_reader.load_cassette(content, folder).interactions
    ]
    answers = [answer for body in bodies if (answer := parse_answer(body)) is not None]
    models = {Weather.__name__: Weather}
    functions: Sequence[Callable[[], object]] = (
        lambda: paths.list_cassettes(folder),
        lambda: [storage.read_content(path) for path in cassettes],
        lambda: [cassette_reader.load_cassette(content, folder) for content in contents],
        lambda: [parse_answer(body) for body in bodies],
        lambda: [validate_calls(answer, models, offered=False) for answer in answers],
    )
    return dict(zip(STEPS, functions, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.revalidation_process")
    parser.add_argument("--rounds", type=int, required=True)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as scratch:
        folders = {name: _write_cassettes(Path(scratch, str(calls)), calls) for name, calls in CASES.items()}
        candidates = {name: time_call(partial(_check, folder)) for name, folder in folders.items()}
        candidates |= {name: time_call(step) for name, step in _create_steps(folders[STEPS_OF]).items()}
        figures = asyncio.run(measure_in_turns(candidates, rounds))
    print(format_results({name: version(name) for name in ("multitrack", "pydantic", "PyYAML")}, figures))


if __name__ == "__main__":
    main()
