"""Record many tests into one cassette."""

from __future__ import annotations

import sys
from statistics import median

from benchmarks.measurement import CPU_TIME, Results, Spread, run_processes
from benchmarks.page import Section, describe_conditions, format_ratio, format_table
from benchmarks.shared_cassettes_process import LIVE, RECORDED

_TESTS = (100, 1000, 2000)
_TARGET = 1.5
"""The largest acceptable time for a test among many, as a multiple of the time among the fewest."""

_TEXT = """
This benchmark measures a run of pytest in which all tests record into one cassette. Each test sends one request of
0.8 kB with the same httpx client. The server runs in another process.

The table shows the CPU time for each test. This time includes the end of the run, but not its start and the first ten
tests, which import modules. The column "live" has the time of the same tests with `--live`, which records nothing. Each
time is the median of several processes.

The ratio compares the time to record with the time in the first row. The lowest and the highest ratio are in
parentheses.

{conditions}

{table}

The target is a ratio of at most {target}. It is {verdict}. The recording of each test is appended to a
[journal](recording.md#if-a-run-is-killed). If the whole cassette were written
after each test, the time would grow with the number of tests.
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` uses fewer tests, and one process for each figure."""
    sizes, processes = ((20, 100), 1) if quick else (_TESTS, 3)
    live = {size: _run(LIVE, size, processes) for size in sizes}
    recorded = {size: _run(RECORDED, size, processes) for size in sizes}
    ratios = {size: _find_ratio(recorded[size], recorded[sizes[0]]) for size in sizes}
    rows = [
        [
            f"{size:,}",
            _format_time(live[size], LIVE),
            _format_time(recorded[size], RECORDED),
            format_ratio(ratios[size]) if size != sizes[0] else "1",
        ]
        for size in sizes
    ]
    return Section(
        "Shared cassettes",
        _TEXT.format(
            conditions=describe_conditions(recorded[sizes[0]]),
            table=format_table(["tests", "live", "recorded", "ratio"], rows),
            target=_TARGET,
            verdict="met" if max(ratio.middle for ratio in ratios.values()) <= _TARGET else "missed",
        ),
    )


def _run(step: str, tests: int, processes: int) -> Results:
    command = [sys.executable, "-m", "benchmarks.shared_cassettes_process", f"--step={step}", f"--tests={tests}"]
    return run_processes(command, processes)


def _list_times(results: Results, step: str) -> list[float]:
    return [process[step][0][CPU_TIME] for process in results.processes]


def _format_time(results: Results, step: str) -> str:
    return f"{median(_list_times(results, step)) * 1000:.1f} ms"


def _find_ratio(results: Results, baseline: Results) -> Spread:
    times, fewest = _list_times(results, RECORDED), median(_list_times(baseline, RECORDED))
    return Spread(min(times) / fewest, median(times) / fewest, max(times) / fewest)
