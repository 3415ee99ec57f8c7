"""``--cassettes-unused``: list the cassettes and interactions that a full run did not use."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from multitrack.printable import escape_controls
from multitrack.reporting import terminal
from multitrack.tape.file import paths, storage
from pytest_multitrack import cassette_paths, flags, selection
from pytest_multitrack.run_summary import RunSummary


def print_unused(terminalreporter: Any, run: RunSummary, exitstatus: int) -> None:
    """Print the recordings that the ``run`` did not use. If these are unknown, print the reason instead."""
    config: pytest.Config = terminalreporter.config
    if (limit := find_limit(config, run, exitstatus)) is not None:
        terminalreporter.write_line(escape_controls(terminal.partial_run_line(limit)))
        return
    unused = _find_unused(config, run, find_waiting(terminalreporter, run))
    for line in terminal.unused_lines(dict(sorted(unused))):
        terminalreporter.write_line(escape_controls(line))


def find_limit(config: pytest.Config, run: RunSummary, exitstatus: int) -> str | None:
    """Return why this run cannot show which recordings are unused, or None if it can."""
    limit = selection.find_limit(config, has_deselected=run.has_deselected) or _find_live_flag(config)
    return "did not pass" if limit is None and exitstatus != pytest.ExitCode.OK else limit


def find_waiting(terminalreporter: Any, run: RunSummary) -> set[str]:
    """Return the cassettes of tests that were skipped or failed as expected.

    A later run of these tests can still replay recordings that this run did not use.
    """
    kinds = ("skipped", "xfailed")
    skipped = {report.nodeid for kind in kinds for report in terminalreporter.stats.get(kind, ())}
    return {cassette for test, cassette in run.cassettes.items() if test in skipped}


def _find_live_flag(config: pytest.Config) -> str | None:
    mode = flags.mode(config)
    # such a run does not show what is unused: live requests replay nothing, and new recordings were not replayed yet
    if config.option.multitrack_rebind:
        return "used --calls-rebind"
    return f"used --{mode}" if mode in ("record", "record-missing", "live") else None


def _find_unused(config: pytest.Config, run: RunSummary, waiting: Collection[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield each cassette that was not fully used, with the positions of its unused interactions.

    If the whole cassette was unused, the list of positions is empty. Cassettes in ``waiting`` are left out.
    """
    collected = set(run.cassettes.values())
    for path in _find_cassettes(config):
        used, name = run.played_positions.get(str(path)), str(paths.relative_to_cwd(path))
        if used is None:
            if str(path) not in collected:
                yield name, []
        elif str(path) not in waiting and (cassette := storage.read(path)) is not None:
            positions = set(range(1, len(cassette.interactions) + 1))
            if unused := sorted(positions - used):
                yield name, unused


def _find_cassettes(config: pytest.Config) -> Iterator[Path]:
    root = cassette_paths.cassettes_root(config)
    folders = _find_cassette_folders(config) if root is None else [root]
    for path in {path.resolve() for folder in folders for path in folder.rglob("*.yaml")}:
        if not path.name.endswith(paths.PENDING_SUFFIX):
            yield path


def _find_cassette_folders(config: pytest.Config) -> Iterator[Path]:
    excluded = [*config.getini("norecursedirs"), ".*", "node_modules", "site-packages"]
    for folder, subfolders, _ in os.walk(config.rootpath):
        if "cassettes" in subfolders:
            yield Path(folder, "cassettes")
        subfolders[:] = [
            name for name in subfolders if name != "cassettes" and not any(fnmatch(name, glob) for glob in excluded)
        ]
