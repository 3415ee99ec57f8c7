"""Format the table at the end of a run with ``--calls-drift``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Colour = Literal["green", "yellow", "red", ""]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """The drift of one cassette in one test.

    Args:
        test: The test or the fixture.
        tape: The path of the cassette, as reports show it.
        verdict: The kinds of drift, such as "arguments changed".
        remarks: Short notes, such as how the test failed.
        details: Lines with the differences.
        holds: Whether the recording is still valid.
        trouble: Whether the test, a request or the comparison failed.
        accept_command: The command that stores the live responses. Empty if there is nothing to store.
        requests: The compared requests, each a ``ReportedDriftRequest`` as plain data.
    """

    test: str
    tape: str
    verdict: str
    remarks: Sequence[str]
    details: Sequence[str]
    holds: bool
    trouble: bool
    accept_command: str = ""
    requests: Sequence[Mapping[str, Any]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data, which pytest-xdist can transfer."""
        return asdict(self)


def drift_lines(rows: Sequence[DriftRow], *, fails: bool) -> Iterator[tuple[str, Colour]]:
    """Yield the lines of the drift table, each with its colour.

    Args:
        rows: The rows of the table, in any order.
        fails: Whether drift makes the run fail.
    """
    rows = sorted(rows, key=lambda row: (row.test, row.tape))
    rows_by_test = Counter(row.test for row in rows)
    width = max((len(row.verdict) for row in rows), default=0)
    for row in rows:
        name = row.test if rows_by_test[row.test] == 1 else f"{row.test} ({row.tape})"
        remarks = f"  ({', '.join(row.remarks)})" if row.remarks else ""
        yield f"{row.verdict:<{width}}  {name}{remarks}", "red" if row.trouble else "green" if row.holds else "yellow"
    for row in rows:
        for line in row.details:
            if not line.startswith(" "):
                yield "", ""
            yield line, ""
    if rows:
        yield "", ""
    yield _last_line(rows, fails=fails)


def _last_line(rows: Sequence[DriftRow], *, fails: bool) -> tuple[str, Colour]:
    if not rows:
        return "multitrack: drift: no test with a cassette sent a request", "yellow"
    good = sum(row.holds for row in rows)
    code = "; exit code 1 because of --calls-drift-fail" if fails and good < len(rows) else ""
    return f"multitrack: drift: {good} of {len(rows)} unchanged{code}", "green" if good == len(rows) else "yellow"
