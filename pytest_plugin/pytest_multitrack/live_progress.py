"""The progress of runs that take long: recording, comparing with live responses, and auditing.

In a terminal, a bar is shown below the line on which pytest writes its results. Before pytest writes again, the bar
is erased and the cursor returns to that line. The remaining output is the same as without the bar. Without a
terminal, or without rich, a line is printed every ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from multitrack.progress import LINE_INTERVAL, draw_bar, progress_line
from pytest_multitrack import pytest_internals

_ERASE_LINE = "\r\x1b[2K"
_UP = "\x1b[1A"


def register(config: pytest.Config, action: str) -> None:
    """Show the progress of a run, unless the user asked for less output. ``action`` says what the run does."""
    hides_progress = config.getini("console_output_style") in ("classic", "none")
    if config.get_verbosity() >= 0 and not hides_progress and not hasattr(config, "workerinput"):
        config.pluginmanager.register(LiveProgress(config, action), "multitrack-progress")


class LiveProgress:
    """A plugin that shows how many tests are done.

    Args:
        config: The run's configuration.
        action: What the run does, such as ``recording``.
        clock: Returns the time in seconds.
    """

    def __init__(self, config: pytest.Config, action: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._action = action
        self._clock = clock
        self._line_time = clock()
        self._done = 0
        self._session: pytest.Session | None = None
        self._is_bar_visible = False
        self._wants_bar = False

    # the innermost wrapper, because pytest's own writes the last percentage
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        self._session = session
        self._wants_bar = _can_place_bar(self._config)
        try:
            return (yield)
        finally:
            self._erase()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        with self._make_room():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self) -> Generator[None, object, object]:
        with self._make_room():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logfinish(self) -> Generator[None, object, object]:
        self._done += 1
        with self._make_room():
            return (yield)

    def pytest_enter_pdb(self) -> None:
        self._erase()
        self._wants_bar = False

    # pytest-xdist then reports the worker that crashed
    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self) -> None:
        self._erase()

    @contextmanager
    def _make_room(self) -> Generator[None]:
        """Erase the progress bar while pytest writes, and draw it again afterwards."""
        self._erase()
        yield
        total = self._session.testscollected if self._session is not None else 0
        done = min(self._done, total)
        if self._wants_bar:
            self._draw(done, total)
        elif done < total and self._clock() - self._line_time >= LINE_INTERVAL:
            self._line_time = self._clock()
            pytest_internals.print_line(self._config, progress_line(self._action, done, total))

    def _draw(self, done: int, total: int) -> None:
        writer = self._config.get_terminal_writer()
        # the last column stays free, because some terminals wrap a line that fills it
        bar = draw_bar(self._action, done, total, width=writer.fullwidth - 1)
        if bar is None:
            self._wants_bar = False
            return
        pytest_internals.write_raw(writer, f"\n{bar}")
        self._is_bar_visible = True

    def _erase(self) -> None:
        if self._is_bar_visible:
            writer = self._config.get_terminal_writer()
            # a long line of pytest -v may be wrapped
            column = writer.width_of_current_line % writer.fullwidth
            pytest_internals.write_raw(writer, f"{_ERASE_LINE}{_UP}\x1b[{column + 1}G")
            self._is_bar_visible = False


def _can_place_bar(config: pytest.Config) -> bool:
    """Return whether the run's output goes to a terminal to which only pytest writes."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    option = config.option
    others_write = (
        option.capture in ("no", "tee-sys")
        or option.usepdb
        or option.trace
        or option.setupshow
        or bool(config.getini("log_cli") or option.log_cli_level)
    )
    return reporter is not None and reporter.isatty and reporter.hasmarkup and not others_write
