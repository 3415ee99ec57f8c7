"""Today's models on recorded answers: how many calls in a second."""

from __future__ import annotations

import sys

from benchmarks.page import Section, measured, table, time
from benchmarks.race import run
from benchmarks.revalidation_race import CALLS, CASES

_TARGET = 10_000

_TEXT = """
What `multitrack revalidate` takes for {calls:,} recorded calls: finding the tapes, reading them, decoding the answers
and validating every call.

{measured}

{races}

At least {target:,} calls a second are the target: {verdict}.
"""


def section(*, quick: bool) -> Section:
    """Measure; ``quick`` is one process with a few rounds."""
    rounds, processes = (3, 1) if quick else (10, 5)
    results = run([sys.executable, "-m", "benchmarks.revalidation_race", f"--rounds={rounds}"], processes)
    rows, slowest = [], float("inf")
    for case in CASES:
        quartiles = results.quartiles(case)
        rate = CALLS / quartiles.median
        slowest = min(slowest, rate)
        rows.append([case, time(quartiles), f"{rate:,.0f}"])
    return Section(
        "Revalidating tapes",
        _TEXT.format(
            calls=CALLS,
            measured=measured(results),
            races=table(["", "time", "calls a second"], rows),
            target=_TARGET,
            verdict="met" if slowest >= _TARGET else "missed",
        ),
    )
