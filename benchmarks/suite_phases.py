"""A pytest plugin that measures the CPU time of each phase of a suite that ``replayed_suites`` generates.

This file is copied next to the tests. The plugin writes the times in seconds, by phase, to the file that the
environment variable ``VARIABLE`` names. The first test belongs to the start, because it imports what the others use.
"""

from __future__ import annotations

import gc
import json
import os
from collections import defaultdict
from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

import pytest

START, SETUP, CLIENT, REQUEST, TEARDOWN, REPORTS, REST, END = (
    *("start", "setup", "creating the client", "request", "teardown", "reports", "rest", "end"),
)
VARIABLE = "SUITE_PHASES"
PHASES = (START, CLIENT, SETUP, REQUEST, TEARDOWN, REPORTS, REST, END)
COLLECTING = "garbage collection"
"""The time of the garbage collector, which is part of the phases."""


class PhaseTimes:
    """The times of one process."""

    def __init__(self) -> None:
        self.times: defaultdict[str, float] = defaultdict(float)
        self._is_started = False
        self._begin_collecting = 0.0
        gc.callbacks.append(self._watch_collector)
        suite_clients = import_module("suite_clients")
        for name in list(vars(suite_clients)):
            if name.startswith(("create_", "mock_", "ask_")):
                phase = REQUEST if name.startswith("ask_") else CLIENT
                setattr(suite_clients, name, self._time_calls(phase, getattr(suite_clients, name)))

    def _watch_collector(self, phase: str, _: object) -> None:
        if phase == "start":
            self._begin_collecting = process_time()
        else:
            self.times[COLLECTING] += process_time() - self._begin_collecting

    def _add(self, phase: str, seconds: float) -> None:
        if self._is_started:
            self.times[phase] += seconds
            self.times[REST] -= seconds

    def _time_calls(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            start = process_time()
            try:
                return function(*arguments)
            finally:
                self._add(phase, process_time() - start)

        return call

    def _time_hook(self, phase: str) -> Generator[None, Any, Any]:
        start = process_time()
        try:
            return (yield)
        finally:
            self._add(phase, process_time() - start)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        start = process_time()
        result = yield
        if self._is_started:
            self.times[REST] += process_time() - start
        else:
            self._is_started = True
            self.times[START] = process_time()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        return (yield from self._time_hook(SETUP))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        return (yield from self._time_hook(TEARDOWN))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        return (yield from self._time_hook(REPORTS))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, Any, Any]:
        return (yield from self._time_hook(REPORTS))

    def pytest_unconfigure(self) -> None:
        tests = sum(self.times[phase] for phase in PHASES if phase not in (START, END))
        self.times[END] = process_time() - self.times[START] - tests
        Path(os.environ[VARIABLE]).write_text(json.dumps(self.times), encoding="utf-8")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    # registered last, so that its wrappers surround those of all other plugins
    config.pluginmanager.register(PhaseTimes())
