"""Save the earlier content of the cassettes that a run with ``--calls-rebind`` changes, for ``multitrack undo``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import pytest

from pytest_multitrack import flags


def find_rebinding(config: pytest.Config) -> Callable[[Path], AbstractContextManager[None]] | None:
    """Return a function that keeps the old content of a cassette that the run changes.

    ``multitrack undo`` restores this content. Returns ``None`` without ``--calls-rebind``.

    Raises:
        pytest.UsageError: Another flag contradicts ``--calls-rebind``.
    """
    if not flags.rebinds(config):
        return None
    # the same for all pytest-xdist workers
    run = getattr(config, "workerinput", {}).get("testrunuid") or uuid4().hex
    folder = config.invocation_params.dir

    def keep(path: Path) -> AbstractContextManager[None]:
        from multitrack.tape.undo_log import UndoLog

        return UndoLog.of_project(folder).recording_run(run, "pytest --calls-rebind", path)

    return keep
