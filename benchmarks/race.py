"""Contenders measured side by side: in turns within one process, in several processes.

Tools such as pyperf and timeit measure one contender to its end before they begin with the next. On a machine that
also does other things, the ratio of two such measurements tells more about the machine than about the contenders.
For the same reason it is the process's CPU time that is taken: nothing here waits for anything.
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

Lap = Mapping[str, float]
"""What one turn of a contender came to: seconds, by what they are the seconds of."""

Contender = Callable[[], Awaitable[Lap]]

TIME = "time"
"""The CPU time of a contender that is timed as a whole."""


class Spread(NamedTuple):
    """One value from several processes."""

    low: float
    middle: float
    high: float


class Quartiles(NamedTuple):
    """Half of all values lie between ``first`` and ``third``."""

    first: float
    median: float
    third: float


def timed(call: Callable[[], object]) -> Contender:
    """The contender that ``call`` is."""

    async def lap() -> Lap:
        start = process_time()
        call()
        return {TIME: process_time() - start}

    return lap


def timed_async(call: Callable[[], Awaitable[object]]) -> Contender:
    """The contender that ``call`` is, which is awaited."""

    async def lap() -> Lap:
        start = process_time()
        await call()
        return {TIME: process_time() - start}

    return lap


async def race(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[Lap]]:
    """The laps of each contender. Each round has its own order; the first ones, a tenth, are not counted."""
    laps: dict[str, list[Lap]] = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(max(rounds // 10, 1)):
        for name in order:
            await contenders[name]()
    # else a full collection strikes some laps, and takes as long as there are modules imported
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            laps[name].append(await contenders[name]())
    return laps


@dataclass(frozen=True)
class Results:
    """The laps of several processes, and the versions of what ran in them."""

    versions: Mapping[str, str]
    processes: Sequence[Mapping[str, Sequence[Lap]]]

    def ratio(self, contender: str, *, to: str, figure: str = TIME) -> Spread:
        """How many times ``to`` a contender takes: of each process, the ratio of the medians."""
        ratios = [_median(laps[contender], figure) / _median(laps[to], figure) for laps in self.processes]
        return Spread(min(ratios), median(ratios), max(ratios))

    def quartiles(self, contender: str, figure: str = TIME) -> Quartiles:
        """Of all laps in all processes."""
        values = [lap[figure] for laps in self.processes for lap in laps[contender]]
        return Quartiles(*quantiles(values, n=4))

    @property
    def rounds(self) -> int:
        """How many rounds were counted in each process."""
        return len(next(iter(self.processes[0].values())))


def run(command: Sequence[str], processes: int, environment: Mapping[str, str] | None = None) -> Results:
    """The results of ``command``, run ``processes`` times, which prints what `printed` gives.

    ``environment`` is what it gets beside our own.
    """
    variables = {**os.environ, **(environment or {})}
    ended = [subprocess.run(command, stdout=subprocess.PIPE, check=True, env=variables) for _ in range(processes)]
    outputs = [json.loads(process.stdout) for process in ended]
    return Results(outputs[0]["versions"], [output["laps"] for output in outputs])


def printed(versions: Mapping[str, str], laps: Mapping[str, Sequence[Lap]]) -> str:
    """What a process of `run` has to print."""
    return json.dumps({"versions": versions, "laps": laps})


def _median(laps: Sequence[Lap], figure: str) -> float:
    return median(lap[figure] for lap in laps)
