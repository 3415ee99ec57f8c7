"""The page docs/benchmarks.md: one section for each benchmark."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.measurement import Quartiles, Results, Spread

PATH = Path("docs/benchmarks.md")

_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))

_HEAD = """# Benchmarks

`make benchmarks` writes this page. Each benchmark runs in several processes. In each round, a process runs all
candidates of a table once, in a new random order. Other load on the machine thus affects all candidates in the same
way.

Times are CPU times unless a table says otherwise. A table shows the median time of all rounds, with the quartiles in
parentheses.

Each process computes its own ratios, from the medians of its rounds. A table shows the median of these ratios, with the
lowest and the highest ratio in parentheses. Ratios are similar on other machines; times are not.
"""


class Section(NamedTuple):
    """A heading, and the text below it."""

    heading: str
    text: str

    def __str__(self) -> str:
        return f"## {self.heading}\n\n{self.text.strip()}\n"


def write_section(section: Section) -> None:
    """Write a section to the page. It replaces the section with the same heading; other sections stay."""
    old = re.split(r"^(?=## )", PATH.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:] if PATH.exists() else []
    texts = {text.partition("\n")[0]: text.strip() + "\n" for text in old}
    texts[f"## {section.heading}"] = str(section)
    PATH.write_text("\n".join([_HEAD, *texts.values()]), encoding="utf-8")


def format_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first contain numbers."""
    ruled = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [head, ruled, *rows])


def describe_conditions(*measurements: Results) -> str:
    """Return the date, the machine, the versions and the rounds of ``measurements``, which only differ in rounds."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{platform.system()} {platform.machine()} with {os.cpu_count()} CPUs"
    versions = ", ".join(f"{name} {version}" for name, version in measurements[0].versions.items())
    processes, rounds = len(measurements[0].processes), join_rounds(measurements)
    extent = f"{processes} process{'es' * (processes > 1)} of {rounds} round{'s' * (rounds != '1')} each"
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"Measured on {date} with {python} on {machine}. The benchmark ran {extent}. Versions: {versions}."


def join_rounds(measurements: Sequence[Results]) -> str:
    """Return a string such as ``300, 100 or 20``."""
    *others, last = dict.fromkeys(str(results.rounds) for results in measurements)
    return f"{', '.join(others)} or {last}" if others else last


def format_ratio(spread: Spread) -> str:
    """Return a string such as ``1.03 (1.02 to 1.05)``."""
    return f"{spread.middle:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def format_time(quartiles: Quartiles, share: int = 1) -> str:
    """Return a string such as ``0.81 ms (0.80 to 0.84)``, for the time divided by ``share``."""
    unit, size = next((unit, size) for unit, size in _UNITS if quartiles.median / share >= size)
    # round to three digits; the second `g` keeps 1,000 from becoming 1e+03
    low, median, high = (f"{float(f'{value / share / size:.3g}'):g}" for value in quartiles)
    return f"{median} {unit} ({low} to {high})"
