"""Compare Multitrack's ``create`` with the SDK's own: short responses, the first model of a stream, long responses."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from benchmarks.extraction_process import (
    EXTRA_EVENTS,
    FROM_COMPLETING,
    FROM_FIRST,
    INSTRUCTOR,
    MULTITRACK,
    RAW,
    RAW_AGAIN,
    RAW_WITHOUT_CHOICE,
)
from benchmarks.measurement import CPU_TIME, Results, run_processes
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time, join_rounds
from benchmarks.virtual_environments import create_environment

# the largest acceptable ratio of Multitrack's time to the raw client's, for three calls
_TARGET = 1.08

_KINDS: Mapping[str, tuple[str, ...]] = {"sync": (), "async": ("--async",)}

# by the number of calls in a response: the rounds, plain and streamed
_ROUNDS = {1: (300, 100), 10: (300, 50), 100: (100, 20), 1000: (20, 5)}

_OPENING = """
This benchmark measures the time that `create` with a `response_model` adds to the SDK's own `create`. The provider is a
`MockTransport` in the same process, because a network would hide the difference.

The *raw client* is code written by hand. It calls `create(tools=...)` with the same schemas, and validates each call
with `Model.model_validate_json(call.function.arguments)`. It is measured twice to show the noise. All candidates return
the same models. Multitrack sends the same body as the raw client.
"""

_SHORT = """
### A response with three calls

{conditions}

{figures}

Multitrack should take at most {target} times as long as the raw client. This target is {verdict} ({reached}).

A raw client that omits `tool_choice` sends a smaller body, and is faster. Compared with this client, Multitrack
has higher ratios: {bare}. The SDK checks each parameter against every type in its union, which is slow.
Multitrack avoids this check, because it sends its default `tool_choice="auto"` in `extra_body`.

The next table adds instructor, in its mode for parallel tools. All clients in this table use a version of the SDK that
instructor supports:

{conditions_there}

{figures_there}
"""

_FIRST_MODEL = """
### From the first event to the first model

This benchmark streams the response with three calls. Each event has four characters of the arguments. Times are
wall-clock times. The first two columns start at the first event, and the others at the event that completes the
first call. All times end when the caller receives the first model.

The raw client knows which event completes the first call, and validates the collected arguments after that event. The
table does not include instructor, because instructor does not stream parallel tools.

{conditions}

{figures}

After the call is complete, Multitrack reads {extra_events} more events before it returns the model.
"""

_LONG = """
### Long responses

In this benchmark, the responses have up to 1,000 calls. Each call is 2 KB long. In a streamed response, each event has
100 characters. The client is synchronous. The table shows the time for one call, which is the time for a response
divided by the number of its calls.

{conditions} The streamed responses have {streamed_rounds} rounds.

{figures}

In a response with 1,000 calls, one call takes {plain} times as long as in a response with 100 calls, and {streamed}
times as long if the response is streamed. A factor of 1 means that the time for the whole response grows linearly.
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a tenth of the rounds."""
    return Section(
        "Extraction", "".join([_OPENING, _measure_short(quick), _measure_first_model(quick), _measure_long(quick)])
    )


def _measure_short(quick: bool) -> str:
    names_here, names_there = (RAW, RAW_AGAIN, RAW_WITHOUT_CHOICE, MULTITRACK), (RAW, MULTITRACK, INSTRUCTOR)
    here = {kind: _run(names_here, 500, *options, quick=quick) for kind, options in _KINDS.items()}
    python = create_environment(["instructor==1.17.*"], "instructor")
    there = {kind: _run(names_there, 300, *options, quick=quick, python=python) for kind, options in _KINDS.items()}
    ratios = {kind: results.ratio(MULTITRACK, to=RAW).middle for kind, results in here.items()}
    ratios_without_choice = {
        kind: results.ratio(MULTITRACK, to=RAW_WITHOUT_CHOICE).middle for kind, results in here.items()
    }
    return _SHORT.format(
        conditions=describe_conditions(here["sync"]),
        figures=_format_side_by_side(here, names_here),
        target=_TARGET,
        verdict="met" if max(ratios.values()) <= _TARGET else "missed",
        reached=_format_by_kind(ratios),
        bare=_format_by_kind(ratios_without_choice),
        conditions_there=describe_conditions(there["sync"]),
        figures_there=_format_side_by_side(there, names_there),
    )


def _measure_first_model(quick: bool) -> str:
    names = (RAW, MULTITRACK)
    streamed = {
        kind: _run(names, 300, "--stream", "--first-model", *options, quick=quick) for kind, options in _KINDS.items()
    }
    rows = [
        [f"{name}, {kind}", *_format_cells(results, name, FROM_FIRST), *_format_cells(results, name, FROM_COMPLETING)]
        for kind, results in streamed.items()
        for name in names
    ]
    extra_events = {
        run[EXTRA_EVENTS]
        for results in streamed.values()
        for figures in results.processes
        for run in figures[MULTITRACK]
    }
    return _FIRST_MODEL.format(
        conditions=describe_conditions(streamed["sync"]),
        figures=format_table(["", FROM_FIRST, "ratio", FROM_COMPLETING, "ratio"], rows),
        extra_events=f"{max(extra_events):.0f}",
    )


def _measure_long(quick: bool) -> str:
    plain, streamed = (
        {
            calls: _run((RAW, MULTITRACK), rounds[column], f"--calls={calls}", *options, processes=3, quick=quick)
            for calls, rounds in _ROUNDS.items()
        }
        for column, options in enumerate(((), ("--stream",)))
    )
    rows = [
        [f"{calls:,}", *_format_long_cells(plain[calls], calls), *_format_long_cells(streamed[calls], calls)]
        for calls in _ROUNDS
    ]
    return _LONG.format(
        conditions=describe_conditions(*plain.values()),
        streamed_rounds=join_rounds(list(streamed.values())),
        figures=format_table(
            ["calls", RAW, MULTITRACK, "ratio", f"{RAW}, streamed", f"{MULTITRACK}, streamed", "ratio"], rows
        ),
        plain=f"{_compute_growth(plain):.2f}",
        streamed=f"{_compute_growth(streamed):.2f}",
    )


def _run(
    candidates: Sequence[str],
    rounds: int,
    *options: str,
    quick: bool,
    processes: int = 7,
    python: str = sys.executable,
) -> Results:
    rounds, processes = (max(rounds // 10, 2), 1) if quick else (rounds, processes)
    return run_processes(
        [python, "-m", "benchmarks.extraction_process", *candidates, f"--rounds={rounds}", *options], processes
    )


def _format_side_by_side(results: Mapping[str, Results], names: Sequence[str]) -> str:
    head = ["", *(cell for kind in results for cell in (kind, "ratio"))]
    rows = [[name, *(cell for one in results.values() for cell in _format_cells(one, name))] for name in names]
    return format_table(head, rows)


def _format_cells(results: Results, name: str, figure: str = CPU_TIME) -> list[str]:
    ratio = "1" if name == RAW else format_ratio(results.ratio(name, to=RAW, figure=figure))
    return [format_time(results.quartiles(name, figure)), ratio]


def _format_long_cells(results: Results, calls: int) -> list[str]:
    times = [format_time(results.quartiles(name), share=calls) for name in (RAW, MULTITRACK)]
    return [*times, format_ratio(results.ratio(MULTITRACK, to=RAW))]


def _format_by_kind(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {value:.3f}" for kind, value in ratios.items())


def _compute_growth(results: Mapping[int, Results]) -> float:
    """Return the time per call in a response with 1,000 calls, divided by the time per call in one with 100."""
    return results[1000].quartiles(MULTITRACK).median / 1000 / (results[100].quartiles(MULTITRACK).median / 100)
