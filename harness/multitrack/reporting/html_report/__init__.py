"""Render the report on a run as one HTML page. The page loads no other files, so it works without a network.

``page.html``, ``page.css`` and ``page.js`` are the fixed parts of the page. ``page_elements`` formats the tests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from string import Template

from multitrack.reporting import call_text
from multitrack.reporting.html_report.page_elements import escape, format_overview_row, format_test
from multitrack.reporting.run_report import ReportedTest, RunReport
from multitrack.wording import count_noun

_FOLDER = Path(__file__).parent
_MAX_OPEN = 25
"""The most tests that are unfolded at first, so that a page with many failures still opens quickly."""
_MAX_ROWS = 8
"""The most rows of the overview, so that the first details are still on the first screen."""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def format_html(report: RunReport) -> str:
    """Return the report as an HTML page."""
    style, script = (_FOLDER.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    # hashes, so that no other style or script runs, even if a string from a test were not escaped
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
        f"form-action 'none'"
    )
    tests = report.worst_first
    anchors = _make_ids(tests)
    page = Template(_FOLDER.joinpath("page.html").read_text("utf-8"))
    return page.substitute(
        policy=policy,
        title=escape(_title(report)),
        style=style,
        script=script,
        created=escape(f"{report.created_at:%Y-%m-%d %H:%M} UTC"),
        version=escape(report.multitrack),
        totals=_format_totals(report),
        outcomes=_format_options(test.outcome or "fixture" for test in tests),
        groups=_format_options(test.group for test in tests),
        tools=_format_options(sorted({tool for test in tests for tool in test.tools})),
        models=_format_options(sorted({model for test in tests for model in test.models})),
        overview=_format_overview(tests, anchors),
        tests=_format_groups(tests, anchors),
    )


def format_page(title: str, body: str) -> str:
    """Return a page without a script, in the style of the report. ``title`` and ``body`` are HTML."""
    style = _FOLDER.joinpath("page.css").read_text("utf-8")
    return _PAGE.format(title=title, policy=f"default-src 'none'; style-src '{_hash(style)}'", style=style, body=body)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _title(report: RunReport) -> str:
    totals = report.totals
    failed = totals.outcomes.get("failed", 0) + totals.outcomes.get("error", 0)
    parts = [f"{failed} of {count_noun(totals.tests, 'test')} failed"] if failed else []
    if totals.drifted:
        parts.append(f"{totals.drifted} drifted" if parts else f"{totals.drifted} of {totals.tests} drifted")
    return ", ".join(parts) or f"{count_noun(totals.tests, 'test')}, no failures"


def _format_totals(report: RunReport) -> str:
    totals = report.totals
    items = [(outcome, str(count), outcome) for outcome, count in totals.outcomes.items()]
    items.sort(key=lambda item: ("failed", "error", "xpassed", "passed", "skipped", "xfailed").index(item[0]))
    items += [("drifted", str(totals.drifted), "with drift")] if totals.drifted else []
    items += [("", f"{totals.calls:,}", "tool call" if totals.calls == 1 else "tool calls")]
    items += [("", f"{totals.recorded:,}", "recorded")] if totals.recorded else []
    items += [("", f"{totals.live:,}", "sent live")] if totals.live else []
    cells = [
        f'<li class="{kind}"><b>{escape(count)}</b> {escape(word)}</li>' if kind else f"<li><b>{count}</b> {word}</li>"
        for kind, count, word in items
    ]
    saved = call_text.describe_saved(totals)
    return "".join([*cells, f'<li class="saved">replay saved {escape(saved)}</li>' if saved else ""])


def _format_options(values: Iterable[str]) -> str:
    names = dict.fromkeys(values)
    return "".join(f"<option>{escape(name)}</option>" for name in names)


def _format_overview(tests: Sequence[ReportedTest], anchors: Sequence[str]) -> str:
    """Return a table with a row for each cause.

    Returns an empty string if there is only one cause, because the page then starts with the details of this cause.
    """
    causes: list[list[int]] = []
    for number, test in enumerate(tests):
        if test.severity not in ("failed", "drifted"):
            continue
        if causes and test.cause is not None and test.cause == tests[causes[-1][0]].cause:
            causes[-1].append(number)
        else:
            causes.append([number])
    if len(causes) < 2:
        return ""
    rows = [format_overview_row(tests[one[0]], anchors[one[0]], len(one) - 1) for one in causes[:_MAX_ROWS]]
    head = "".join(f"<th>{title}</th>" for title in ("Test", "What differs", "Prompt", "Cassette", "Next step"))
    more = f'<p class="more">{len(causes) - _MAX_ROWS} more below</p>' if len(causes) > _MAX_ROWS else ""
    table = f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<section id="overview"><h2>Overview</h2>{table}{more}</section>'


def _format_groups(tests: Sequence[ReportedTest], anchors: Sequence[str]) -> str:
    parts: list[str] = []
    remaining = iter(anchors)
    opened = 0
    for group, members in groupby(tests, key=lambda test: (test.severity, test.group)):
        found = list(members)
        parts.append(
            f'<section class="group {group[0]}"><h2>{escape(group[1])} '
            f'<span class="count">{count_noun(len(found), "test")}</span></h2>'
        )
        cause = None
        for test in found:
            is_new_cause = test.cause is None or test.cause != cause
            is_open = group[0] in ("failed", "drifted") and is_new_cause and opened < _MAX_OPEN
            opened += is_open
            cause = test.cause
            parts.append(format_test(test, next(remaining), is_open=is_open))
        parts.append("</section>")
    return "".join(parts)


def _make_ids(tests: Sequence[ReportedTest]) -> list[str]:
    """Return the anchors of the tests: their node ids, without whitespace."""
    ids: dict[str, None] = {}
    for test in tests:
        name = "_".join(test.test.split())
        while name in ids:
            name += "'"
        ids[name] = None
    return list(ids)
