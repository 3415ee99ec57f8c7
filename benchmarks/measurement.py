"""Measure candidates side by side: taking turns within one process, and in several processes.

Tools such as pyperf and timeit finish one candidate before they start the next. On a machine that also does other work,
the ratio of two such measurements says more about the machine than about the candidates. For the same reason, CPU time
is measured instead of elapsed time. CPU time misses nothing, because the candidates never wait.
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import process_time
from typing import NamedTuple

Figures = Mapping[str, float]
"""The figures of one run of a candidate, in seconds, by name."""

Candidate = Callable[[], Awaitable[Figures]]

CPU_TIME = "time"
"""The name of the figure for the CPU time of a whole run."""


class Spread(NamedTuple):
    """One value from several processes."""

    low: float
    middle: float
    high: float


class Quartiles(NamedTuple):
    """The quartiles of many values."""

    first: float
    median: float
    third: float


def time_call(call: Callable[[], object]) -> Candidate:
    """Return a candidate that measures ``call``."""

    async def run_once() -> Figures:
        start = process_time()
        call()
        return {CPU_TIME: process_time() - start}

    return run_once


def time_async_call(call: Callable[[], Awaitable[object]]) -> Candidate:
    """Return a candidate that measures ``call``, including awaiting its result."""

    async def run_once() -> Figures:
        start = process_time()
        await call()
        return {CPU_TIME: process_time() - start}

    return run_once


async def measure_in_turns(candidates: Mapping[str, Candidate], rounds: int) -> dict[str, list[Figures]]:
    """Run each candidate once per round, and return the figures of each.

    Each round has its own random order. A tenth as many rounds run first, to warm up; they are not measured.
    """
    figures: dict[str, list[Figures]] = {name: [] for name in candidates}
    order = list(candidates)
    for _ in range(max(rounds // 10, 1)):
        for name in order:
            await candidates[name]()
    # otherwise some runs would include a full collection, whose time depends on how many modules are imported
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            figures[name].append(await candidates[name]())
    return figures


@dataclass(frozen=True)
class Results:
    """The figures of each candidate in several processes.

    Attributes:
        versions: The versions of the packages that were measured.
        processes: For each process, the figures of each candidate.
    """

    versions: Mapping[str, str]
    processes: Sequence[Mapping[str, Sequence[Figures]]]

    def ratio(self, candidate: str, *, to: str, figure: str = CPU_TIME) -> Spread:
        """Return the ratio of the candidate's median to the median of the candidate ``to``, in several processes."""
        ratios = [_median(figures[candidate], figure) / _median(figures[to], figure) for figures in self.processes]
        return Spread(min(ratios), median(ratios), max(ratios))

    def quartiles(self, candidate: str, figure: str = CPU_TIME) -> Quartiles:
        """Return the quartiles of all runs in all processes."""
        values = [run[figure] for figures in self.processes for run in figures[candidate]]
        return Quartiles(*quantiles(values, n=4))

    @property
    def rounds(self) -> int:
        """The number of rounds in each process."""
        return len(next(iter(self.processes[0].values())))


def run_processes(command: Sequence[str], processes: int, environment: Mapping[str, str] | None = None) -> Results:
    """Run a command several times, and return the results that it prints.

    Args:
        command: A command that prints the text of ``format_results``.
        processes: How often to run it.
        environment: Variables in addition to those of this process.
    """
    variables = {**os.environ, **(environment or {})}
    ended = [subprocess.run(command, stdout=subprocess.PIPE, check=True, env=variables) for _ in range(processes)]
    outputs = [json.loads(process.stdout) for process in ended]
    return Results(outputs[0]["versions"], [output["figures"] for output in outputs])


def format_results(versions: Mapping[str, str], figures: Mapping[str, Sequence[Figures]]) -> str:
    """Return the text that a process prints for ``run_processes``."""
    return json.dumps({"versions": versions, "figures": figures})


def _median(runs: Sequence[Figures], figure: str) -> float:
    return median(run[figure] for run in runs)
