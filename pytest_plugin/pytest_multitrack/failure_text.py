"""Puts a line before the text of a failure; the one place that knows how pytest keeps such a text."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest._code.code import ReprEntryNative


def begin_with(report: pytest.TestReport, line: str) -> None:
    """Let the text of the failed ``report`` begin with ``line``, and so the line of the summary.

    In pytest's own kind of text and not in one of ours: of all others, pytest-xdist carries over the letters alone.
    """
    text: Any = report.longrepr
    chain = getattr(text, "chain", None)
    traceback = chain[0][0] if chain else getattr(text, "reprtraceback", None)
    if traceback is None:
        vars(report)["longrepr"] = f"{line}\n{text}"
        return
    traceback.reprentries.insert(0, ReprEntryNative([f"{line}\n"]))
    crash = getattr(text, "reprcrash", None)
    if crash is not None:
        crash.message = f"{line}\n{crash.message}"
