"""The report of a run's tapes for people and programs that were not there: Markdown, JSON, HTML."""

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
    """What one ``tape`` did in one test: how many requests it ``played`` and ``recorded``, or asked ``live`` to be
    compared; where the recording lies if it is ``pending``. ``calls`` are lines, as ``multitrack show`` has them."""

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
        """The requests in words."""
        told = {"replayed": self.played, "recorded": self.recorded, "live": self.live}
        return ", ".join(f"{count} {word}" for word, count in told.items() if count) or "none"


@dataclass(frozen=True, slots=True)
class ReportedTest:
    """A ``test``, or a fixture that sends, with its ``outcome``, the first line of its failure, and its tapes;
    ``drift`` are its rows of the table, as `report.drift.Row` has them."""

    test: str
    outcome: str
    failure: str
    tapes: Sequence[ReportedTape]
    drift: Sequence[Mapping[str, Any]]

    @property
    def verdict(self) -> str:
        """What there is to be told beside the outcome."""
        told = [self.failure] if self.failure else []
        return "; ".join([*told, *(f"drift: {row['verdict']}" for row in self.drift)])


def format_json(entries: Sequence[ReportedTest]) -> str:
    """The report for programs."""
    return json.dumps({"format": FORMAT, "tests": [asdict(entry) for entry in entries]}, indent=2) + "\n"


def format_markdown(entries: Sequence[ReportedTest]) -> str:
    """The report for a page of GitHub's, or any that shows Markdown."""
    lines = [f"# {_title(entries)}", "", _row(*_HEAD), _row(*("---" for _ in _HEAD))]
    lines += [_row(*(_in_cell(cell) for cell in cells)) for entry in entries for cells in _cells(entry)]
    for entry in entries:
        if details := list(_details(entry)):
            fence = "`" * max(3, 1 + max(len(run) for line in details for run in _BACKTICKS.findall(line)))
            summary = f"<details><summary>{html.escape(entry.test)}</summary>"
            lines += ["", summary, "", f"{fence}text", *details, fence, "", "</details>"]
    return "\n".join(lines) + "\n"


def format_html(entries: Sequence[ReportedTest]) -> str:
    """The report as a page of HTML that needs nothing else."""
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
"""What makes a report, by the ending of its file."""

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
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    return f"Tool calls of {count_noun(tests, 'test')}" + (f": {told}" if told else "")


def _cells(entry: ReportedTest) -> Iterator[Sequence[str]]:
    told = entry.outcome, entry.test
    for number, tape in enumerate(entry.tapes):
        verdict = "" if number else entry.verdict
        yield (*(("", "") if number else told), tape.requests, str(tape.count), tape.pending or tape.tape, verdict)
    if not entry.tapes:
        yield (*told, "", "", "", entry.verdict)


def _details(entry: ReportedTest) -> Iterator[str]:
    for tape in entry.tapes:
        if tape.calls:
            yield from (tape.tape, *(f"  {line}" for line in tape.calls))
    for row in entry.drift:
        yield from row["details"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _in_cell(text: str) -> str:
    # what Markdown or HTML would take for its own, is shown as it is
    plain = html.escape(text, quote=False).replace("\\", "\\\\")
    for sign in "|`*_[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
