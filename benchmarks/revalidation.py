"""Revalidate recorded tool calls with current models, and count the calls per second."""

from __future__ import annotations

import sys

from benchmarks.measurement import Results, run_processes
from benchmarks.page import Section, describe_conditions, format_table, format_time
from benchmarks.revalidation_process import CALLS, CASES, STEPS, STEPS_OF

_TARGET = 10_000

_TEXT = """
This benchmark measures how long `multitrack revalidate` takes for {calls:,} recorded calls. The command finds and reads
the cassettes, decodes the responses, and validates every call.

{conditions}

{figures}

`multitrack revalidate` should validate at least {target:,} calls per second. This target is {verdict}.

The next table shows the time of each step, for the row "{case}". Each step was
measured alone, in the same rounds as the whole command.

{steps}
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
            case=STEPS_OF,
            steps=_format_steps(results),
        ),
    )


def _format_steps(results: Results) -> str:
    total = results.quartiles(STEPS_OF).median
    rows = [(step, results.quartiles(step)) for step in STEPS]
    shares = [[step, format_time(time), f"{time.median / total:.0%}"] for step, time in rows]
    rest = 1 - sum(time.median for _, time in rows) / total
    return format_table(["", "time", "share"], [*shares, ["the rest", "", f"{rest:.0%}"]])
