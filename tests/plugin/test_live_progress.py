"""The progress of runs that record, audit or compare with live responses."""

import os
import re
import subprocess
import sys

import pytest
from nested_runs import FEWER_PLUGINS

from pytest_multitrack import live_progress

SUITE = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_number(number):
    assert number != 2
"""
ERASED_BAR = re.compile(r"\r?\n(?P<bar>[^\r\n]*)\r\x1b\[2K\x1b\[1A\x1b\[(?P<column>\d+)G")
FLAGS = {
    "--record": "recording",
    "--record-missing": "recording",
    "--calls-drift": "comparing with live responses",
    "--calls-audit": "auditing",
}


def run_in_terminal(pytester, *arguments):
    """Run pytest in a terminal of 80 columns, and return what it writes there."""
    controller, terminal = os.openpty()
    command = [sys.executable, "-m", "pytest", "--tb=no", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, **FEWER_PLUGINS, "TERM": "xterm", "COLUMNS": "80", "PY_COLORS": "1"}
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=pytester.path, env=environment
    ) as process:
        os.close(terminal)
        written = b""
        try:
            while part := os.read(controller, 65536):
                written += part
        except OSError:  # Linux reports the end of the last process as an error
            pass
    os.close(controller)
    assert process.returncode == 1
    return re.sub(r"\d+\.\d+s", "TIMEs", written.decode())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no pseudo-terminals")
@pytest.mark.parametrize("verbosity", ["--verbosity=0", "--verbosity=1"])
def test_the_bar_in_a_terminal_leaves_no_trace(pytester, verbosity):
    pytester.makepyfile(test_numbers=SUITE)
    with_bar = run_in_terminal(pytester, "--record", verbosity)
    bars = [match["bar"] for match in ERASED_BAR.finditer(with_bar)]
    counts = [re.search(r"(\d) of 4", bar)[1] for bar in bars]
    assert list(dict.fromkeys(counts)) == ["0", "1", "2", "3", "4"]
    assert all(bar.startswith("recording ") for bar in bars)
    for match in ERASED_BAR.finditer(with_bar):
        line = ERASED_BAR.sub("", with_bar[: match.start()]).rsplit("\n", 1)[-1]
        assert int(match["column"]) == len(re.sub(r"\x1b\[\d*m", "", line)) + 1
    assert ERASED_BAR.sub("", with_bar) == run_in_terminal(pytester, "--live", verbosity)


@pytest.mark.slow
@pytest.mark.parametrize("flag", FLAGS)
def test_a_run_without_a_terminal_prints_lines(pytester, monkeypatch, flag):
    monkeypatch.setattr(live_progress, "LINE_INTERVAL", 0)
    pytester.makepyfile(test_numbers=SUITE)
    lines = pytester.runpytest_inprocess(flag, "--tb=no").outlines
    assert f"multitrack: {FLAGS[flag]}: 3 of 4" in lines


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["--record", "-q"], ["--record", "-o", "console_output_style=classic"], ["--live"], []],
    ids=["quiet", "classic", "live", "replay"],
)
def test_a_run_that_shall_be_quiet_or_is_quick_prints_no_progress(pytester, monkeypatch, arguments):
    monkeypatch.setattr(live_progress, "LINE_INTERVAL", 0)
    pytester.makepyfile(test_numbers=SUITE)
    lines = pytester.runpytest_inprocess("--tb=no", *arguments).outlines
    assert [line for line in lines if " of 4" in line] == []
