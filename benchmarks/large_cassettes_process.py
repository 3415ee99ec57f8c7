"""One process of the benchmark of large cassettes: it opens and saves cassettes with one tool, on request.

Each line of its input names a case and a number of interactions. The process answers with a line of JSON: the figures,
or why the tool cannot use the cassette. It imports only what its tool needs, because vcrpy and cassetter have
environments of their own.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache, partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any, Protocol

from benchmarks.measurement import CPU_TIME, Figures

MULTITRACK, PYYAML, VCRPY, CASSETTER = "multitrack", "PyYAML", "vcrpy", "cassetter"
FIRST, NEXT, SAVED, STEPS = "first", "next", "saved", "steps"
OPENING, REQUEST, CLOSING = "opening", "request", "closing"
"""The names of the figures for the parts of a test."""
READING, INDEXING = "reading", "indexing"
"""The names of the figures for the parts of Multitrack's opening, which are measured alone."""
ERROR = "error"

URL = "https://provider.test/v1/chat/completions"
# The first runs are slower, because the caches of the CPU contain nothing of the code. Opening a large cassette takes
# so long that this does not matter.
_SKIPPED, _MEASURED = 3, 10
_LARGE = 1000
_WORDS = "alpha beta gamma delta epsilon zeta eta theta "


def make_request(number: int) -> dict[str, Any]:
    """Return the body of the request with this number."""
    tool = {"type": "object", "properties": {"location": {"type": "string"}, "units": {"enum": ["metric", "imperial"]}}}
    return {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": _WORDS * 8},
            {"role": "user", "content": f"What is the weather at place {number}? {_WORDS * 8}"},
        ],
        "tools": [{"type": "function", "function": {"name": "Weather", "parameters": tool}}],
    }


def make_response(number: int) -> dict[str, Any]:
    """Return the body of the response to the request with this number."""
    arguments = json.dumps({"location": f"Place {number}", "units": "metric"})
    calls = [{"id": f"call_{number}", "type": "function", "function": {"name": "Weather", "arguments": arguments}}]
    message = {"role": "assistant", "content": _WORDS * 17, "tool_calls": calls}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    return {"id": f"chatcmpl-{number}", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice]}


def find_cassette(folder: Path, size: int) -> Path:
    """Return the path of the cassette with ``size`` interactions."""
    return folder / f"{size}.yaml"


class _Tool(Protocol):
    """The tool to measure."""

    def first(self, path: Path, size: int) -> Figures:
        """Return the figures of opening a cassette that no run has opened before, and closing it."""

    def next(self, path: Path, size: int) -> Figures:
        """Return the mean figures of opening the cassette in each of several tests after the first."""

    def make_saver(self, source: Path, target: Path) -> Callable[[], object]:
        """Return a function that saves the interactions in the cassette ``source`` to the new file ``target``."""


class _Recorder:
    """A tool that replays a request. Every subclass compares requests by method, URL and body."""

    def __init__(self) -> None:
        import httpx

        self._client = httpx.Client()

    def open(self, path: Path) -> AbstractContextManager[object]:
        """Return the context in which the cassette is replayed."""
        raise NotImplementedError

    def first(self, path: Path, size: int) -> Figures:
        return self._replay(path, size)

    def next(self, path: Path, size: int) -> Figures:
        return _repeat(lambda: self._replay(path, size))

    def _replay(self, path: Path, size: int) -> Figures:
        request, response = make_request(size // 2), make_response(size // 2)
        start = process_time()
        with self.open(path):
            is_open = process_time()
            answer = self._client.post(URL, json=request).json()
            has_answer = process_time()
        end = process_time()
        if answer != response:
            raise SystemExit(f"{path}: the replayed response differs:\n{answer}\nexpected:\n{response}")
        return {
            CPU_TIME: end - start,
            OPENING: is_open - start,
            REQUEST: has_answer - is_open,
            CLOSING: end - has_answer,
        }


class _Multitrack(_Recorder):
    def __init__(self) -> None:
        super().__init__()
        from multitrack.tape import run_context

        self._run_context = run_context

    def open(self, path: Path) -> AbstractContextManager[object]:
        from multitrack import use_cassette

        return use_cassette(path, mode="replay")

    def first(self, path: Path, size: int) -> Figures:
        # each run keeps its own cassettes in memory
        with self._run_context.run("replay", path.parent):
            return super().first(path, size)

    def next(self, path: Path, size: int) -> Figures:
        with self._run_context.run("replay", path.parent):
            return super().next(path, size)

    def make_saver(self, source: Path, target: Path) -> Callable[[], object]:
        from multitrack.tape.file import storage

        cassette = storage.read(source)
        assert cassette is not None
        return partial(storage.write, target, cassette)


def _measure_steps(path: Path) -> Figures:
    from multitrack.tape.file import storage
    from multitrack.tape.matching.matching_key import MatchingKey
    from multitrack.tape.matching.rules import MatchingRules

    start = process_time()
    cassette = storage.read(path)
    has_read = process_time()
    assert cassette is not None
    index = cassette.index(MatchingRules(), cassette.placeholders)
    index.find_equal(MatchingKey("", "", "", ""))  # the index is built when it is first used
    return {READING: has_read - start, INDEXING: process_time() - has_read}


class _PyYAML:
    def first(self, path: Path, size: int) -> Figures:
        del size
        import yaml

        start = process_time()
        yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        return {CPU_TIME: process_time() - start}

    def next(self, path: Path, size: int) -> Figures:
        return self.first(path, size)

    def make_saver(self, source: Path, target: Path) -> Callable[[], object]:
        import yaml

        document = yaml.load(source.read_bytes(), Loader=yaml.CSafeLoader)

        def save() -> None:
            with target.open("w", encoding="utf-8") as file:
                yaml.dump(document, file, Dumper=yaml.CSafeDumper, allow_unicode=True, width=10**9)

        return save


class _VcrPy(_Recorder):
    def open(self, path: Path) -> AbstractContextManager[object]:
        import vcr

        compared = ("method", "scheme", "host", "port", "path", "query", "body")
        opened: AbstractContextManager[object] = vcr.use_cassette(str(path), record_mode="none", match_on=compared)
        return opened

    def make_saver(self, source: Path, target: Path) -> Callable[[], object]:
        from vcr.persisters.filesystem import FilesystemPersister
        from vcr.serializers import yamlserializer

        requests, responses = FilesystemPersister.load_cassette(source, yamlserializer)
        document = {"requests": requests, "responses": responses}
        return partial(FilesystemPersister.save_cassette, target, document, yamlserializer)


class _Cassetter(_Recorder):
    def open(self, path: Path) -> AbstractContextManager[object]:
        import cassetter

        opened: AbstractContextManager[object] = cassetter.use_cassette(
            path, record_mode="none", match_on=["method", "uri", "json_body"]
        )
        return opened

    def make_saver(self, source: Path, target: Path) -> Callable[[], object]:
        from cassetter._core import Cassette, MatchConfig

        # what the method ``save`` of the public class does after a recording
        cassette = Cassette.load(str(source))
        order = list(range(len(cassette)))
        return lambda: cassette.save(str(target), cassette.output_order(MatchConfig(), order))


_TOOLS: dict[str, Callable[[], _Tool]] = {
    MULTITRACK: _Multitrack,
    PYYAML: _PyYAML,
    VCRPY: _VcrPy,
    CASSETTER: _Cassetter,
}


def _repeat(measure: Callable[[], Figures], *, has_single_run: bool = False) -> Figures:
    """Return the mean figures of several runs."""
    gc.collect()
    if has_single_run:
        return measure()
    for _ in range(_SKIPPED):
        measure()
    runs = [measure() for _ in range(_MEASURED)]
    return {name: mean(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_cassettes_process")
    parser.add_argument("tool", choices=_TOOLS)
    parser.add_argument("folder", type=Path, help="the folder with the cassettes")
    options = parser.parse_args()
    tool, folder = _TOOLS[options.tool](), options.folder
    written, numbers = folder / f"{options.tool}-saved.yaml", count()

    @cache
    def find_saver(size: int) -> Callable[[], object]:
        saver = tool.make_saver(find_cassette(folder, size), written)
        # otherwise a full collection would take longer because of these interactions
        gc.collect()
        gc.freeze()
        return saver

    def measure(case: str, size: int) -> Figures:
        path = find_cassette(folder, size)
        if case == NEXT:
            return tool.next(path, size)
        if case == STEPS:
            return _repeat(lambda: _measure_steps(path), has_single_run=size >= _LARGE)
        if case == FIRST:
            return _repeat(lambda: open_copy(path, size), has_single_run=size >= _LARGE)
        saver = find_saver(size)
        return _repeat(lambda: save(saver), has_single_run=size >= _LARGE)

    def open_copy(path: Path, size: int) -> Figures:
        fresh = folder / f"{options.tool}-{next(numbers)}.yaml"
        shutil.copyfile(path, fresh)
        try:
            return tool.first(fresh, size)
        finally:
            fresh.unlink()

    def save(saver: Callable[[], object]) -> Figures:
        written.unlink(missing_ok=True)
        start = process_time()
        saver()
        return {CPU_TIME: process_time() - start}

    print(json.dumps({options.tool: version(options.tool)}), flush=True)
    for line in sys.stdin:
        case, size = line.split()
        try:
            answer: Mapping[str, object] = measure(case, int(size))
        except Exception as error:
            answer = {ERROR: str(error).partition("\n")[0]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
