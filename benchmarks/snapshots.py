"""Pairing and telling apart 200 expected and 200 actual calls, in the cases that cost the most."""

from __future__ import annotations

import sys

from benchmarks.page import Section, measured, table, time
from benchmarks.race import run
from benchmarks.snapshot_race import CALLS, CASES, TERMS

_TARGET = 0.050

_TEXT = """
What a failing comparison of {calls} expected with {calls} actual calls costs: pairing them, finding what differs, and
writing the lines. All calls are of one tool, which leaves the most pairs to choose from. With a tolerance of 0.01 for
all numbers, any number may be the same as any other.

{measured}

{races}

At most {target} is the target: {verdict}, the slowest median is {slowest}.
"""


def section(*, quick: bool) -> Section:
    """Measure; ``quick`` is one process with a few rounds."""
    rounds, processes = (3, 1) if quick else (20, 5)
    results = run([sys.executable, "-m", "benchmarks.snapshot_race", f"--rounds={rounds}"], processes)
    times = {case: [results.quartiles(case + on) for on in TERMS] for case in CASES}
    slowest = max((one for row in times.values() for one in row), key=lambda quartiles: quartiles.median)
    return Section(
        "Comparing calls",
        _TEXT.format(
            calls=CALLS,
            measured=measured(results),
            races=table(["", "time", "with a tolerance"], [[case, *map(time, row)] for case, row in times.items()]),
            target=f"{_TARGET * 1000:.0f} ms",
            verdict="met" if slowest.median <= _TARGET else "missed",
            slowest=time(slowest),
        ),
    )
