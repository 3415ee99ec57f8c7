"""The progress of long commands."""

import io
import sys

import pytest

from multitrack import progress


class Output(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


def run(monkeypatch, *, is_terminal, step, count=5):
    """Return the standard error of a command whose items take ``step`` seconds each."""
    output = Output(is_terminal)
    monkeypatch.setattr(sys, "stderr", output)
    for name, value in {"TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    times = iter(range(count + 1))
    items = progress.track(range(count), "converting cassettes", clock=lambda: next(times) * step)
    assert list(items) == list(range(count))
    return output.getvalue()


def test_a_line_is_printed_every_ten_seconds_without_a_terminal(monkeypatch):
    lines = run(monkeypatch, is_terminal=False, step=6).splitlines()
    assert lines == [f"multitrack: converting cassettes: {done} of 5" for done in (1, 3)]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_quick_command_prints_no_progress_and_does_not_import_rich(monkeypatch, is_terminal):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setattr(progress, "_start_bar", lambda *_: pytest.fail("the bar was started"))
    assert run(monkeypatch, is_terminal=is_terminal, step=0.01) == ""


def test_a_terminal_shows_a_bar(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = run(monkeypatch, is_terminal=True, step=1)
    assert "converting cassettes" in shown
    assert "multitrack: converting" not in shown


def test_a_terminal_without_rich_shows_lines(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert "multitrack: converting cassettes: 1 of 5\n" in run(monkeypatch, is_terminal=True, step=11)


def test_the_bar_ends_if_the_command_fails(monkeypatch):
    class Bar:
        task_ids = (0,)
        is_stopped = False

        def update(self, *_, **__):
            pass

        def stop(self):
            self.is_stopped = True

    bar = Bar()
    monkeypatch.setattr(sys, "stderr", Output(True))
    monkeypatch.setattr(progress, "_start_bar", lambda *_: bar)
    times = iter(range(9))
    items = progress.track("ab", "x", clock=lambda: next(times))
    next(items)
    items.close()
    assert bar.is_stopped
