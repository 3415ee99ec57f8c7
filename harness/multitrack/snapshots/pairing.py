"""Pair the expected calls with the received ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from multitrack.snapshots.assignment import assign
from multitrack.snapshots.comparison_options import ComparisonOptions, range_around, to_number
from multitrack.snapshots.differences import CallDiffer
from multitrack.snapshots.expression_paths import list_parts
from multitrack.snapshots.expressions import Expression, SnapshotCall, canonical_text
from multitrack.snapshots.likeness import worth_of_pairs
from multitrack.snapshots.matchers import MatcherNode


def pair_calls(
    expected: Sequence[SnapshotCall],
    received: Sequence[SnapshotCall],
    options: ComparisonOptions,
    values: Sequence[Mapping[str, object]],
) -> dict[int, int]:
    """Map the position of each expected call to the position of the received call that it is paired with.

    Equal calls are paired first. Then calls of one tool are paired: as many pairs as possible count as equal with the
    given options, and the other pairs are as similar as possible. Last, calls of two tools with equal arguments are
    paired, because the tool was probably renamed.
    """
    pairing = _Pairing(expected, received)
    pairing.pair_equal(canonical_text)
    for tool, (olds, news) in pairing.list_unpaired_by_tool().items():
        before, after = [expected[old] for old in olds], [received[new] for new in news]
        if values or not options.is_exact:
            after_values = [values[new] if values else {} for new in news]
            worth = _worth_of_tolerant_pairs(before, after, tool, options, after_values)
        else:
            worth = worth_of_pairs(before, after)
        pairing.pairs.update((olds[row], news[column]) for row, column in assign(worth))
    pairing.pair_equal(_format_arguments)
    return pairing.pairs


class _Pairing:
    def __init__(self, expected: Sequence[SnapshotCall], received: Sequence[SnapshotCall]) -> None:
        self.expected, self.received = expected, received
        self.pairs: dict[int, int] = {}

    def list_unpaired_by_tool(self) -> dict[str, tuple[list[int], list[int]]]:
        """Return the unpaired positions of each tool that has some on both sides."""
        tools: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        olds, news = self._list_unpaired()
        for old in olds:
            tools[self.expected[old].name][0].append(old)
        for new in news:
            tools[self.received[new].name][1].append(new)
        return {tool: sides for tool, sides in tools.items() if all(sides)}

    def pair_equal(self, key: Callable[[SnapshotCall], str]) -> None:
        """Pair unpaired calls that have the same key, unless it is empty."""
        olds, news = self._list_unpaired()
        candidates: defaultdict[str, list[int]] = defaultdict(list)
        for new in reversed(news):
            candidates[key(self.received[new])].append(new)
        for old in olds:
            text = key(self.expected[old])
            if text and candidates[text]:
                self.pairs[old] = candidates[text].pop()

    def _list_unpaired(self) -> tuple[list[int], list[int]]:
        paired = set(self.pairs.values())
        return (
            [old for old in range(len(self.expected)) if old not in self.pairs],
            [new for new in range(len(self.received)) if new not in paired],
        )


def _format_arguments(call: SnapshotCall) -> str:
    if not call.positional and not call.keywords:
        return ""
    return canonical_text(SnapshotCall("", call.positional, call.keywords))


@dataclass(frozen=True, slots=True)
class _TolerantCall:
    """An expected call.

    Attributes:
        ranges: The numbers with a tolerance, by path: the least and the greatest number that is the same.
        matchers: The matchers by path.
        fixed: The texts and numbers that have to be equal, with their paths.
    """

    ranges: Mapping[str, tuple[Decimal, Decimal]]
    matchers: Mapping[str, MatcherNode]
    fixed: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, call: SnapshotCall, tool: str, options: ComparisonOptions) -> _TolerantCall:
        parts = list_parts(call)
        ranges = {}
        for path, number in _find_numbers(parts).items():
            if (tolerance := options.find_tolerance(tool, path)) is not None:
                ranges[path] = range_around(number, tolerance)
        matchers = {path: node for path, node in parts.items() if isinstance(node, MatcherNode)}
        return cls(ranges, matchers, _find_scalars({path: node for path, node in parts.items() if path not in ranges}))

    def count_agreeing(self, numbers: Mapping[str, Decimal], values: Mapping[str, object]) -> int:
        """Return how many numbers of a received call are in their range, and how many values fit their matcher."""
        count = 0
        for path, (least, greatest) in self.ranges.items():
            if path in numbers and least <= numbers[path] <= greatest:
                count += 1
        for path, matcher in self.matchers.items():
            if path in values and matcher.fits(values[path]):
                count += 1
        return count


def _worth_of_tolerant_pairs(
    expected: Sequence[SnapshotCall],
    received: Sequence[SnapshotCall],
    tool: str,
    options: ComparisonOptions,
    values: Sequence[Mapping[str, object]],
) -> list[list[int]]:
    """Return the worth of each pair if numbers have a tolerance, or expected calls contain matchers."""
    rows = [_TolerantCall.of(call, tool, options) for call in expected]
    if not any(row.ranges or row.matchers for row in rows):
        return worth_of_pairs(expected, received)
    agreeing: dict[tuple[int, int], int] = {}
    same: list[tuple[int, int]] = []
    for column, call in enumerate(received):
        parts, differ = list_parts(call), CallDiffer(options, tool, values[column])
        numbers, scalars = _find_numbers(parts), _find_scalars(parts)
        for row, wanted in enumerate(rows):
            count = agreeing[row, column] = wanted.count_agreeing(numbers, values[column])
            # to find differences takes longer than everything else here, so first see if there must be one
            if not count or count < len(wanted.ranges) + len(wanted.matchers) or not wanted.fixed <= scalars:
                continue
            if next(differ.find_changes(expected[row], call), None) is None:
                same.append((row, column))
    worth = worth_of_pairs(expected, received, agreeing)
    # one more pair of calls that are the same is worth more than whatever all other pairs have in common
    bonus = 1 + sum(map(max, worth))
    for row, column in same:
        worth[row][column] += bonus
    return worth


def _find_numbers(parts: Mapping[str, Expression]) -> dict[str, Decimal]:
    found = {path: to_number(node) for path, node in parts.items() if isinstance(node, (int, float, SnapshotCall))}
    return {path: number for path, number in found.items() if number is not None}


def _find_scalars(parts: Mapping[str, Expression]) -> frozenset[tuple[str, str]]:
    return frozenset((path, repr(node)) for path, node in parts.items() if isinstance(node, (str, int, float)))
