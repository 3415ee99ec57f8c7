"""Redact requests, and bodies with different numbers of names, secrets and events."""

from __future__ import annotations

import sys

from benchmarks.measurement import run_processes
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time
from benchmarks.redaction_process import GROWING, REQUEST, REQUEST_WITH_SECRET, SIZES, name_candidate

_TEXT = """
This benchmark measures the time to remove secrets and private names. The request is 3.5 KB long and has eight tools.
Five secrets are known in advance, as if they were in environment variables.

{conditions}

{requests}

The next table shows how the time grows with the size of the body. The times are for whole bodies. The last column
compares the time for a single name, event or secret with the same time in the smallest body. If the time grows
linearly, this ratio stays near 1.

{growing}
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a few rounds."""
    rounds, processes = (3, 1) if quick else (10, 3)
    results = run_processes([sys.executable, "-m", "benchmarks.redaction_process", f"--rounds={rounds}"], processes)

    def make_row(case: str, size: int) -> list[object]:
        candidate, smallest = name_candidate(case, size), name_candidate(case, SIZES[0])
        ratio = results.ratio(candidate, to=smallest)
        share = SIZES[0] / size
        spread = ratio._replace(low=ratio.low * share, middle=ratio.middle * share, high=ratio.high * share)
        return [case, f"{size:,}", format_time(results.quartiles(candidate)), format_ratio(spread)]

    requests = [[name, format_time(results.quartiles(name), share=100)] for name in (REQUEST, REQUEST_WITH_SECRET)]
    growing = [make_row(case, size) for case in GROWING for size in SIZES]
    return Section(
        "Redaction",
        _TEXT.format(
            conditions=describe_conditions(results),
            requests=format_table(["", "time for one"], requests),
            growing=format_table(["body with many", "number", "time", "ratio for each"], growing),
        ),
    )
