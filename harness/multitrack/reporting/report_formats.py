"""Format the report of a run as Markdown, JSON or HTML, for ``--calls-report``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from multitrack.reporting import html_report, markdown_report
from multitrack.reporting.run_report import RunReport


def format_json(report: RunReport) -> str:
    """Return the report as JSON. ``report.schema.json`` is its schema."""
    return json.dumps(report.model_dump(mode="json"), indent=2) + "\n"


FORMATS: Mapping[str, Callable[[RunReport], str]] = {
    ".md": markdown_report.format_markdown,
    ".json": format_json,
    ".html": html_report.format_html,
}
"""The function that formats a report, by the extension of the file."""

# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
_STEP_SUMMARY_LIMIT = 1024 * 1024


def format_step_summary(report: RunReport, size: int) -> str:
    """Return the report as Markdown that fits a GitHub step summary.

    Args:
        report: The report.
        size: The size of the summary so far, in bytes.
    """
    return markdown_report.format_markdown(report, max(0, _STEP_SUMMARY_LIMIT - size - 1))
