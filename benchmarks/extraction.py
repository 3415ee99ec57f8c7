"""What `create` costs beside the SDK's own: a short answer, the first model of a stream, long answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from benchmarks.environment import python_with
from benchmarks.openai_race import BARE, BEYOND, CONTROL, FROM_FIRST, FROM_LAST, INSTRUCTOR, MULTITRACK, RAW
from benchmarks.page import Section, measured, ratio, table, time
from benchmarks.race import TIME, Results, run

# of the time that the raw client takes for three calls
_TARGET = 1.08

_KINDS: Mapping[str, tuple[str, ...]] = {"sync": (), "async": ("--async",)}

# how many rounds there are for answers of so many calls, plain and streamed
_ROUNDS = {1: (300, 100), 10: (300, 50), 100: (100, 20), 1000: (20, 5)}

_OPENING = """
What `create` with a `response_model` adds to the SDK's own `create`, with the provider behind a `MockTransport` in the
same process, so that no network hides it. The *raw client* is what one writes by hand: `create(tools=...)` with the
same schemas, then `Model.model_validate_json(call.function.arguments)` by the tool's name. All give the same models,
and multitrack sends the same body as the raw client, which stands in the race a second time to show the noise.
"""

_SHORT = """
### An answer with three calls

{measured}

{races}

At most {target} times the raw client is the target: {verdict} ({reached}).

Multitrack takes longer in comparison with a raw client that sends no `tool_choice`, and so another body: {bare}. The
SDK holds each argument against every type that it may have, and that takes its time; multitrack sends its default
`tool_choice="auto"` past those types, in `extra_body`.

instructor in its mode for parallel tools, in an environment of its own with the SDK that it takes:

{measured_there}

{races_there}
"""

_FIRST_MODEL = """
### From the first event to the first model

The same answer streamed, four characters of arguments in an event. The clock, of the wall here, starts when the
transport hands over an event, and stops when the caller has the first model. The raw client is told which event
completes the first call; then it validates what it has put together. instructor does not stream parallel tools.

{measured}

{races}

Events read beyond the one that completes the call, before its model is there: {beyond}.
"""

_LONG = """
### Long answers

Calls of 2 KB each, sync; streamed with 100 characters in an event. The times are for one call.

{measured} Streamed: {streamed_rounds}.

{races}

From an answer of 100 calls to one of 1,000, multitrack's time for one call is multiplied by {plain}, streamed by
{streamed}; linear is 1.
"""


def section(*, quick: bool) -> Section:
    """Measure; ``quick`` is one process with a tenth of the rounds."""
    return Section("Extraction", "".join([_OPENING, _short(quick), _first_model(quick), _long(quick)]))


def _short(quick: bool) -> str:
    names, names_there = (RAW, CONTROL, BARE, MULTITRACK), (RAW, MULTITRACK, INSTRUCTOR)
    here = {kind: _run(names, 500, *options, quick=quick) for kind, options in _KINDS.items()}
    python = python_with(["instructor==1.17.*"], "instructor")
    there = {kind: _run(names_there, 300, *options, quick=quick, python=python) for kind, options in _KINDS.items()}
    reached = {kind: results.ratio(MULTITRACK, to=RAW).middle for kind, results in here.items()}
    bare = {kind: results.ratio(MULTITRACK, to=BARE).middle for kind, results in here.items()}
    return _SHORT.format(
        measured=measured(here["sync"]),
        races=_side_by_side(here, names),
        target=_TARGET,
        verdict="met" if max(reached.values()) <= _TARGET else "missed",
        reached=_by_kind(reached),
        bare=_by_kind(bare),
        measured_there=measured(there["sync"]),
        races_there=_side_by_side(there, names_there),
    )


def _first_model(quick: bool) -> str:
    names = (RAW, MULTITRACK)
    streamed = {
        kind: _run(names, 300, "--stream", "--first-model", *options, quick=quick) for kind, options in _KINDS.items()
    }
    rows = [
        [f"{name}, {kind}", *_cells(results, name, FROM_FIRST), *_cells(results, name, FROM_LAST)]
        for kind, results in streamed.items()
        for name in names
    ]
    read = {lap[BEYOND] for results in streamed.values() for laps in results.processes for lap in laps[MULTITRACK]}
    return _FIRST_MODEL.format(
        measured=measured(streamed["sync"]),
        races=table(["", FROM_FIRST, "ratio", FROM_LAST, "ratio"], rows),
        beyond=f"{max(read):.0f}",
    )


def _long(quick: bool) -> str:
    plain, streamed = (
        {
            calls: _run((RAW, MULTITRACK), rounds[column], f"--calls={calls}", *options, processes=3, quick=quick)
            for calls, rounds in _ROUNDS.items()
        }
        for column, options in enumerate(((), ("--stream",)))
    )
    rows = [
        [f"{calls:,}", *(cell for results in (plain, streamed) for cell in _cells_of_long(results[calls], calls))]
        for calls in _ROUNDS
    ]
    return _LONG.format(
        measured=measured(*plain.values()),
        streamed_rounds=", ".join(str(results.rounds) for results in streamed.values()),
        races=table(["calls", RAW, MULTITRACK, "ratio", f"{RAW}, streamed", f"{MULTITRACK}, streamed", "ratio"], rows),
        plain=f"{_growth(plain):.2f}",
        streamed=f"{_growth(streamed):.2f}",
    )


def _run(
    contenders: Sequence[str],
    rounds: int,
    *options: str,
    quick: bool,
    processes: int = 7,
    python: str = sys.executable,
) -> Results:
    rounds, processes = (max(rounds // 10, 2), 1) if quick else (rounds, processes)
    return run([python, "-m", "benchmarks.openai_race", *contenders, f"--rounds={rounds}", *options], processes)


def _side_by_side(races: Mapping[str, Results], names: Sequence[str]) -> str:
    head = ["", *(cell for kind in races for cell in (kind, "ratio"))]
    return table(head, [[name, *(cell for race in races.values() for cell in _cells(race, name))] for name in names])


def _cells(results: Results, name: str, figure: str = TIME) -> list[str]:
    compared = "1" if name == RAW else ratio(results.ratio(name, to=RAW, figure=figure))
    return [time(results.quartiles(name, figure)), compared]


def _cells_of_long(results: Results, calls: int) -> list[str]:
    times = [time(results.quartiles(name), share=calls) for name in (RAW, MULTITRACK)]
    return [*times, ratio(results.ratio(MULTITRACK, to=RAW))]


def _by_kind(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {value:.3f}" for kind, value in ratios.items())


def _growth(races: Mapping[int, Results]) -> float:
    """By what our time for one call is multiplied where an answer has 1,000 of them instead of 100."""
    return races[1000].quartiles(MULTITRACK).median / 1000 / (races[100].quartiles(MULTITRACK).median / 100)
