"""Pair the expected calls with the received calls."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from multitrack.snapshots.assignment import assign
from multitrack.snapshots.comparison_options import ComparisonOptions, to_number
from multitrack.snapshots.differences import CallDiffer
from multitrack.snapshots.expression_paths import Leaf, list_leaves
from multitrack.snapshots.expressions import Expression, SnapshotCall, canonical_arguments
from multitrack.snapshots.likeness import worth_of_pairs
from multitrack.snapshots.matchers import MatcherNode


def pair_calls(
    expected: Sequence[SnapshotCall],
    received: Sequence[SnapshotCall],
    options: ComparisonOptions,
    values: Sequence[Mapping[str, object]],
) -> dict[int, int]:
    """Map the position of each expected call to the position of the received call that it is paired with.

    Calls are paired in four steps:

    1. Equal calls are paired.
    2. If calls to a tool are left, those pairs of the tool in which a tolerance or a matcher applies are separated
       again, because an equal call is not always the best partner. For example, with a tolerance of 1, the calls
       ``f(1), f(2)`` match ``f(2), f(3)``, but only if the two calls ``f(2)`` are not paired.
    3. Calls to the same tool are paired, so that as many pairs as possible are equal under the given options. The
       calls in the other pairs are as similar as possible.
    4. Calls to different tools with equal arguments are paired, because the tool was probably renamed.

    If the order is compared, and additional calls or other values are accepted, a call can match several calls, some of
    them out of order. Before the first step, as many matching calls as possible are therefore paired in order.
    """
    pairing = _Pairing(expected, received)
    if options.ordered and (options.subset or values or not options.is_exact):
        pairing.pairs = _pair_in_order(expected, received, options, values)
    in_order = set(pairing.pairs)
    pairing.pair_equal(lambda identity: identity)
    if values or not options.is_exact:
        for tool in pairing.list_unpaired_by_tool():
            for old in pairing.list_paired(tool):
                if old not in in_order and _TolerantCall.of(list_leaves(expected[old]), tool, options).count:
                    del pairing.pairs[old]
    for tool, (olds, news) in pairing.list_unpaired_by_tool().items():
        before, after = [expected[old] for old in olds], [received[new] for new in news]
        if values or not options.is_exact:
            after_values = [values[new] if values else {} for new in news]
            worth = _worth_of_tolerant_pairs(before, after, tool, options, after_values)
        else:
            worth = worth_of_pairs(list(map(list_leaves, before)), list(map(list_leaves, after)))
        pairing.pairs.update((olds[row], news[column]) for row, column in assign(worth))
    pairing.pair_equal(lambda identity: identity.arguments)
    return pairing.pairs


def _pair_in_order(
    expected: Sequence[SnapshotCall],
    received: Sequence[SnapshotCall],
    options: ComparisonOptions,
    values: Sequence[Mapping[str, object]],
) -> dict[int, int]:
    """Map the positions of expected calls to those of equal received calls.

    Both positions of a pair must follow those of the previous pair. As many calls as possible are paired.
    """

    def is_same(old: int, new: int) -> bool:
        differ = CallDiffer(options, received[new].name, values[new] if values else {})
        return next(differ.find_changes(expected[old], received[new]), None) is None

    same = {(old, new) for old in range(len(expected)) for new in range(len(received)) if is_same(old, new)}
    # lengths[old][new] is the length for the calls from these positions on
    lengths = [[0] * (len(received) + 1) for _ in range(len(expected) + 1)]
    for old in reversed(range(len(expected))):
        for new in reversed(range(len(received))):
            if (old, new) in same:
                lengths[old][new] = lengths[old + 1][new + 1] + 1
            else:
                lengths[old][new] = max(lengths[old + 1][new], lengths[old][new + 1])
    pairs: dict[int, int] = {}
    old = new = 0
    while old < len(expected) and new < len(received):
        if (old, new) in same:
            pairs[old] = new
            old, new = old + 1, new + 1
        elif lengths[old + 1][new] >= lengths[old][new + 1]:
            old += 1
        else:
            new += 1
    return pairs


class _Identity(NamedTuple):
    """The identity of a call: equal calls have equal identities."""

    name: str
    id: str | None
    arguments: str
    """The canonical text of the arguments, empty if there are none."""

    @classmethod
    def of(cls, call: SnapshotCall) -> _Identity:
        return cls(call.name, call.id, canonical_arguments(call))


class _Pairing:
    def __init__(self, expected: Sequence[SnapshotCall], received: Sequence[SnapshotCall]) -> None:
        self.expected, self.received = list(map(_Identity.of, expected)), list(map(_Identity.of, received))
        self.pairs: dict[int, int] = {}

    def list_unpaired_by_tool(self) -> dict[str, tuple[list[int], list[int]]]:
        """For each tool, return the positions of its unpaired expected calls, and of its unpaired received calls.

        A tool is included only if it has unpaired calls of both kinds.
        """
        tools: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        olds, news = self._list_unpaired()
        for old in olds:
            tools[self.expected[old].name][0].append(old)
        for new in news:
            tools[self.received[new].name][1].append(new)
        return {tool: sides for tool, sides in tools.items() if all(sides)}

    def list_paired(self, tool: str) -> list[int]:
        """Return the positions of the expected calls to ``tool`` that are paired."""
        return [old for old in self.pairs if self.expected[old].name == tool]

    def pair_equal(self, key: Callable[[_Identity], Hashable]) -> None:
        """Pair the unpaired calls that have the same key. Calls with an empty key are not paired."""
        olds, news = self._list_unpaired()
        candidates: defaultdict[Hashable, list[int]] = defaultdict(list)
        for new in reversed(news):
            candidates[key(self.received[new])].append(new)
        for old in olds:
            wanted = key(self.expected[old])
            if wanted and candidates[wanted]:
                self.pairs[old] = candidates[wanted].pop()

    def _list_unpaired(self) -> tuple[list[int], list[int]]:
        paired = set(self.pairs.values())
        return (
            [old for old in range(len(self.expected)) if old not in self.pairs],
            [new for new in range(len(self.received)) if new not in paired],
        )


@dataclass(frozen=True, slots=True)
class _TolerantCall:
    """An expected call whose values can have tolerances or matchers.

    Attributes:
        ranges: A dictionary from the path of a number to the smallest and the largest accepted number.
        matchers: A dictionary from the path of a value to its matcher.
        count: The number of ranges and matchers together.
        fixed: A dictionary from a path to the string or number that has to be equal.
    """

    ranges: Mapping[str, tuple[Decimal, Decimal]]
    matchers: Mapping[str, MatcherNode]
    count: int
    fixed: Mapping[str, str | float]

    @classmethod
    def of(cls, leaves: Sequence[Leaf], tool: str, options: ComparisonOptions) -> _TolerantCall:
        ranges: dict[str, tuple[Decimal, Decimal]] = {}
        matchers: dict[str, MatcherNode] = {}
        fixed: dict[str, str | float] = {}
        for path, _, node in leaves:
            if isinstance(node, str):
                fixed[path] = node
            elif isinstance(node, MatcherNode):
                matchers[path] = node
            elif (found := options.find_range(tool, path, node)) is not None:
                ranges[path] = found
            elif isinstance(node, (int, float)):
                fixed[path] = node
        return cls(ranges, matchers, len(ranges) + len(matchers), fixed)

    def has_fixed_values(self, received: Mapping[str, Expression]) -> bool:
        """Return whether a received call has this call's fixed values.

        ``received`` maps each path in the received call to the value there.
        """
        return all(path in received and repr(received[path]) == repr(node) for path, node in self.fixed.items())


class _NumbersAtPath:
    """The numbers at one JSON path of the received calls, in ascending order."""

    def __init__(self, numbers: Mapping[int, Decimal]) -> None:
        self._columns = sorted(numbers, key=numbers.__getitem__)
        self._numbers = [numbers[column] for column in self._columns]

    def find_columns(self, least: Decimal, greatest: Decimal) -> Sequence[int]:
        """Return the columns of the calls whose number at this path is between ``least`` and ``greatest``."""
        return self._columns[bisect_left(self._numbers, least) : bisect_right(self._numbers, greatest)]


def _worth_of_tolerant_pairs(
    expected: Sequence[SnapshotCall],
    received: Sequence[SnapshotCall],
    tool: str,
    options: ComparisonOptions,
    values: Sequence[Mapping[str, object]],
) -> list[list[int]]:
    """Return how much each pair of calls has in common. Number tolerances and matchers count, too."""
    rows, columns = list(map(list_leaves, expected)), list(map(list_leaves, received))
    tolerant = [_TolerantCall.of(row, tool, options) for row in rows]
    if not any(call.count for call in tolerant):
        return worth_of_pairs(rows, columns)
    agreeing = _count_agreeing(tolerant, columns, values)
    worth = worth_of_pairs(rows, columns, agreeing)
    # one more pair of equal calls must be worth more than everything that all other pairs have in common
    bonus = 1 + sum(map(max, worth))
    by_path = [{path: node for path, _, node in column} for column in columns]
    for row, (wanted, counts) in enumerate(zip(tolerant, agreeing, strict=True)):
        for column, count in enumerate(counts):
            # finding differences takes longer than anything else here, so first check whether there must be one
            if not count or count < wanted.count or not wanted.has_fixed_values(by_path[column]):
                continue
            differ = CallDiffer(options, tool, values[column])
            if next(differ.find_changes(expected[row], received[column]), None) is None:
                worth[row][column] += bonus
    return worth


def _count_agreeing(
    rows: Sequence[_TolerantCall], columns: Sequence[Sequence[Leaf]], values: Sequence[Mapping[str, object]]
) -> list[list[int]]:
    """Return, for each row and column, how many of the row's tolerances and matchers accept the column's values."""
    numbers: defaultdict[str, dict[int, Decimal]] = defaultdict(dict)
    for column, leaves in enumerate(columns):
        for path, _, node in leaves:
            if (number := to_number(node)) is not None:
                numbers[path][column] = number
    numbers_at = {path: _NumbersAtPath(by_column) for path, by_column in numbers.items()}
    table = []
    for row in rows:
        counts = [0] * len(columns)
        for path, (least, greatest) in row.ranges.items():
            if path in numbers_at:
                for column in numbers_at[path].find_columns(least, greatest):
                    counts[column] += 1
        for path, matcher in row.matchers.items():
            for column, received in enumerate(values):
                if path in received and matcher.fits(received[path]):
                    counts[column] += 1
        table.append(counts)
    return table
