"""One process of the race: each contender compares expected with actual calls of its own."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from importlib.metadata import version
from random import Random

from benchmarks.race import Contender, printed, race, timed
from multitrack.snapshots.comparison import compare_calls
from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.expressions import Expression, SnapshotCall
from multitrack.snapshots.rendering import render_comparison

SIZES = (30, 200)

_WORDS = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon",
)  # fmt: skip
_Make = Callable[[Random, int], SnapshotCall]


def _text(random: Random, words: int) -> str:
    return " ".join(random.choice(_WORDS) for _ in range(words))


def _weather(random: Random, units: Sequence[str], days: range) -> SnapshotCall:
    return _call(location=_text(random, 2), units=random.choice(units), days=random.choice(days))


def _trip(random: Random) -> SnapshotCall:
    stops: list[Expression] = [{"city": _text(random, 1), "nights": random.randint(1, 3)} for _ in range(4)]
    return _call(title=_text(random, 3), stops=stops)


def _call(**arguments: Expression) -> SnapshotCall:
    return SnapshotCall("Tool", (), tuple(arguments.items()))


# by what the calls have in common: how to make the expected and the actual ones
_MAKERS: dict[str, tuple[_Make, _Make]] = {
    "one of three arguments differs": (
        lambda _, number: _call(location=f"Place {number}", units="metric", days=3),
        lambda _, number: _call(location=f"Place {number}", units="imperial", days=3),
    ),
    "all arguments differ": (
        lambda random, _: _weather(random, ["metric", "imperial"], range(1, 9)),
        lambda random, _: _weather(random, ["kelvin", "rankine"], range(10, 19)),
    ),
    "some arguments agree by chance": (
        lambda random, _: _weather(random, ["metric", "imperial"], range(1, 9)),
        lambda random, _: _weather(random, ["metric", "imperial"], range(1, 9)),
    ),
    "one argument, a text of six words": (
        lambda random, _: _call(query=_text(random, 6)),
        lambda random, _: _call(query=_text(random, 6)),
    ),
    "one argument, a text of forty words": (
        lambda random, _: _call(query=_text(random, 40)),
        lambda random, _: _call(query=_text(random, 40)),
    ),
    "one argument, a number": (
        lambda _, number: _call(number=number),
        lambda _, number: _call(number=number + max(SIZES)),
    ),
    "nine values, eight of them in a list": (lambda random, _: _trip(random), lambda random, _: _trip(random)),
}
# the options of the comparison; with a tolerance, each number may be the same as any other
TERMS: dict[str, ComparisonOptions] = {"": ComparisonOptions(), ", tolerance=0.01": ComparisonOptions(tolerance=0.01)}
CASES = tuple(_MAKERS)


def contender(case: str, size: int, terms: str) -> str:
    """Return the name of the contender that compares `size` calls."""
    return f"{size} calls: {case}{terms}"


def _make_contender(case: str, size: int, terms: ComparisonOptions) -> Contender:
    random = Random(case)
    expected, actual = ([make(random, number) for number in range(size)] for make in _MAKERS[case])
    random.shuffle(actual)
    return timed(lambda: render_comparison(compare_calls(expected, actual, options=terms)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    contenders = {
        contender(case, size, name): _make_contender(case, size, terms)
        for case in CASES
        for size in SIZES
        for name, terms in TERMS.items()
    }
    laps = asyncio.run(race(contenders, parser.parse_args().rounds))
    print(printed({"multitrack": version("multitrack")}, laps))
