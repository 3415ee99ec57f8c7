"""The text of a failure; the one place that knows how pytest keeps it."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback


def tell(report: pytest.TestReport, text: str) -> None:
    """Let ``text`` be all that the failed ``report`` says, without a traceback.

    In pytest's own kind of text: of all others, pytest-xdist carries over the letters alone, of which ``--tb=line``
    shows 50, and the summary of pytest before 9 nothing.
    """
    path, line, _ = report.location
    vars(report)["longrepr"] = ReprExceptionInfo(
        ReprTraceback([ReprEntryNative([f"{text}\n"])], extraline=None, style="native"),
        ReprFileLocation(path, (line or 0) + 1, text),
    )


def begin_with(report: pytest.TestReport, line: str) -> None:
    """Let the text of the failed ``report`` begin with ``line``, and so the line of the summary."""
    text: Any = report.longrepr
    chain = getattr(text, "chain", None)
    traceback = chain[0][0] if chain else getattr(text, "reprtraceback", None)
    crash = getattr(text, "reprcrash", None)
    if traceback is None or crash is None:
        tell(report, f"{line}\n{text}")
        return
    traceback.reprentries.insert(0, ReprEntryNative([f"{line}\n"]))
    crash.message = f"{line}\n{crash.message}"
