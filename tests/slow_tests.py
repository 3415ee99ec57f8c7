"""Mark the tests that start a nested pytest, a process or a server as ``slow``; a plugin of the test suite."""

import platform
import sys

import pytest


@pytest.fixture(scope="session")
def starts_server():
    """Requested by fixtures that start a server or a process; the tests that use them are marked ``slow``."""


def pytest_itemcollected(item):
    if not {"starts_server", "pytester"}.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker("slow")


class SlowTests:
    """Fails tests that lack the ``slow`` marker, and counts those that are left out."""

    # Audit events that only `slow` tests may raise. The servers of gRPC raise none: the fixtures that start them
    # request `starts_server`.
    EVENTS = frozenset({"socket.bind", "subprocess.Popen", "os.fork", "os.posix_spawn"})
    # Libraries raise these events, too, but only once in a process: urllib3 binds a socket when it is imported, and
    # `platform` starts `uname`.
    EXEMPT_CALLERS = frozenset({"<frozen importlib._bootstrap>", platform.__file__})

    def __init__(self, config):
        self._config = config
        self._raised = []
        self._deselected = 0
        sys.addaudithook(self._audit)

    def _audit(self, event, _):
        if event in self.EVENTS:
            frame = sys._getframe()
            while frame is not None and frame.f_code.co_filename not in self.EXEMPT_CALLERS:
                frame = frame.f_back
            if frame is None:
                self._raised.append(event)

    def pytest_runtest_logstart(self):
        self._raised.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        is_unmarked = item.get_closest_marker("slow") is None
        if self._raised and is_unmarked and call.when == "call" and report.passed:
            report.outcome = "failed"
            report.longrepr = (
                f"this test raised {', '.join(sorted(set(self._raised)))}: mark it with @pytest.mark.slow, or request "
                "`starts_server` in the fixture that starts the server or the process (see tests/conftest.py)"
            )
        return report

    def pytest_deselected(self, items):
        self._deselected += len(items)

    def pytest_sessionfinish(self):
        # under xdist, only the workers know the number; each of them collects all tests, and deselects the same ones
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput["deselected"] = self._deselected

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        self._deselected = getattr(node, "workeroutput", {}).get("deselected", self._deselected)

    def pytest_terminal_summary(self, terminalreporter):
        if self._config.option.markexpr == "not slow":
            terminalreporter.write_line(f"left out {self._deselected:,} slow tests; `make test` runs them")


def pytest_configure(config):
    config.pluginmanager.register(SlowTests(config))
