"""Format a report as Markdown in GitHub's dialect. Problems come first, and the size is limited."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from multitrack.reporting import call_text
from multitrack.reporting.run_report import ReportedCassette, ReportedMiss, ReportedTest, RunReport
from multitrack.wording import count_noun

_HEAD = ("outcome", "test", "requests", "calls", "cassette", "finding")
_BACKTICKS = re.compile("`+")
_NO_LIMIT = 1 << 40
# room for the last sentence
_RESERVE = 200
_LONGEST_LINE = 500


def format_markdown(report: RunReport, limit: int = _NO_LIMIT) -> str:
    """Return the report as Markdown: a table, and below it the details of each test.

    The tests with problems come first. If not everything fits, the details and rows at the end are left out.

    Args:
        report: The report.
        limit: The maximum size in bytes. Default: no limit.
    """
    head = [f"# {_title(report)}", "", _format_row(_HEAD), _format_row("---" for _ in _HEAD)]
    room = limit - _RESERVE - _measure(head)
    rows, room = _select([list(map(_format_row, _cells(test))) for test in report.worst_first], room)
    details, room = _select([list(_details(test)) for test in report.worst_first], room)
    lines = head + [line for part in rows for line in part] + [line for part in details for line in part]
    if len(details) < len(report.tests):
        omitted = f"the details of {count_noun(len(report.tests) - len(details), 'test')}"
        if len(rows) < len(report.tests):
            omitted = count_noun(len(report.tests) - len(rows), "more test")
        lines += ["", f"Left out because of the size of the report: {omitted}."]
    return "\n".join(lines) + "\n" if room > -_RESERVE else ""


def _select(parts: Sequence[Sequence[str]], room: int) -> tuple[Sequence[Sequence[str]], int]:
    """Return the first parts that fit into ``room`` bytes, and the number of bytes that remain."""
    for number, part in enumerate(parts):
        if (size := _measure(part)) > room:
            return parts[:number], room
        room -= size
    return parts, room


def _measure(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _title(report: RunReport) -> str:
    totals = report.totals
    counts = [f"{count} {outcome}" for outcome, count in totals.outcomes.items()]
    counts += [f"{totals.drifted} with drift"] if totals.drifted else []
    return f"Tool calls of {count_noun(totals.tests, 'test')}" + (f": {', '.join(counts)}" if counts else "")


def _cells(test: ReportedTest) -> Iterator[Sequence[str]]:
    heading = [test.outcome or "", test.test]
    for number, cassette in enumerate(test.cassettes):
        finding = "" if number else _finding(test)
        cells = [_requests(cassette), str(cassette.calls), cassette.pending or cassette.path, finding]
        yield [*(["", ""] if number else heading), *cells]
    if not test.cassettes:
        yield [*heading, "", "", "", _finding(test)]


def _requests(cassette: ReportedCassette) -> str:
    counts = {origin: cassette.count(origin) for origin in ("replayed", "recorded", "live")}
    return ", ".join(f"{count} {origin}" for origin, count in counts.items() if count) or "none"


def _finding(test: ReportedTest) -> str:
    """Return the failure and the drift in one line."""
    failures = [test.error.line] if test.error is not None else []
    return "; ".join([*failures, *(f"drift: {row.verdict}" for row in test.drift)])


def _details(test: ReportedTest) -> Iterator[str]:
    lines = [line[:_LONGEST_LINE] for line in _detail_lines(test)]
    if not lines:
        return
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in _BACKTICKS.findall(line)), default=0))
    is_open = " open" if test.severity in ("failed", "drifted") else ""
    yield from ("", f"<details{is_open}><summary>{html.escape(test.test)}</summary>", "")
    yield from (f"{fence}text", *lines, fence, "", "</details>")


def _detail_lines(test: ReportedTest) -> Iterator[str]:
    if test.error is not None:
        yield from _split((test.diagnosis.text if test.diagnosis is not None else test.error.line), "")
    if test.comparison is not None:
        for pair in test.comparison.differing:
            yield from (f"  {line}" for line in call_text.describe_pair(pair))
    for miss in test.misses:
        yield from _miss_lines(miss)
    for row in test.drift:
        yield from _split(f"drift of {row.cassette}: {row.verdict}", "")
        for request in row.requests:
            if request.lines:
                yield f"  request {request.position}: {request.verdict}"
                yield from (f"    {line}" for line in request.lines)
    yield from (f"to {step.action.replace('-', ' ')}: {step.command}" for step in test.next_steps)
    for cassette in test.cassettes:
        if cassette.exchanges:
            yield f"{cassette.path}{_describe_age(cassette)}"
        for position, exchange in enumerate(cassette.exchanges, start=1):
            answer = exchange.answer
            what = answer.error or count_noun(len(answer.calls), "call") if answer.wire else f"status {answer.status}"
            what += " · rebound" if exchange.rebound else ""
            yield f"  {position} · {exchange.request.model or exchange.request.url} · {what}"
            yield from (f"    {call_text.format_call(call)}" for call in answer.calls)


def _miss_lines(miss: ReportedMiss) -> Iterator[str]:
    request = miss.request
    yield f"no recording: {request.method} {request.url}"
    yield f"  cassette: {miss.cassette}"
    if miss.sent_from:
        yield f"  sent from: {miss.sent_from}"
    for difference in miss.differences:
        yield f"  {difference.path}"
        for label, value, absent in (
            ("recorded", difference.recorded, "added"),
            ("sent", difference.sent, "removed"),
        ):
            text = "(absent)" if difference.change == absent else call_text.format_json_value(value)
            yield f"    {label}: {text}"


def _describe_age(cassette: ReportedCassette) -> str:
    facts = [f"recorded {cassette.recorded_at:%Y-%m-%d}"] if cassette.recorded_at else []
    facts += [cassette.provenance] if cassette.provenance and cassette.provenance != "live" else []
    return f" ({', '.join(facts)})" if facts else ""


def _split(text: str, indent: str) -> Iterator[str]:
    return (f"{indent}{line}" for line in text.splitlines())


def _format_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escape_cell, cells))} |"


def _escape_cell(text: str) -> str:
    # characters that Markdown or HTML would interpret are shown literally
    plain = html.escape(" ".join(text.split()), quote=False).replace("\\", "\\\\")
    for sign in "|`*_[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
