"""What a tape takes to be opened, played and written, by the number of its interactions."""

from __future__ import annotations

import sys

from benchmarks.large_tapes_race import AGAIN, DUMPED, FIRST, SIZES, WRITTEN, YAML, contender
from benchmarks.page import Section, measured, ratio, table, time
from benchmarks.race import run

_TEXT = """
What it takes to open a tape, to play one request from its middle, and to close it, beside what it takes to read the
file as YAML with libyaml, which comes to plain values and no further. An interaction has about 3.5 KB. From 100 kB on,
a tape is remembered, and a test that opens it after another finds it read: the last two columns.

{measured}

{reading}

And to write it, beside what PyYAML with libyaml takes for the same document, in its own layout:

{writing}
"""


def section(*, quick: bool) -> Section:
    """Measure; ``quick`` is one process with a few rounds."""
    rounds, processes = (2, 1) if quick else (3, 3)
    results = run([sys.executable, "-m", "benchmarks.large_tapes_race", f"--rounds={rounds}"], processes)

    def row(size: int, floor: str, *cases: str) -> list[object]:
        beside = contender(floor, size)
        cells: list[object] = [f"{size:,}", time(results.quartiles(beside))]
        for case in cases:
            measured_one = contender(case, size)
            cells += [time(results.quartiles(measured_one)), ratio(results.ratio(measured_one, to=beside))]
        return cells

    reading = ["interactions", "as YAML", "first test", "ratio", "next test", "ratio"]
    writing = ["interactions", "by PyYAML", "written", "ratio"]
    return Section(
        "Large tapes",
        _TEXT.format(
            measured=measured(results),
            reading=table(reading, [row(size, YAML, FIRST, AGAIN) for size in SIZES]),
            writing=table(writing, [row(size, DUMPED, WRITTEN) for size in SIZES]),
        ),
    )
