"""Compare expected with received calls, 30 and 200 of each, in the cases that take longest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.measurement import run_processes
from benchmarks.page import Section, describe_conditions, format_table, format_time
from benchmarks.snapshots_process import CASES, OPTIONS, SIZES, name_candidate

# in seconds, by the number of calls
_TARGETS = {30: 0.005, 200: 0.5}

_TEXT = """
This benchmark measures how long a failing comparison takes. A comparison pairs the calls, finds the differences and
writes the report. There are as many received calls as expected calls. All calls are to one tool, so each expected call
may be paired with each received call. The tolerance is 0.01 for all numbers, so all pairs of numbers must be compared.

{conditions}

{figures}

The targets are {targets}. {verdict}
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a few rounds."""
    rounds, processes = (3, 1) if quick else (10, 3)
    results = run_processes([sys.executable, "-m", "benchmarks.snapshots_process", f"--rounds={rounds}"], processes)
    times = {
        case: {size: [results.quartiles(name_candidate(case, size, option)) for option in OPTIONS] for size in SIZES}
        for case in CASES
    }
    slowest = {
        size: max((one for row in times.values() for one in row[size]), key=lambda quartiles: quartiles.median)
        for size in SIZES
    }
    head = ["", *(f"{size} calls{option}" for size in SIZES for option in ("", ", with a tolerance"))]
    rows = [[case, *(format_time(one) for size in SIZES for one in row[size])] for case, row in times.items()]
    missed = [size for size in SIZES if slowest[size].median > _TARGETS[size]]
    medians = " and ".join(f"{format_time(slowest[size])} for {size} calls" for size in SIZES)
    return Section(
        "Comparing calls",
        _TEXT.format(
            conditions=describe_conditions(results),
            figures=format_table(head, rows),
            targets=" and ".join(f"{target * 1000:g} ms for {size} calls" for size, target in _TARGETS.items()),
            verdict=f"{_describe_verdict(missed)}: the slowest medians are {medians}.",
        ),
    )


def _describe_verdict(missed: Sequence[int]) -> str:
    if not missed:
        return "Both are met"
    if len(missed) == len(_TARGETS):
        return "Both are missed"
    return f"The target for {missed[0]} calls is missed"
