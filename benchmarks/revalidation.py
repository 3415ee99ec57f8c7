"""Revalidate recorded tool calls with current models, and count the calls per second."""

from __future__ import annotations

import sys

from benchmarks.measurement import run_processes
from benchmarks.page import Section, describe_conditions, format_table, format_time
from benchmarks.revalidation_process import CALLS, CASES

_TARGET = 10_000

_TEXT = """
This benchmark measures how long `multitrack revalidate` takes for {calls:,} recorded calls. The command finds and reads
the cassettes, decodes the responses, and validates every call.

{conditions}

{figures}

`multitrack revalidate` should validate at least {target:,} calls per second. This target is {verdict}.
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a few rounds."""
    rounds, processes = (3, 1) if quick else (10, 5)
    results = run_processes([sys.executable, "-m", "benchmarks.revalidation_process", f"--rounds={rounds}"], processes)
    rows, slowest = [], float("inf")
    for case in CASES:
        quartiles = results.quartiles(case)
        rate = CALLS / quartiles.median
        slowest = min(slowest, rate)
        rows.append([case, format_time(quartiles), f"{rate:,.0f}"])
    return Section(
        "Revalidating cassettes",
        _TEXT.format(
            calls=CALLS,
            conditions=describe_conditions(results),
            figures=format_table(["", "time", "calls per second"], rows),
            target=_TARGET,
            verdict="met" if slowest >= _TARGET else "missed",
        ),
    )
