"""Which tests were collected and which passed: what a snapshot may be written for, or be called unused by.

syrupy writes what a test asserted even if the test fails afterwards, and takes the snapshots of a test that failed
before its assertion, was deselected or never ran for unused. `Outcomes` is a pytest plugin of its own that knows
better; `install` registers it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

import pytest

from multitrack.snapshots import SUFFIX


class Waiting(Protocol):
    """Snapshots that a running test asked to write."""

    def write(self) -> None: ...

    def drop(self) -> None: ...


class Outcomes:
    """The run so far.

    ``finished`` turns true when the last test is through; from then on `proven` answers for the whole run.
    """

    def __init__(self) -> None:
        self.finished = False
        self.collected: defaultdict[Path, list[pytest.Function]] = defaultdict(list)
        self._failed: set[str] = set()
        self._passed: set[str] = set()
        self._waiting: defaultdict[str, list[Waiting]] = defaultdict(list)

    def proven(self, nodeid: str) -> bool:
        """Whether the test ran, and passed in its setup, its call and its teardown."""
        return nodeid in self._passed

    def hold(self, nodeid: str, waiting: Waiting) -> None:
        """Write what waits when the test has passed, drop it if it does not."""
        self._waiting[nodeid].append(waiting)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        if isinstance(item, pytest.Function):
            self.collected[item.path].append(item)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup":  # a rerun starts here, too
            self._failed.discard(report.nodeid)
        if not report.passed:
            self._failed.add(report.nodeid)
            self._drop(report.nodeid)
        elif report.when == "teardown" and report.nodeid not in self._failed:
            self._passed.add(report.nodeid)
            for waiting in self._waiting.pop(report.nodeid, ()):
                waiting.write()

    # a wrapper runs before syrupy's own hook, which flushes and deletes
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        self.finished = True
        for nodeid in list(self._waiting):  # the run was cut off inside of these tests
            self._drop(nodeid)
        return (yield)

    def _drop(self, nodeid: str) -> None:
        for waiting in self._waiting.pop(nodeid, ()):
            waiting.drop()


_OUTCOMES = pytest.StashKey[Outcomes]()


def install(config: pytest.Config) -> None:
    """Watch the run, and keep other syrupy extensions off our files. To be called in ``pytest_configure``.

    Any syrupy extension that meets a file in ``__snapshots__`` which it does not know may delete it under
    ``--snapshot-update``; ``--snapshot-ignore-file-extensions`` is syrupy's own word against that.
    """
    ignored = getattr(config.option, "ignore_file_extensions", None) or []
    config.option.ignore_file_extensions = sorted({*ignored, SUFFIX})
    config.stash[_OUTCOMES] = Outcomes()
    config.pluginmanager.register(config.stash[_OUTCOMES], "multitrack-snapshots")


def outcomes_of(config: pytest.Config) -> Outcomes:
    """The outcomes of this run. A `KeyError` means that `install` was not called."""
    return config.stash[_OUTCOMES]
