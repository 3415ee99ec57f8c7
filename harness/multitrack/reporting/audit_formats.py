"""The files that ``--calls-audit`` writes: Markdown, JSON and HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multitrack.audit.audit_report import AuditReport, find_section
from multitrack.audit.changed_texts import mask_words
from multitrack.audit.findings import Finding
from multitrack.reporting.audit_text import (
    MAX_VALUES,
    Redact,
    describe_title,
    list_sections,
    list_summary,
    make_cleaner,
    mark_words,
    shorten,
)
from multitrack.reporting.html_report import format_page
from multitrack.wording import count_noun

FORMAT = 1


def format_json(report: AuditReport, redact: Redact) -> str:
    """Return the report as JSON."""
    document = {
        "format": FORMAT,
        "requests": report.requests,
        "tests": report.tests,
        "different": report.different,
        "recorded": report.recorded,
        "findings": [
            _describe_for_json(finding, report, command)
            for finding, command in zip(report.findings, report.commands, strict=True)
        ],
        "superseded": {path: list(tests) for path, tests in report.superseded.items()},
        "swapped": list(report.swapped),
        "addresses": dict(report.addresses),
        "unused": [
            {
                "cassette": one.cassette,
                "repetition": list(one.repetition),
                "host": list(one.host),
                "rest": list(one.rest),
                "hosts": list(one.hosts),
            }
            for one in report.unused
        ],
        "silent": [{"test": test, "cassette": cassette} for test, cassette in report.silent],
        "secrets": {path: list(found) for path, found in report.secrets.items()},
        "recording": dict(report.recording),
        "previous": report.previous,
        "errors": list(report.errors),
    }
    return json.dumps(_redact_values(document, redact), indent=2) + "\n"


def _describe_for_json(finding: Finding, report: AuditReport, command: str) -> dict[str, Any]:
    return {
        "kind": finding.kind.name.lower(),
        "section": find_section(finding),
        "title": describe_title(finding),
        "requests": len(finding.requests),
        "following": finding.following,
        "tests": finding.tests,
        "clients": {name: list(versions) for name, versions in finding.clients.items()},
        "places": [
            {
                "kind": place.change.kind.name.lower(),
                "where": place.change.where,
                "title": mask_words(place.change.title),
                "requests": len(place.requests),
                "noise": list(place.change.noise),
                "values": [
                    {"recorded": shorten(before), "sent": shorten(after), "requests": count}
                    for (before, after), count in place.values.most_common(MAX_VALUES)
                ],
            }
            for place in finding.places
        ],
        "ignore": finding.ignore,
        "placeholders": finding.placeholders,
        "cost": report.count_cost(finding),
        "command": command,
    }


def _redact_values(value: Any, redact: Redact) -> Any:
    if isinstance(value, dict):
        return {redact(key): _redact_values(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_values(item, redact) for item in value]
    return redact(value) if isinstance(value, str) else value


def format_markdown(report: AuditReport, redact: Redact) -> str:
    """Return the report as Markdown, in GitHub's dialect."""
    clean = make_cleaner(redact)

    def escape(text: str) -> str:
        plain = html.escape(clean(text), quote=False).replace("\\", "\\\\")
        return _MARKDOWN.sub(r"\\\g<0>", plain)

    lines = ["# Calls audit", "", *(escape(line) for line in list_summary(report))]
    for section in list_sections(report):
        lines += ["", f"## {escape(section.title)}", ""]
        for entry in section.entries:
            lines += [f"{entry.number}. **{escape(entry.title)}**", ""]
            details = [*([mark_words(entry.excerpt, "[-", "-]", "{+", "+}")] if entry.excerpt else []), *entry.lines]
            details += [text for text in (entry.fix, entry.command) if text]
            details += [
                f"tests: {test}" if position == 0 else f"       {test}" for position, test in enumerate(entry.tests)
            ]
            lines += _fence([clean(line) for line in details])
            lines.append("")
        if section.lines:
            lines += _fence([clean(line) for line in section.lines], indent="")
    return "\n".join(lines).rstrip() + "\n"


_MARKDOWN = re.compile(r"[|`*_\[\]#]")
_BACKTICKS = re.compile("`*")


def _fence(lines: Sequence[str], indent: str = "   ") -> list[str]:
    fence = "`" * max(3, 1 + max(len(run) for line in lines for run in _BACKTICKS.findall(line)))
    return [f"{indent}{line}" for line in (f"{fence}text", *lines, fence)]


def format_html(report: AuditReport, redact: Redact) -> str:
    """Return the report as an HTML page that needs no other files."""
    clean = make_cleaner(redact)

    def escape(text: str) -> str:
        return html.escape(clean(text))

    title = f"Calls audit: {count_noun(len(report.findings), 'finding')}"
    summary = "".join(f'<p class="run">{escape(line)}</p>' for line in list_summary(report))
    body = [f'<header><h1>{escape(title)}</h1>{summary}</header><main class="audit">']
    for section in list_sections(report):
        body.append(f"<h2>{escape(section.title)}</h2>")
        for entry in section.entries:
            body.append(f'<article class="drifted"><div class="body"><h3>{entry.number}. {escape(entry.title)}</h3>')
            if entry.excerpt:
                tags = {"same": "span", "removed": "del", "added": "ins"}
                words = "".join(
                    f"<{tags[part.kind]}>{escape(mask_words(part.text))}</{tags[part.kind]}>" for part in entry.excerpt
                )
                body.append(f'<p class="excerpt">{words}</p>')
            body.append(f"<pre>{chr(10).join(map(escape, entry.lines))}</pre>" if entry.lines else "")
            if entry.fix or entry.command:
                command = f"<code>{escape(entry.command)}</code>" if entry.command else ""
                body.append(f'<ul class="next"><li><span>{escape(entry.fix)}</span>{command}</li></ul>')
            tests = "".join(f"<li>{escape(test)}</li>" for test in entry.tests)
            body.append(f"<details><summary>{count_noun(len(entry.tests), 'test')}</summary><ul>{tests}</ul></details>")
            body.append("</div></article>")
        if section.lines:
            body.append(f"<pre>{chr(10).join(escape(line) for line in section.lines)}</pre>")
    return format_page(escape(title), "\n".join([*body, "</main>"]))


FORMATS: Mapping[str, Callable[[AuditReport, Redact], str]] = {
    ".md": format_markdown,
    ".json": format_json,
    ".html": format_html,
}
"""The function that formats a report, by the extension of the file."""
