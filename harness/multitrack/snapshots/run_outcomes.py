"""Track which tests were collected and which passed, to find out which snapshots to write and which are unused.

On its own, syrupy would make two mistakes:

- It writes the value that a test asserted even if the test fails afterwards.
- It deletes the snapshots of a test that did not reach its assertion, because it reports them as unused.

``RunOutcomes`` is a separate pytest plugin that prevents both mistakes. The function ``register`` installs it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

import pytest

from multitrack.snapshots import SUFFIX


class PendingSnapshots(Protocol):
    """Snapshots to write if the running test passes."""

    def write(self) -> None: ...

    def discard(self) -> None: ...


class RunOutcomes:
    """The outcomes of the run so far.

    Attributes:
        is_finished: Whether the last test has ended. Only then is ``has_passed`` final for all tests.
        collected: A dictionary from file to the test functions that were collected from it.
    """

    def __init__(self) -> None:
        self.is_finished = False
        self.collected: defaultdict[Path, list[pytest.Function]] = defaultdict(list)
        self._failed: set[str] = set()
        self._passed: set[str] = set()
        self._pending: defaultdict[str, list[PendingSnapshots]] = defaultdict(list)

    def has_passed(self, nodeid: str) -> bool:
        """Return whether the test ran, and its setup, call and teardown all passed."""
        return nodeid in self._passed

    def add_pending(self, nodeid: str, pending: PendingSnapshots) -> None:
        """Keep the snapshots until the test has ended. Write them if the test passes, and discard them otherwise."""
        self._pending[nodeid].append(pending)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        if isinstance(item, pytest.Function):
            self.collected[item.path].append(item)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup":  # also the start of a rerun
            self._failed.discard(report.nodeid)
        if not report.passed:
            self._failed.add(report.nodeid)
            self._discard_pending(report.nodeid)
        elif report.when == "teardown" and report.nodeid not in self._failed:
            self._passed.add(report.nodeid)
            for pending in self._pending.pop(report.nodeid, ()):
                pending.write()

    # a wrapper runs before syrupy's own hook, which writes and deletes
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        self.is_finished = True
        for nodeid in list(self._pending):  # the run was interrupted during these tests
            self._discard_pending(nodeid)
        return (yield)

    def _discard_pending(self, nodeid: str) -> None:
        for pending in self._pending.pop(nodeid, ()):
            pending.discard()


_RUN_OUTCOMES = pytest.StashKey[RunOutcomes]()


def register(config: pytest.Config) -> None:
    """Register ``RunOutcomes``, and keep other syrupy extensions away from Multitrack's files.

    Call this function in ``pytest_configure``.

    With ``--snapshot-update``, other syrupy extensions delete files in ``__snapshots__`` that they do not know. To
    protect Multitrack's files, their suffix is added to ``--snapshot-ignore-file-extensions``.
    """
    ignored = getattr(config.option, "ignore_file_extensions", None) or []
    config.option.ignore_file_extensions = sorted({*ignored, SUFFIX})
    config.stash[_RUN_OUTCOMES] = RunOutcomes()
    config.pluginmanager.register(config.stash[_RUN_OUTCOMES], "multitrack-snapshots")


def get_run_outcomes(config: pytest.Config) -> RunOutcomes:
    """Return the outcomes of this run. Raises ``KeyError`` if ``register`` was not called."""
    return config.stash[_RUN_OUTCOMES]
