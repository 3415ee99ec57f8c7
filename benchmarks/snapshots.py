"""Compare expected with actual calls, 30 and 200 of each, in the cases that cost most."""

from __future__ import annotations

import sys

from benchmarks.page import Section, measured, table, time
from benchmarks.race import run
from benchmarks.snapshot_race import CASES, SIZES, TERMS, contender

# in seconds, by the number of calls
_TARGETS = {30: 0.005, 200: 0.5}

_TEXT = """
The cost of a failing comparison: pair as many expected as actual calls, find the differences, and write the report. All
calls are of one tool, which leaves the most pairs to choose from. With a tolerance of 0.01 for all numbers, any two
numbers have to be compared.

{measured}

{races}

The targets are {targets}. {verdict}
"""


def section(*, quick: bool) -> Section:
    """Run the benchmark; `quick` runs one process with a few rounds."""
    rounds, processes = (3, 1) if quick else (20, 5)
    results = run([sys.executable, "-m", "benchmarks.snapshot_race", f"--rounds={rounds}"], processes)
    times = {
        case: {size: [results.quartiles(contender(case, size, term)) for term in TERMS] for size in SIZES}
        for case in CASES
    }
    slowest = {
        size: max((one for row in times.values() for one in row[size]), key=lambda quartiles: quartiles.median)
        for size in SIZES
    }
    head = ["", *(f"{size} calls{term}" for size in SIZES for term in ("", ", with a tolerance"))]
    rows = [[case, *(time(one) for size in SIZES for one in row[size])] for case, row in times.items()]
    missed = [size for size in SIZES if slowest[size].median > _TARGETS[size]]
    medians = " and ".join(f"{time(slowest[size])} for {size} calls" for size in SIZES)
    return Section(
        "Comparing calls",
        _TEXT.format(
            measured=measured(results),
            races=table(head, rows),
            targets=" and ".join(f"{target * 1000:g} ms for {size} calls" for size, target in _TARGETS.items()),
            verdict=f"{'Missed' if missed else 'Both are met'}: the slowest medians are {medians}.",
        ),
    )
