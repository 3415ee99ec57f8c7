"""Before a run that records without selecting tests, print how many tests send requests to the network.

With pytest-xdist, only the workers know which tests use a cassette. Each worker writes the number of these tests to a
file. It cannot send the number to the controller, because before the first test, a worker can send nothing but the
names of the collected tests.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from multitrack.reporting import terminal
from pytest_multitrack import flags, selection
from pytest_multitrack.run_state import RunState

_COUNT_FILE = "multitrack_live_tests"


class LiveNotice:
    """A notice of how many tests send requests to the network. It is only shown with ``--record``."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._flag = flags.record_flag(config)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_printed = False

    def pytest_report_collectionfinish(self) -> list[str]:
        count = self._count_tests()
        return [terminal.live_run_line(self._flag, count)] if count else []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Before a worker starts, pass it the path of the file that it writes."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="multitrack-")
            node.config.add_cleanup(self._folder.cleanup)
        node.workerinput[_COUNT_FILE] = str(Path(self._folder.name) / node.gateway.id)

    # before pytest-xdist sends the names of the collected tests to the controller
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        file = getattr(session.config, "workerinput", {}).get(_COUNT_FILE)
        # the folder does not exist if the worker runs on another machine
        if file and (path := Path(file)).parent.exists():
            path.write_text(str(self._count_tests()), encoding="utf-8")

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        if self._is_printed:
            return
        self._is_printed = True
        path = Path(node.workerinput[_COUNT_FILE])
        if not path.exists():
            line = terminal.remote_live_run_line(self._flag, len(ids))
        elif (count := int(path.read_text(encoding="utf-8"))) == 0:
            return
        else:
            line = terminal.live_run_line(self._flag, count)
        node.config.get_terminal_writer().line(line)

    def _count_tests(self) -> int:
        """Return how many tests will send requests to the network.

        If the user selected tests, return 0, so that no notice is shown.
        """
        summary = RunState.of(self._config).summary
        if selection.find_limit(self._config, has_deselected=summary.has_deselected):
            return 0
        return len(summary.cassettes)
