"""The requests of the previous audit, to find out which values differ between two runs of the same code.

The requests are redacted and stored in pytest's cache. Only requests that differ from their recordings are stored,
because all other requests are the same in each run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from multitrack.audit.observed import DifferingRequest

_KEY = "multitrack/audit"


class PreviousRun:
    """The requests that the previous audit stored.

    Args:
        config: The run's config.
        sources: The modification time and the size of each project module in this run, keyed by the module's file.
    """

    def __init__(self, config: pytest.Config, sources: Mapping[str, str]) -> None:
        self._cache: pytest.Cache | None = getattr(config, "cache", None)
        self._sources = sources
        stored = self._cache.get(_KEY, None) if self._cache is not None else None
        self._stored: Mapping[str, Any] = stored if isinstance(stored, dict) and "sources" in stored else {}

    @property
    def is_comparable(self) -> bool:
        """True if no project file that both runs imported has changed since the previous run."""
        before = self._stored.get("sources", {})
        common = before.keys() & self._sources.keys()
        return bool(common) and all(before[file] == self._sources[file] for file in common)

    @property
    def description(self) -> str:
        """Text that says whether this run was compared with the previous one. Empty if there was no previous run."""
        if not self._stored:
            return ""
        if self.is_comparable:
            return "compared with the previous run: values that differ between the runs are random"
        return "not compared with the previous run, because the code changed; run again to find random values"

    @property
    def documents(self) -> Mapping[tuple[str, int], Any]:
        """The request bodies of the previous run, keyed by the test and the position of the request in the test."""
        if not self.is_comparable:
            return {}
        return {(test, number): body for test, number, body in self._stored.get("requests", ())}

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of requests that each test sent in the previous run."""
        counts: Mapping[str, int] = self._stored.get("counts", {}) if self.is_comparable else {}
        return counts

    def store(self, requests: Sequence[DifferingRequest], counts: Mapping[str, int]) -> None:
        """Store this run's requests for the next run, and keep the stored requests of tests that did not run.

        Args:
            requests: The requests that differ from their recordings.
            counts: The number of requests that each test sent.
        """
        if self._cache is None:
            return
        sources = self._stored["sources"] if self.is_comparable else {}
        entries = [[test, number, body] for (test, number), body in self.documents.items() if test not in counts]
        entries += [[one.test, one.number, one.sent] for one in requests]
        document = {
            "sources": {**sources, **self._sources},
            "requests": entries,
            "counts": {**self.counts, **counts},
        }
        self._cache.set(_KEY, document)


def list_sources(root: Path) -> dict[str, str]:
    """Return the modification time and the size of each imported project file, by its path."""
    sources: dict[str, str] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or "site-packages" in file or not file.startswith(str(root)):
            continue
        try:
            status = os.stat(file)
        except OSError:
            continue
        sources[os.path.relpath(file, root)] = f"{status.st_mtime_ns} {status.st_size}"
    return sources
