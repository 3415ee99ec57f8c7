"""One process of the snapshot benchmark: each candidate compares its own expected and received calls."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import version
from random import Random

from benchmarks.measurement import Candidate, format_results, measure_in_turns, time_call
from multitrack.snapshots.comparison import compare_calls
from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.expressions import Expression, SnapshotCall
from multitrack.snapshots.rendering import render_comparison

SIZES = (30, 200)

_WORDS = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon",
)  # fmt: skip
_MakeCall = Callable[[Random, int], SnapshotCall]


def _make_text(random: Random, words: int) -> str:
    return " ".join(random.choice(_WORDS) for _ in range(words))


def _make_weather(random: Random, units: Sequence[str], days: range) -> SnapshotCall:
    return _make_call(location=_make_text(random, 2), units=random.choice(units), days=random.choice(days))


def _make_trip(random: Random) -> SnapshotCall:
    stops: list[Expression] = [{"city": _make_text(random, 1), "nights": random.randint(1, 3)} for _ in range(4)]
    return _make_call(title=_make_text(random, 3), stops=stops)


def _make_call(**arguments: Expression) -> SnapshotCall:
    return SnapshotCall("Tool", (), tuple(arguments.items()))


# the functions that make the expected and the received calls of each case
_MAKERS: dict[str, tuple[_MakeCall, _MakeCall]] = {
    "one of three arguments differs": (
        lambda _, number: _make_call(location=f"Place {number}", units="metric", days=3),
        lambda _, number: _make_call(location=f"Place {number}", units="imperial", days=3),
    ),
    "all arguments differ": (
        lambda random, _: _make_weather(random, ["metric", "imperial"], range(1, 9)),
        lambda random, _: _make_weather(random, ["kelvin", "rankine"], range(10, 19)),
    ),
    "some arguments agree by chance": (
        lambda random, _: _make_weather(random, ["metric", "imperial"], range(1, 9)),
        lambda random, _: _make_weather(random, ["metric", "imperial"], range(1, 9)),
    ),
    "one argument, a string of six words": (
        lambda random, _: _make_call(query=_make_text(random, 6)),
        lambda random, _: _make_call(query=_make_text(random, 6)),
    ),
    "one argument, a string of forty words": (
        lambda random, _: _make_call(query=_make_text(random, 40)),
        lambda random, _: _make_call(query=_make_text(random, 40)),
    ),
    "one argument, a number": (
        lambda _, number: _make_call(number=number),
        lambda _, number: _make_call(number=number + max(SIZES)),
    ),
    "nine values, eight of them in a list": (
        lambda random, _: _make_trip(random),
        lambda random, _: _make_trip(random),
    ),
}
# with a tolerance, each number may count as equal to any other
OPTIONS: dict[str, ComparisonOptions] = {
    "": ComparisonOptions(),
    ", tolerance=0.01": ComparisonOptions(tolerance=0.01),
}
CASES = tuple(_MAKERS)


def name_candidate(case: str, size: int, option: str) -> str:
    """Return the name of the candidate that compares ``size`` calls."""
    return f"{size} calls: {case}{option}"


def _make_candidate(case: str, size: int, options: ComparisonOptions) -> Candidate:
    random = Random(case)
    expected, received = ([make(random, number) for number in range(size)] for make in _MAKERS[case])
    random.shuffle(received)
    return time_call(lambda: render_comparison(compare_calls(expected, received, options=options)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots_process")
    parser.add_argument("--rounds", type=int, required=True)
    candidates = {
        name_candidate(case, size, name): _make_candidate(case, size, options)
        for case in CASES
        for size in SIZES
        for name, options in OPTIONS.items()
    }
    figures = asyncio.run(measure_in_turns(candidates, parser.parse_args().rounds))
    print(format_results({"multitrack": version("multitrack")}, figures))
