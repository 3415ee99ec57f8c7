"""Run whole test suites with each recorder, and the same tests with a mock."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import multitrack
import pytest_multitrack
from benchmarks import suite_clients, suite_phases
from benchmarks.measurement import CPU_TIME, Figures, Quartiles, Results
from benchmarks.openai_completions import THREE
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time
from benchmarks.virtual_environments import create_environment
from multitrack import ToolCall, use_cassette, wires
from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.wires.answer import WireAnswer

_TEXT = """
Each suite has {tests} tests. A test creates a client and sends one request. The recorded response has three tool calls.
Each test has a cassette of its own.

The *mock* shows the shortest possible time. It sends the same requests with one shared client, which uses the
`MockTransport` of its HTTP library. For gRPC, the mock is a channel that returns a message. The mock runs in
multitrack's environment, but without the plugin. pytest-recording and cassetter replay the same cassettes, each in its
own environment.

The *limit* is the mock with a client for each test, as an application creates it. It loads no CA certificates, and the
network always returns the same response. No recorder that reads, matches and checks recordings can be faster.

Times are the CPU times of the whole process, including the start of pytest and all imports. The candidates take turns.

{conditions}

{figures}

The chart shows the time of each candidate, divided by the mock's time. Each `█` is a tenth of the mock's time:

```
{chart}
```

{verdict}

### Where the time goes

A suite takes longer with multitrack than with the mock. This table shows where the additional time goes. A pytest
plugin measured both suites in the run that wrote this page. *Start* includes the imports, the collection and the first
test, which imports what the other tests use. *Setup* opens the cassette, *request* includes the work of the SDK, and
*rest* is the time between these phases. *Garbage collection* is part of the other columns.

{profile}

{reasons}

### The start of pytest

This table compares the time of one trivial test with and without the plugin (`-p no:multitrack`), in the same
environment. In the second row, `PYTHONDONTWRITEBYTECODE=1` is set, and the project's byte code is deleted. pip compiles
a package when it installs it, so only a project that is installed from its working tree has no byte code.

The runs with and without the plugin alternate. The difference is the median of the differences between two successive
runs.

{start}

### Two workers

This table compares the suite for OpenAI in one process with the same suite under `pytest-xdist -n 2`, and does the same
for the mock. Times are wall-clock times.

{workers}

{workers_reason}
"""

_TARGET, _OTHER_TARGET, _RIVAL_TARGET, _WORKERS_TARGET, _START_TARGET = 1.2, 1.25, 3.8, 0.6, 0.015
_MOCK, _LIMIT, _OURS = "mock", "limit", "multitrack"
# with vcrpy 9, pytest-recording cannot read a cassette that has metadata
_RIVALS = {"pytest-recording": ["pytest-recording>=0.13", "vcrpy<9"], "cassetter": ["cassetter"]}
_SDKS = ("openai", "anthropic", "google-genai", "google-cloud-aiplatform")
# the rivals only know the marker of pytest-recording, with which multitrack would match like vcrpy
_MARKER = 'marker = getattr(pytest.mark, os.environ["SUITE_MARKER"])\n'
_KEYS = {"OPENAI_API_KEY": "unused", "ANTHROPIC_API_KEY": "unused", "GEMINI_API_KEY": "unused"}


# the time of each phase, in seconds
_Times = Mapping[str, float]


class _Suite(NamedTuple):
    name: str
    title: str
    wire: str
    is_grpc: bool = False


_SUITES = (
    _Suite("openai", "OpenAI", "openai.chat"),
    _Suite("async_openai", "AsyncOpenAI", "openai.chat"),
    _Suite("genai", "genai.Client", "gemini"),
    _Suite("anthropic", "Anthropic", "anthropic"),
    _Suite("vertex", "Vertex AI over gRPC", "gemini", is_grpc=True),
)


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs small suites once, without the rivals."""
    rivals: Mapping[str, Sequence[str]] = {} if quick else _RIVALS
    tests, rounds = (20, 1) if quick else (300, 3)
    pythons = {_MOCK: sys.executable, _LIMIT: sys.executable, _OURS: sys.executable}
    for rival, packages in rivals.items():
        requirements = [*(f"{name}=={version(name)}" for name in _SDKS), f"pytest=={version('pytest')}", *packages]
        pythons[rival] = create_environment(requirements, f"suites-{rival}", with_project=False)
    with TemporaryDirectory() as scratch:
        root = Path(scratch)
        for suite in _SUITES:
            _write_suite(root / suite.name, suite, tests)
        results = {suite.name: _measure_suite(root / suite.name, suite, pythons, rounds) for suite in _SUITES}
        profiles = {suite.name: _measure_phases(root / suite.name, suite, rounds) for suite in _SUITES}
        start = _measure_start(root / "start", rounds * 8)
        workers = _measure_workers(root / "openai", rounds)
    return Section(
        "Whole test suites",
        _TEXT.format(
            tests=tests,
            conditions=describe_conditions(next(iter(results.values()))),
            figures=format_table(
                ["", *pythons, "limit / mock", "multitrack / mock", *(f"{name} / multitrack" for name in rivals)],
                [_make_row(suite, results[suite.name], pythons) for suite in _SUITES],
            ),
            chart=_draw_chart(results, pythons),
            verdict=_describe_verdict(results, rivals),
            profile=_format_profiles(profiles),
            reasons=_explain_missed_targets(results, profiles),
            start=_format_start(start),
            workers=_format_workers(workers),
            workers_reason=_explain_workers(workers),
        ),
    )


def _write_suite(folder: Path, suite: _Suite, tests: int) -> None:
    """Write the tests, their cassettes and the response of the mock."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = vcr\n", encoding="utf-8")
    for name in ("suite_clients.py", "suite_phases.py"):
        shutil.copy(Path(__file__).with_name(name), folder)
    calls = tuple(
        ToolCall(
            None if suite.wire == "gemini" else f"call_{index}", type(call).__name__, call.model_dump_json(), index
        )
        for index, call in enumerate(THREE)
    )
    body = wires.encode_answer(WireAnswer(calls), suite.wire)
    (folder / f"{suite.name}.json").write_bytes(body)
    kind = "application/grpc" if suite.is_grpc else "application/json"
    headers = (("content-type", kind), *((("grpc-status", "0"),) if suite.is_grpc else ()))
    request, pseudonyms = _capture_request(suite)
    create, remove = f"suite_clients.create_{suite.name}()", f"suite_clients.remove_network_{suite.name}()\n"
    mock = f"client = suite_clients.mock_{suite.name}()\n"
    for name, text in (
        ("test_suite.py", _make_tests(suite, tests, "@marker\n", create, _MARKER)),
        ("test_mock.py", _make_tests(suite, tests, "", "client", mock)),
        ("test_limit.py", _make_tests(suite, tests, "", create, remove)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    first, metadata = (
        suite_clients.QUESTION.format(0).encode(),
        {"format": 1, "recorder": "multitrack", "placeholders": pseudonyms},
    )
    for number in range(tests):
        sent = Request(
            request.method,
            request.url,
            request.headers,
            request.body.replace(first, suite_clients.QUESTION.format(number).encode()),
        )
        cassette = Cassette((Interaction(sent, Response(200, "OK", headers, body)),), metadata)
        storage.write(folder / "cassettes" / "test_suite" / f"test_{number}.yaml", cassette)


def _make_tests(suite: _Suite, tests: int, marker: str, client: str, head: str) -> str:
    functions = [
        f"{marker}def test_{number}():\n    assert len(suite_clients.ask_{suite.name}({client}, {number})) == 3\n"
        for number in range(tests)
    ]
    return "\n\n".join(["import os\n\nimport pytest\nimport suite_clients\n", head, *functions])


def _capture_request(suite: _Suite) -> tuple[Request, Sequence[str]]:
    """Return the redacted request with the number 0, without sending it, and the pseudonyms in it."""
    with use_cassette("no-cassette.yaml", mode="replay") as tape, tape.expect_misses():
        client = getattr(suite_clients, f"create_{suite.name}")()
        with suppress(CassetteMiss):
            getattr(suite_clients, f"ask_{suite.name}")(client, 0)
        redactor = tape.redactor
        return redactor.redact_request(tape.sent[0].request), sorted(redactor.pseudonyms)


def _make_command(candidate: str, python: str, *arguments: str) -> list[str]:
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    if candidate in (_MOCK, _LIMIT):
        return [*command, "-p", "no:multitrack", f"test_{candidate}.py"]
    return [*command, "test_suite.py"]


def _measure_suite(folder: Path, suite: _Suite, pythons: Mapping[str, str], rounds: int) -> Results:
    print(f"running the suite for {suite.title}", file=sys.stderr)
    commands = {name: _make_command(name, python) for name, python in pythons.items()}
    for rival in _RIVALS:
        if rival in commands:
            try:
                _run(commands[rival], folder, _make_variables(rival))
            except SystemExit as error:
                print(f"{rival} cannot run the suite for {suite.title}:\n{error}", file=sys.stderr)
                del commands[rival]
    return _run_in_turns(commands, folder, rounds)


def _make_variables(candidate: str, environment: Mapping[str, str] | None = None) -> Mapping[str, str]:
    marker = "vcr" if candidate in _RIVALS else "cassette"
    # pip compiles the packages that it installs, but not this project, which is installed from its working tree
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}
    return {**os.environ, **_KEYS, **compiled, "SUITE_MARKER": marker, **(environment or {})}


def _run_in_turns(
    commands: Mapping[str, Sequence[str]],
    folder: Path,
    rounds: int,
    environment: Mapping[str, str] | None = None,
) -> Results:
    """Run each command once per round, and return their figures; each round counts as a process."""
    order, measured = list(commands), []
    for round_number in range(-1, rounds):
        random.shuffle(order)
        figures: dict[str, Sequence[Figures]] = {}
        for name in order:
            figures[name] = [_run(commands[name], folder, _make_variables(name, environment))]
        if round_number >= 0:  # the first round compiles the modules
            measured.append(figures)
    versions = {name: version(name) for name in ("multitrack", "pytest", *_SDKS)}
    return Results(versions, measured)


def _run(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Figures:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    ended = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed in {folder}:\n{ended.stdout[-3000:]}{ended.stderr[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {CPU_TIME: used, _WALL_TIME: perf_counter() - start}


_WALL_TIME = "wall-clock time"


def _measure_start(folder: Path, rounds: int) -> Mapping[str, Results]:
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "test_trivial.py").write_text("def test_trivial():\n    assert True\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    commands = {_MOCK: [*command, "-p", "no:multitrack"], _OURS: command}
    compiled = _run_in_turns(commands, folder, rounds, {"PYTHONDONTWRITEBYTECODE": ""})
    for package in (multitrack, pytest_multitrack):
        for byte_code in Path(package.__path__[0]).rglob("__pycache__"):
            shutil.rmtree(byte_code)
    return {
        "with byte code": compiled,
        "without byte code": _run_in_turns(commands, folder, rounds, {"PYTHONDONTWRITEBYTECODE": "1"}),
    }


def _measure_phases(folder: Path, suite: _Suite, rounds: int) -> Mapping[str, _Times]:
    """Return the median time of each phase, with multitrack and with the mock."""
    print(f"measuring the phases of the suite for {suite.title}", file=sys.stderr)
    measured: dict[str, list[_Times]] = {_MOCK: [], _OURS: []}
    for _ in range(rounds):
        for name, profiles in measured.items():
            file = folder / f"phases-{name}.json"
            command = [*_make_command(name, sys.executable), "-p", suite_phases.__name__.rpartition(".")[2]]
            _run(command, folder, _make_variables(name, {suite_phases.VARIABLE: str(file)}))
            profiles.append(json.loads(file.read_bytes()))
    columns = (*suite_phases.PHASES, suite_phases.COLLECTING)
    return {
        name: {column: median(times.get(column, 0) for times in profiles) for column in columns}
        for name, profiles in measured.items()
    }


def _subtract(profile: Mapping[str, _Times]) -> _Times:
    return {column: time - profile[_MOCK][column] for column, time in profile[_OURS].items()}


def _sum_phases(times: _Times) -> float:
    return sum(times[phase] for phase in suite_phases.PHASES)


def _format_profiles(profiles: Mapping[str, Mapping[str, _Times]]) -> str:
    columns = (*suite_phases.PHASES, suite_phases.COLLECTING)
    rows = []
    for suite in _SUITES:
        added = _subtract(profiles[suite.name])
        rows.append(
            [suite.title, *(f"{time:.2f} s" for time in (_sum_phases(added), *map(added.__getitem__, columns)))]
        )
    return format_table(["", "total", *columns], rows)


def _explain_missed_targets(results: Mapping[str, Results], profiles: Mapping[str, Mapping[str, _Times]]) -> str:
    """Return a line for each suite that misses its target: how much it may add, and its largest phases."""
    lines = []
    for suite in _SUITES:
        measured, target = results[suite.name], _find_target(suite)
        if measured.ratio(_OURS, to=_MOCK).middle <= target:
            continue
        profile, added = profiles[suite.name], _subtract(profiles[suite.name])
        allowed = (target - 1) * _sum_phases(profile[_MOCK])
        largest = sorted(suite_phases.PHASES, key=added.__getitem__, reverse=True)[:3]
        parts = ", ".join(f"{phase} {added[phase]:.2f} s" for phase in largest)
        lines.append(
            f"- {suite.title}: the target allows {allowed:.2f} s more than the mock. The limit is "
            f"{measured.ratio(_LIMIT, to=_MOCK).middle:.2f} times the mock. The suite takes {_sum_phases(added):.2f} s "
            f"more than the mock; the largest parts are {parts}."
        )
    return "Why a target is missed:\n\n" + "\n".join(lines) if lines else ""


_MOCK_WORKERS = "mock, two workers"


def _measure_workers(folder: Path, rounds: int) -> Results:
    one, mock = (_make_command(name, sys.executable) for name in (_OURS, _MOCK))
    commands = {"one process": one, "two workers": [*one, "-n", "2"], _MOCK: mock, _MOCK_WORKERS: [*mock, "-n", "2"]}
    return _run_in_turns(commands, folder, rounds)


def _make_row(suite: _Suite, results: Results, pythons: Mapping[str, str]) -> list[str]:
    measured = results.processes[0]
    times = [format_time(_quartiles(results, name)) if name in measured else "cannot run it" for name in pythons]
    rivals = [
        format_ratio(results.ratio(name, to=_OURS)) if name in measured else "" for name in pythons if name in _RIVALS
    ]
    to_mock = [format_ratio(results.ratio(name, to=_MOCK)) for name in (_LIMIT, _OURS)]
    return [suite.title, *times, *to_mock, *rivals]


def _find_target(suite: _Suite) -> float:
    return _TARGET if suite.name == "openai" else _OTHER_TARGET


def _quartiles(results: Results, name: str, figure: str = CPU_TIME) -> Quartiles:
    values = sorted(run[figure] for figures in results.processes for run in figures[name])
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    return results.quartiles(name, figure)


def _draw_chart(results: Mapping[str, Results], pythons: Mapping[str, str]) -> str:
    lines = []
    for suite in _SUITES:
        for name in pythons:
            if name in results[suite.name].processes[0]:
                ratio = results[suite.name].ratio(name, to=_MOCK).middle
                lines.append(f"{suite.title:<20} {name:<17} {'█' * round(ratio * 10)} {ratio:.2f}")
        lines.append("")
    return "\n".join(lines).strip()


def _describe_verdict(results: Mapping[str, Results], rivals: Mapping[str, Sequence[str]]) -> str:
    rows = []
    for suite in _SUITES:
        ratio = results[suite.name].ratio(_OURS, to=_MOCK).middle
        target = _find_target(suite)
        verdict = "met" if ratio <= target else "missed"
        rows.append([f"{suite.title}, multitrack / mock", f"{ratio:.2f}", f"at most {target}: {verdict}"])
    for rival in rivals:
        if rival not in results["openai"].processes[0]:
            rows.append([f"OpenAI, {rival} / multitrack", "", f"at least {_RIVAL_TARGET}: cannot run the suite"])
            continue
        ratio = results["openai"].ratio(rival, to=_OURS).middle
        verdict = "met" if ratio >= _RIVAL_TARGET else "missed"
        rows.append([f"OpenAI, {rival} / multitrack", f"{ratio:.2f}", f"at least {_RIVAL_TARGET}: {verdict}"])
    return format_table(["ratio", "measured", "target"], rows)


def _format_start(start: Mapping[str, Results]) -> str:
    rows = []
    for case, results in start.items():
        without, ours = (_quartiles(results, name) for name in (_MOCK, _OURS))
        added = median(run[_OURS][0][CPU_TIME] - run[_MOCK][0][CPU_TIME] for run in results.processes)
        verdict = "met" if added <= _START_TARGET else "missed"
        rows.append([case, format_time(without), format_time(ours), f"{added * 1000:.0f} ms", f"15 ms: {verdict}"])
    return format_table(["", "without the plugin", "with it", "difference", "target"], rows)


def _format_workers(results: Results) -> str:
    rows = []
    for title, one, two in (("multitrack", "one process", "two workers"), ("mock", _MOCK, _MOCK_WORKERS)):
        ratio = results.ratio(two, to=one, figure=_WALL_TIME)
        times = [format_time(_quartiles(results, name, _WALL_TIME)) for name in (one, two)]
        verdict = "met" if ratio.middle <= _WORKERS_TARGET else "missed"
        rows.append([title, *times, format_ratio(ratio), f"{_WORKERS_TARGET}: {verdict}" if one != _MOCK else ""])
    return format_table(["", "one process", "two workers", "ratio", "target"], rows)


def _explain_workers(results: Results) -> str:
    ours = results.ratio("two workers", to="one process", figure=_WALL_TIME).middle
    mock = results.ratio(_MOCK_WORKERS, to=_MOCK, figure=_WALL_TIME).middle
    if ours <= _WORKERS_TARGET or mock <= _WORKERS_TARGET:
        return ""
    return (
        f"With a suite of this length, the target cannot be met: the ratio of the mock is {mock:.2f}. Each worker "
        f"starts pytest, collects all tests and imports the SDK itself."
    )
