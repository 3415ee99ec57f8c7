"""Open, replay and save cassettes with different numbers of interactions, with each recorder."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any, NamedTuple

from benchmarks.large_cassettes_process import (
    CASSETTER,
    CLOSING,
    ERROR,
    FIRST,
    INDEXING,
    MULTITRACK,
    NEXT,
    OPENING,
    PYYAML,
    READING,
    REQUEST,
    SAVED,
    STEPS,
    URL,
    VCRPY,
    find_cassette,
    make_request,
    make_response,
)
from benchmarks.measurement import CPU_TIME, Figures, Results, Spread
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time
from benchmarks.virtual_environments import create_environment
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction

_GROWTH_TARGET = 1.5
_SIZES = (1, 10, 100, 1000, 10_000)
_ROUNDS = {1: 10, 10: 10, 100: 5, 1000: 4, 10_000: 2}
"""The rounds of each size. PyYAML and vcrpy need several seconds for the largest cassette."""
_PROCESSES = 3
_FEWEST_FOR_CASSETTER = 10
# vcrpy 9 cannot read a cassette that has metadata
_RIVALS = {VCRPY: "vcrpy<9", CASSETTER: "cassetter"}
_CASES = {
    MULTITRACK: (FIRST, NEXT, SAVED, STEPS),
    PYYAML: (FIRST, SAVED),
    VCRPY: (FIRST, SAVED),
    CASSETTER: (FIRST, SAVED),
}

_TEXT = """
This benchmark opens a cassette, replays one request from the middle of the cassette with httpx, and closes the
cassette. Each interaction is about 3.5 KB long. All recorders read the same files, each in its own environment, and
compare requests by their method, URL and body. For comparison, PyYAML loads the same files with libyaml.

Each tool has a process that stays alive, so that no time includes imports. The tools take turns: in each round, every
tool opens and saves the cassette of one size, in a random order. Large cassettes have fewer rounds. In a round, up to
100 interactions are opened and saved several times, each time in another file, and the round has the mean time.

{conditions}

### The first test

No test has opened the cassette before. The ratio compares the other tool with Multitrack.

{first}

{failures}

{targets}

{reasons}

### The next test

This table has the times of later tests that open the same cassette, without the first ones. Multitrack keeps the last
cassettes in memory, so these tests do not read the file again. The last column is the time of the request alone, when
the cassette is already open.

{next}

### Saving

This table shows the time to save all interactions to a new file. PyYAML writes the same document. Multitrack also
searches the text for secrets, locks the cassette, and waits until the text is on the disk before it replaces the old
file.

{saved}
"""

_PROFILE = """
The next table divides the times for the missed targets. *Reading* parses the file and checks every value, and
*indexing* computes the matching key of every request. Both are parts of the opening and, for the index, of the request.
They were measured alone.

{profile}
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs a few rounds in one process per tool, without the other recorders."""
    rivals: Mapping[str, str] = {} if quick else _RIVALS
    rounds, repetitions = (dict.fromkeys(_SIZES, 2), 1) if quick else (_ROUNDS, _PROCESSES)
    pythons = {MULTITRACK: sys.executable, PYYAML: sys.executable}
    for name, requirement in rivals.items():
        pythons[name] = create_environment(
            [requirement, f"httpx=={version('httpx')}"], f"cassettes-{name}", with_project=False
        )
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for size in _SIZES:
            storage.write(find_cassette(folder, size), _make_cassette(size))
        # a file that has just changed is read again, because its next change may have the same time
        sleep(3)
        measured = [_measure_in_turns(pythons, folder, rounds) for _ in range(repetitions)]
    results = Results(measured[0].versions, [turns.figures for turns in measured])
    failures = measured[0].failures

    def format_candidate(tool: str, case: str, size: int, figure: str = CPU_TIME) -> str:
        if (tool, size) in failures:
            return "cannot read it"
        return format_time(results.quartiles(_name_candidate(tool, case, size), figure))

    def compare(case: str, size: int, tool: str) -> Spread | None:
        if (tool, size) in failures:
            return None
        return results.ratio(_name_candidate(tool, case, size), to=_name_candidate(MULTITRACK, case, size))

    def format_comparison(case: str, size: int, tool: str) -> str:
        ratio = compare(case, size, tool)
        return "" if ratio is None else format_ratio(ratio)

    def make_table(case: str) -> str:
        head = ["interactions", *pythons, *(f"{name} / multitrack" for name in pythons if name != MULTITRACK)]
        rows = [
            [
                f"{size:,}",
                *(format_candidate(tool, case, size) for tool in pythons),
                *(format_comparison(case, size, tool) for tool in pythons if tool != MULTITRACK),
            ]
            for size in _SIZES
        ]
        return format_table(head, rows)

    few, most = _name_candidate(MULTITRACK, NEXT, 10), _name_candidate(MULTITRACK, NEXT, _SIZES[-1])
    growth = {
        "the next test": results.ratio(most, to=few),
        "one request": results.ratio(most, to=few, figure=REQUEST),
    }
    targets = [
        [f"{what}, {_SIZES[-1]:,} interactions / 10", f"{ratio.middle:.2f}", _judge(ratio.middle, most=_GROWTH_TARGET)]
        for what, ratio in growth.items()
    ]
    missed = []
    for name in rivals:
        for size in _SIZES:
            has_target = name != CASSETTER or size >= _FEWEST_FOR_CASSETTER
            if has_target and (compared := compare(FIRST, size, name)) is not None:
                row = [f"{name} / multitrack, {size:,} interaction{'s' * (size > 1)}", f"{compared.middle:.2f}"]
                targets.append([*row, _judge(compared.middle, least=1)])
                if compared.middle < 1:
                    missed.append((name, size))
    return Section(
        "Large cassettes",
        _TEXT.format(
            conditions=describe_conditions(*(_select_size(results, size) for size in _SIZES)),
            first=make_table(FIRST),
            failures="\n".join(
                f"{tool} cannot read the cassette with {size:,} interactions: `{reason}`"
                for (tool, size), reason in failures.items()
            ),
            targets=format_table(["ratio", "measured", "target"], targets),
            reasons=_explain_missed_targets(results, missed),
            next=format_table(
                ["interactions", "the next test", "one request"],
                [
                    [
                        f"{size:,}",
                        format_candidate(MULTITRACK, NEXT, size),
                        format_candidate(MULTITRACK, NEXT, size, REQUEST),
                    ]
                    for size in _SIZES
                ],
            ),
            saved=make_table(SAVED),
        ),
    )


def _explain_missed_targets(results: Results, missed: Sequence[tuple[str, int]]) -> str:
    """Return the times of each part of the test, for the sizes with which another recorder is faster."""
    if not missed:
        return ""
    rows = []
    for rival, size in missed:
        for tool in (MULTITRACK, rival):
            figures = [(FIRST, OPENING), (FIRST, REQUEST), (FIRST, CLOSING)]
            figures += [(STEPS, READING), (STEPS, INDEXING)] if tool == MULTITRACK else []
            times = [format_time(results.quartiles(_name_candidate(tool, case, size), part)) for case, part in figures]
            rows.append([f"{size:,}, {tool}", *times, *[""] * (5 - len(times))])
    return _PROFILE.format(profile=format_table(["", OPENING, REQUEST, CLOSING, READING, INDEXING], rows))


def _judge(value: float, *, most: float | None = None, least: float | None = None) -> str:
    is_met = (most is None or value <= most) and (least is None or value >= least)
    limit = f"at most {most}" if most is not None else f"at least {least}"
    return f"{limit}: {'met' if is_met else 'missed'}"


def _make_cassette(size: int) -> Cassette:
    headers = (("content-type", "application/json"),)
    interactions = [
        Interaction(
            Request("POST", URL, headers, json.dumps(make_request(number)).encode()),
            Response(200, "OK", headers, json.dumps(make_response(number)).encode()),
            (f"tests/test_weather.py::test_place[{number}]",),
        )
        for number in range(size)
    ]
    return Cassette(tuple(interactions), {"format": 1, "recorded_at": "2026-01-02T03:04:05+00:00"})


def _name_candidate(tool: str, case: str, size: int) -> str:
    return f"{size} {tool} {case}"


def _select_size(results: Results, size: int) -> Results:
    candidate = _name_candidate(MULTITRACK, FIRST, size)
    return Results(results.versions, [{candidate: process[candidate]} for process in results.processes])


class _ToolError(Exception):
    """The tool cannot use a cassette."""


class _Process:
    """A process that measures one tool."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.versions: Mapping[str, str] = self._read_line()

    def measure(self, case: str, size: int) -> Figures:
        """Return the figures of one run."""
        assert self._process.stdin is not None
        print(case, size, file=self._process.stdin, flush=True)
        figures: Figures = self._read_line()
        if (reason := figures.get(ERROR)) is not None:
            raise _ToolError(reason)
        return figures

    def _read_line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} ended early")
        return json.loads(line)


@contextmanager
def _start(tool: str, python: str, folder: Path) -> Iterator[_Process]:
    command = [python, "-m", "benchmarks.large_cassettes_process", tool, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # the process ends when its input is closed
        yield _Process(process)


class _Turns(NamedTuple):
    """The versions of the tools, the figures of each candidate, and why a tool cannot use the cassette of a size."""

    versions: Mapping[str, str]
    figures: Mapping[str, Sequence[Figures]]
    failures: Mapping[tuple[str, int], str]


def _measure_in_turns(pythons: Mapping[str, str], folder: Path, rounds: Mapping[int, int]) -> _Turns:
    candidates = [(tool, case) for tool in pythons for case in _CASES[tool]]
    figures: dict[str, list[Figures]] = {}
    failures: dict[tuple[str, int], str] = {}
    with ExitStack() as stack:
        processes = {tool: stack.enter_context(_start(tool, python, folder)) for tool, python in pythons.items()}
        for tool, case in candidates:  # import what the tool needs
            for _ in range(3):
                processes[tool].measure(case, 1)
        turns = [size for size, number in rounds.items() for _ in range(number)]
        random.shuffle(turns)
        for size in turns:
            random.shuffle(candidates)
            for tool, case in candidates:
                if (tool, size) in failures:
                    continue
                try:
                    found = processes[tool].measure(case, size)
                except _ToolError as error:
                    failures[tool, size] = str(error)
                else:
                    figures.setdefault(_name_candidate(tool, case, size), []).append(found)
        versions = {name: text for process in processes.values() for name, text in process.versions.items()}
    return _Turns({**versions, "httpx": version("httpx")}, figures, failures)
