"""Open, replay and write cassettes with different numbers of interactions."""

from __future__ import annotations

import sys

from benchmarks.large_cassettes_process import DUMPED, REPLAYED, REPLAYED_AGAIN, SIZES, WRITTEN, YAML, name_candidate
from benchmarks.measurement import run_processes
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time

_GROWTH_TARGET = 1.5

_TEXT = """
This benchmark opens a cassette, replays one request from the middle of the cassette, and closes the cassette. Each
interaction is about 3.5 KB long. For comparison, the "as YAML" column shows the time to load the same file with
libyaml.

The last two columns are for a second test that opens the same cassette. Multitrack keeps cassettes of 100 kB or more in
memory, so the second test does not read the file again.

{conditions}

{reading}

With {most:,} interactions, the next test should take at most {target} times as long as with {few}. This target is
{verdict}: {growth}. Each test builds an index with an entry for every interaction.

The next table shows the time to write a cassette. For comparison, PyYAML with libyaml writes the same document:

{writing}
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a few rounds."""
    rounds, processes = (2, 1) if quick else (3, 3)
    results = run_processes(
        [sys.executable, "-m", "benchmarks.large_cassettes_process", f"--rounds={rounds}"], processes
    )

    def make_row(size: int, baseline: str, *cases: str) -> list[object]:
        compared = name_candidate(baseline, size)
        cells: list[object] = [f"{size:,}", format_time(results.quartiles(compared))]
        for case in cases:
            candidate = name_candidate(case, size)
            cells += [format_time(results.quartiles(candidate)), format_ratio(results.ratio(candidate, to=compared))]
        return cells

    few, most = 10, SIZES[-1]
    growth = results.ratio(name_candidate(REPLAYED_AGAIN, most), to=name_candidate(REPLAYED_AGAIN, few))
    reading = ["interactions", "as YAML", "first test", "ratio", "next test", "ratio"]
    writing = ["interactions", "PyYAML", "multitrack", "ratio"]
    return Section(
        "Large cassettes",
        _TEXT.format(
            conditions=describe_conditions(results),
            few=few,
            most=most,
            target=_GROWTH_TARGET,
            verdict="met" if growth.middle <= _GROWTH_TARGET else "missed",
            growth=format_ratio(growth),
            reading=format_table(reading, [make_row(size, YAML, REPLAYED, REPLAYED_AGAIN) for size in SIZES]),
            writing=format_table(writing, [make_row(size, DUMPED, WRITTEN) for size in SIZES]),
        ),
    )
