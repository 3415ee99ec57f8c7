"""The colours of violations in the terminal."""

from __future__ import annotations

import pytest


class ViolationPainter:
    """A plugin that colours the text of violations if the terminal supports colours. pytest-xdist workers do not need
    it.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        first_line = getattr(report, "multitrack_violation", None)
        if first_line is not None:
            from multitrack.reporting import terminal
            from pytest_multitrack import pytest_internals

            pytest_internals.paint_failure(report, first_line, terminal.paint_violation)
