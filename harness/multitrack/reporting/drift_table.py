"""The table of a run that compared live answers with tapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Colour = Literal["green", "yellow", "red", ""]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One ``tape`` of one ``test``: the ``verdict`` on its answers, short ``remarks``, and lines with the ``details``.

    ``holds``: whether what is on the tape still holds. ``trouble``: whether something failed: the test, a request, or
    the comparison.
    """

    test: str
    tape: str
    verdict: str
    remarks: Sequence[str]
    details: Sequence[str]
    holds: bool
    trouble: bool

    def to_dict(self) -> dict[str, Any]:
        """The row as plain values."""
        return asdict(self)


def drift_lines(rows: Sequence[DriftRow], *, fails: bool) -> Iterator[tuple[str, Colour]]:
    """The lines at the end of the run, each with its colour; ``fails`` if one whose tapes do not hold is to fail."""
    rows = sorted(rows, key=lambda row: (row.test, row.tape))
    tapes = Counter(row.test for row in rows)
    width = max((len(row.verdict) for row in rows), default=0)
    for row in rows:
        name = row.test if tapes[row.test] == 1 else f"{row.test} ({row.tape})"
        remarks = f"  ({', '.join(row.remarks)})" if row.remarks else ""
        yield f"{row.verdict:<{width}}  {name}{remarks}", "red" if row.trouble else "green" if row.holds else "yellow"
    for row in rows:
        for line in row.details:
            if not line.startswith(" "):
                yield "", ""
            yield line, ""
    if rows:
        yield "", ""
    yield _closing(rows, fails=fails)


def _closing(rows: Sequence[DriftRow], *, fails: bool) -> tuple[str, Colour]:
    if not rows:
        return "multitrack: drift: no test with a cassette sent a request", "yellow"
    good = sum(row.holds for row in rows)
    code = "; exit code 1 because of --calls-drift-fail" if fails and good < len(rows) else ""
    return f"multitrack: drift: {good} of {len(rows)} unchanged{code}", "green" if good == len(rows) else "yellow"
