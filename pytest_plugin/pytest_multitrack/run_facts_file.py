"""Store facts about a run in pytest's cache, for later commands such as ``multitrack prune``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multitrack.run_facts import CACHE_KEY, RunFacts, UsedCassette
from pytest_multitrack import unused_recordings
from pytest_multitrack.run_summary import RunSummary


def save_facts(terminalreporter: Any, summary: RunSummary, exitstatus: int) -> None:
    """Write the facts, unless the run used no cassette or pytest's cache is disabled."""
    config: pytest.Config = terminalreporter.config
    cache = getattr(config, "cache", None)
    if cache is None or not summary.played_positions:
        return
    waiting = unused_recordings.find_waiting(terminalreporter, summary)
    facts = RunFacts(
        limit=unused_recordings.find_limit(config, summary, exitstatus),
        cassettes=dict(_describe_used(config.rootpath, summary, waiting)),
        collected=sorted({_relative(config.rootpath, path) for path in summary.cassettes.values()}),
    )
    cache.set(CACHE_KEY, facts.to_plain())


def _describe_used(root: Path, summary: RunSummary, waiting: set[str]) -> Iterator[tuple[str, UsedCassette]]:
    for path, played in sorted(summary.played_positions.items()):
        if os.path.exists(path):
            stat = os.stat(path)
            used = UsedCassette(stat.st_size, stat.st_mtime_ns, sorted(played), path in waiting)
            yield _relative(root, path), used


def _relative(root: Path, path: str) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
