"""The text of a failure; the one place that knows how pytest keeps it."""

from __future__ import annotations

from collections.abc import Callable
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


def scrub(report: pytest.TestReport, scrubbed: Callable[[str], str]) -> None:
    """Pass through ``scrubbed`` what the text of the failed ``report`` says of values: the message, the arguments, the
    local variables. Lines of code stay."""
    text: Any = report.longrepr
    crash = getattr(text, "reprcrash", None)
    if crash is not None:
        crash.message = scrubbed(crash.message)
    chain = getattr(text, "chain", None) or [(getattr(text, "reprtraceback", None), None, None)]
    for traceback, *_ in chain:
        for entry in getattr(traceback, "reprentries", ()):
            told = getattr(entry, "style", "") == "native"
            entry.lines = [scrubbed(line) if told or line.startswith("E ") else line for line in entry.lines]
            if (arguments := getattr(entry, "reprfuncargs", None)) is not None:
                arguments.args = [(name, scrubbed(value)) for name, value in arguments.args]
            if (local := getattr(entry, "reprlocals", None)) is not None:
                local.lines = [scrubbed(line) for line in local.lines]
