"""How many tests are about to go live, where only the processes of pytest-xdist know: each notes it in a file of its
own, since nothing that it sends before the first test may hold more than names."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

_FILE = "multitrack_going_live"
_folder = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def ask(node: Any) -> None:
    """Let the process ``node``, which is about to start, note it."""
    config: pytest.Config = node.config
    if _folder not in config.stash:
        config.stash[_folder] = folder = tempfile.TemporaryDirectory(prefix="multitrack-")
        config.add_cleanup(folder.cleanup)
    node.workerinput[_FILE] = str(Path(config.stash[_folder].name) / node.gateway.id)


def note(config: pytest.Config, count: int) -> None:
    """Note that ``count`` tests go live, in a process that was asked to, on the machine where it was."""
    if (file := getattr(config, "workerinput", {}).get(_FILE)) and (path := Path(file)).parent.exists():
        path.write_text(str(count), encoding="utf-8")


def noted(node: Any) -> int | None:
    """What ``node`` noted; None where it runs on another machine."""
    path = Path(node.workerinput[_FILE])
    return int(path.read_text(encoding="utf-8")) if path.exists() else None
