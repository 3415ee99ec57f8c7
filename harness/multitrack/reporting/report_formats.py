"""The report of ``--calls-report`` as Markdown, JSON and HTML."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from multitrack.wording import count_noun

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReportedTape:
    """The requests and tool calls of one tape in one test.

    Args:
        tape: The cassette, as it is shown to the user.
        mode: The mode of the tape.
        played: The number of requests that were replayed.
        recorded: The number of requests that were recorded.
        live: The number of requests that were sent to compare the responses.
        pending: The file of the pending recording. Empty if there is none.
        calls: Lines as ``multitrack show`` prints them.
        count: The number of tool calls.
    """

    tape: str
    mode: str
    played: int
    recorded: int
    live: int
    pending: str
    calls: Sequence[str]
    count: int

    @property
    def requests(self) -> str:
        """The number of requests of each kind, such as "2 replayed, 1 recorded"."""
        counts = {"replayed": self.played, "recorded": self.recorded, "live": self.live}
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "none"


@dataclass(frozen=True, slots=True)
class ReportedTest:
    """A test, or a fixture that sends requests, with its tapes.

    Args:
        test: The node id of the test, or the name of the fixture.
        outcome: How it ended, such as "passed".
        failure: The first line of its failure. Empty if it did not fail.
        tapes: Its tapes.
        drift: Its rows of the drift table, as ``DriftRow.to_dict`` returns them.
    """

    test: str
    outcome: str
    failure: str
    tapes: Sequence[ReportedTape]
    drift: Sequence[Mapping[str, Any]]

    @property
    def finding(self) -> str:
        """The failure and the drift, in one line."""
        failures = [self.failure] if self.failure else []
        return "; ".join([*failures, *(f"drift: {row['verdict']}" for row in self.drift)])


def format_json(entries: Sequence[ReportedTest]) -> str:
    """Return the report as JSON."""
    return json.dumps({"format": FORMAT, "tests": [asdict(entry) for entry in entries]}, indent=2) + "\n"


def format_markdown(entries: Sequence[ReportedTest]) -> str:
    """Return the report as Markdown, in the dialect of GitHub."""
    lines = [f"# {_title(entries)}", "", _format_row(*_HEAD), _format_row(*("---" for _ in _HEAD))]
    lines += [_format_row(*(_escape_cell(cell) for cell in cells)) for entry in entries for cells in _cells(entry)]
    for entry in entries:
        if details := list(_details(entry)):
            fence = "`" * max(3, 1 + max(len(run) for line in details for run in _BACKTICKS.findall(line)))
            summary = f"<details><summary>{html.escape(entry.test)}</summary>"
            lines += ["", summary, "", f"{fence}text", *details, fence, "", "</details>"]
    return "\n".join(lines) + "\n"


def format_html(entries: Sequence[ReportedTest]) -> str:
    """Return the report as an HTML page that needs no other files."""
    title = html.escape(_title(entries))
    head = "".join(f"<th>{cell}</th>" for cell in _HEAD)
    rows = [
        f'<tr class="{entry.outcome}">' + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
        for entry in entries
        for cells in _cells(entry)
    ]
    details = [
        f"<details><summary>{html.escape(entry.test)}</summary><pre>{html.escape(chr(10).join(lines))}</pre></details>"
        for entry in entries
        if (lines := list(_details(entry)))
    ]
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>',
            f"</head><body><h1>{title}</h1><table><tr>{head}</tr>",
            *rows,
            "</table>",
            *details,
            "</body></html>\n",
        ]
    )


FORMATS: Mapping[str, Callable[[Sequence[ReportedTest]], str]] = {
    ".md": format_markdown,
    ".json": format_json,
    ".html": format_html,
}
"""The function that formats a report, by the extension of the file."""

_HEAD = ("outcome", "test", "requests", "calls", "cassette", "finding")
_BACKTICKS = re.compile("`*")
_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;vertical-align:top}"
    ".failed td:first-child,.error td:first-child{color:#b00}pre{background:#f6f6f6;padding:1rem;overflow:auto}"
)


def _title(entries: Sequence[ReportedTest]) -> str:
    outcomes = Counter(entry.outcome for entry in entries if entry.outcome)
    tests = sum(outcomes.values())
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    return f"Tool calls of {count_noun(tests, 'test')}" + (f": {counts}" if counts else "")


def _cells(entry: ReportedTest) -> Iterator[Sequence[str]]:
    heading = entry.outcome, entry.test
    for number, tape in enumerate(entry.tapes):
        finding = "" if number else entry.finding
        yield (*(("", "") if number else heading), tape.requests, str(tape.count), tape.pending or tape.tape, finding)
    if not entry.tapes:
        yield (*heading, "", "", "", entry.finding)


def _details(entry: ReportedTest) -> Iterator[str]:
    for tape in entry.tapes:
        if tape.calls:
            yield from (tape.tape, *(f"  {line}" for line in tape.calls))
    for row in entry.drift:
        yield from row["details"]


def _format_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _escape_cell(text: str) -> str:
    # characters that Markdown or HTML would interpret are shown as they are
    plain = html.escape(text, quote=False).replace("\\", "\\\\")
    for sign in "|`*_[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
