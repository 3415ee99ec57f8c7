"""What a full run did not use of the tapes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from multitrack.reporting import terminal
from multitrack.tape.file import paths, storage
from pytest_multitrack import flags, places, selection
from pytest_multitrack.run import Run


def tell(terminalreporter: Any, run: Run, exitstatus: int) -> None:
    """Write what the ``run`` did not use, if it was a full one and passed; else, why it is not told."""
    config: pytest.Config = terminalreporter.config
    partial = selection.reason(config, run.deselected) or _live(config)
    if partial is None and exitstatus != pytest.ExitCode.OK:
        partial = "did not pass"
    if partial is not None:
        terminalreporter.write_line(terminal.partial_run_line(partial))
        return
    skipped = {report.nodeid for kind in ("skipped", "xfailed") for report in terminalreporter.stats.get(kind, ())}
    for line in terminal.unused_lines(dict(sorted(_unused(config, run, skipped)))):
        terminalreporter.write_line(line)


def _live(config: pytest.Config) -> str | None:
    mode = flags.mode(config)
    # what goes live plays nothing, and what it records was played by nobody yet
    return f"used --{mode}" if mode in ("record", "record-missing", "live") else None


def _unused(config: pytest.Config, run: Run, skipped: Collection[str]) -> Iterator[tuple[str, list[int]]]:
    """Each tape of which something was not used; with no positions, if all of it was not. What belongs to a test that
    was skipped may be used by it another time."""
    asked = set(run.tapes.values())
    waiting = {tape for test, tape in run.tapes.items() if test in skipped}
    for path in _tapes(config):
        used, name = run.used.get(str(path)), str(paths.relative_to_cwd(path))
        if used is None:
            if str(path) not in asked:
                yield name, []
        elif str(path) not in waiting and (cassette := storage.read(path)) is not None:
            held = set(range(1, len(cassette.interactions) + 1))
            if unplayed := sorted(held - used):
                yield name, unplayed


def _tapes(config: pytest.Config) -> Iterator[Path]:
    root = places.root_of(config)
    folders = _folders(config) if root is None else [root]
    for path in {path.resolve() for folder in folders for path in folder.rglob("*.yaml")}:
        if not path.name.endswith(paths.PENDING_SUFFIX):
            yield path


def _folders(config: pytest.Config) -> Iterator[Path]:
    spared = [*config.getini("norecursedirs"), ".*", "node_modules", "site-packages"]
    for folder, below, _ in os.walk(config.rootpath):
        if "cassettes" in below:
            yield Path(folder, "cassettes")
        below[:] = [name for name in below if name != "cassettes" and not any(fnmatch(name, glob) for glob in spared)]
