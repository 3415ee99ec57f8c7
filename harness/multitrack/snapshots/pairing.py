"""Pair the expected calls with the actual ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from multitrack.snapshots.assignment import assign
from multitrack.snapshots.differences import Differences
from multitrack.snapshots.likeness import worth_of_pairs
from multitrack.snapshots.literals import Call, Plain, canonical, nodes
from multitrack.snapshots.matchers import Expected
from multitrack.snapshots.terms import Terms, number, reach


def pair_calls(
    expected: Sequence[Call], actual: Sequence[Call], terms: Terms, values: Sequence[Mapping[str, object]]
) -> dict[int, int]:
    """Return the positions of the calls that belong together, expected to actual.

    Equal calls are paired first. Then calls of one tool are paired so that as many as possible are the same on the
    given terms, and the others have as much as possible in common. Then come calls of two tools with the same
    arguments, because these are a renamed tool.
    """
    pairing = _Pairing(expected, actual)
    pairing.pair_equal(canonical)
    for tool, (olds, news) in pairing.open_by_tool().items():
        before, after = [expected[old] for old in olds], [actual[new] for new in news]
        if values or not terms.exact:
            found = [values[new] if values else {} for new in news]
            worth = _worth_of_tolerant_pairs(before, after, tool, terms, found)
        else:
            worth = worth_of_pairs(before, after)
        pairing.pairs.update((olds[row], news[column]) for row, column in assign(worth))
    pairing.pair_equal(_arguments)
    return pairing.pairs


class _Pairing:
    def __init__(self, expected: Sequence[Call], actual: Sequence[Call]) -> None:
        self.expected, self.actual = expected, actual
        self.pairs: dict[int, int] = {}

    def open_by_tool(self) -> dict[str, tuple[list[int], list[int]]]:
        """Return the positions that are not paired yet, by tool; only tools that have some on both sides."""
        tools: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        olds, news = self._open()
        for old in olds:
            tools[self.expected[old].name][0].append(old)
        for new in news:
            tools[self.actual[new].name][1].append(new)
        return {tool: sides for tool, sides in tools.items() if all(sides)}

    def pair_equal(self, key: Callable[[Call], str]) -> None:
        """Pair calls that have the same key, unless it is empty."""
        olds, news = self._open()
        waiting: defaultdict[str, list[int]] = defaultdict(list)
        for new in reversed(news):
            waiting[key(self.actual[new])].append(new)
        for old in olds:
            text = key(self.expected[old])
            if text and waiting[text]:
                self.pairs[old] = waiting[text].pop()

    def _open(self) -> tuple[list[int], list[int]]:
        paired = set(self.pairs.values())
        return (
            [old for old in range(len(self.expected)) if old not in self.pairs],
            [new for new in range(len(self.actual)) if new not in paired],
        )


def _arguments(call: Call) -> str:
    return canonical(Call("", call.positional, call.keywords)) if call.positional or call.keywords else ""


@dataclass(frozen=True, slots=True)
class _Tolerant:
    """An expected call: the values that need not be equal to agree, by their paths, and its other texts and numbers."""

    ranges: Mapping[str, tuple[Decimal, Decimal]]
    matchers: Mapping[str, Expected]
    fixed: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, call: Call, tool: str, terms: Terms) -> _Tolerant:
        parts = nodes(call)
        ranges = {}
        for path, size in _numbers(parts).items():
            if (tolerance := terms.tolerance(tool, path)) is not None:
                ranges[path] = reach(size, tolerance)
        matchers = {path: node for path, node in parts.items() if isinstance(node, Expected)}
        return cls(ranges, matchers, _scalars({path: node for path, node in parts.items() if path not in ranges}))

    def count_agreeing(self, numbers: Mapping[str, Decimal], values: Mapping[str, object]) -> int:
        count = 0
        for path, (least, greatest) in self.ranges.items():
            if path in numbers and least <= numbers[path] <= greatest:
                count += 1
        for path, matcher in self.matchers.items():
            if path in values and matcher.fits(values[path]):
                count += 1
        return count


def _worth_of_tolerant_pairs(
    expected: Sequence[Call], actual: Sequence[Call], tool: str, terms: Terms, values: Sequence[Mapping[str, object]]
) -> list[list[int]]:
    """Return the worth of each pair, where numbers have a tolerance or expected calls hold matchers."""
    rows = [_Tolerant.of(call, tool, terms) for call in expected]
    if not any(row.ranges or row.matchers for row in rows):
        return worth_of_pairs(expected, actual)
    agreeing: dict[tuple[int, int], int] = {}
    same: list[tuple[int, int]] = []
    for column, call in enumerate(actual):
        parts, differences = nodes(call), Differences(terms, tool, values[column])
        numbers, scalars = _numbers(parts), _scalars(parts)
        for row, wanted in enumerate(rows):
            count = agreeing[row, column] = wanted.count_agreeing(numbers, values[column])
            # finding differences takes long, so only where nothing else rules it out
            if not count or count < len(wanted.ranges) + len(wanted.matchers) or not wanted.fixed <= scalars:
                continue
            if next(differences.between(expected[row], call), None) is None:
                same.append((row, column))
    worth = worth_of_pairs(expected, actual, agreeing)
    # one more pair of calls that are the same outweighs whatever all other pairs have in common
    bonus = 1 + sum(map(max, worth))
    for row, column in same:
        worth[row][column] += bonus
    return worth


def _numbers(parts: Mapping[str, Plain]) -> dict[str, Decimal]:
    found = {path: number(node) for path, node in parts.items() if isinstance(node, (int, float, Call))}
    return {path: size for path, size in found.items() if size is not None}


def _scalars(parts: Mapping[str, Plain]) -> frozenset[tuple[str, str]]:
    return frozenset((path, repr(node)) for path, node in parts.items() if isinstance(node, (str, int, float)))
