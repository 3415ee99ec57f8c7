"""Which expected call belongs to which of those that came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from multitrack.snapshots.assignment import assign
from multitrack.snapshots.differences import Differences
from multitrack.snapshots.likeness import worth
from multitrack.snapshots.literals import KEPT, Call, Kept, Name, Plain, canonical, rewritten
from multitrack.snapshots.matchers import Expected
from multitrack.snapshots.terms import Terms, is_number

_Key: TypeAlias = Callable[[Call], str]
_HOLE = Name("_")

# Values that may be held against each other for this alone, tens of milliseconds: what it is for is a handful of
# calls, and of hundreds enough else tells which belong together.
_CHECKS = 10_000


def paired(
    expected: Sequence[Call], actual: Sequence[Call], terms: Terms, values: Sequence[Mapping[str, object]]
) -> dict[int, int]:
    """The positions of calls that belong together, expected to actual.

    Equal calls first; then those that the terms call the same; then calls of one tool that have something in common,
    such that they have most in common in all; then calls of two tools with the same arguments, a renamed tool.
    """
    return _Pairing(expected, actual, terms, values).pairs


class _Pairing:
    def __init__(
        self, expected: Sequence[Call], actual: Sequence[Call], terms: Terms, values: Sequence[Mapping[str, object]]
    ) -> None:
        self.expected, self.actual, self.terms, self.values = expected, actual, terms, values
        self.pairs: dict[int, int] = {}
        self._pair_equal(canonical)
        self._pair_same()
        self._pair_alike()
        self._pair_equal(_arguments)

    def _open(self) -> tuple[list[int], list[int]]:
        taken = set(self.pairs.values())
        return (
            [old for old in range(len(self.expected)) if old not in self.pairs],
            [new for new in range(len(self.actual)) if new not in taken],
        )

    def _pair_equal(self, key: _Key) -> None:
        olds, news = self._open()
        waiting: defaultdict[str, list[int]] = defaultdict(list)
        for new in reversed(news):
            waiting[key(self.actual[new])].append(new)
        for old in olds:
            text = key(self.expected[old])
            if text and waiting[text]:
                self.pairs[old] = waiting[text].pop()

    def _pair_same(self) -> None:
        """Calls that differ only in numbers within their tolerance, and in what matchers take."""
        olds, news = self._open()
        groups: defaultdict[frozenset[str], list[int]] = defaultdict(list)
        for old in olds:
            holes = self._holes(self.expected[old])
            if holes:
                groups[holes].append(old)
        for holes, rows in groups.items():
            keyed: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
            for old in rows:
                keyed[_with_holes(self.expected[old], holes)][0].append(old)
            for new in news:
                keyed[_with_holes(self.actual[new], holes)][1].append(new)
            for before, after in keyed.values():
                same = [[int(self._same(old, new)) for new in after] for old in before]
                for row, column in assign(same):
                    self.pairs[before[row]] = after[column]
            news = self._open()[1]

    def _same(self, old: int, new: int) -> bool:
        return next(self._differences(new).between(self.expected[old], self.actual[new]), None) is None

    def _differences(self, new: int) -> Differences:
        return Differences(self.terms, self.actual[new].name, self.values[new] if self.values else {})

    def _holes(self, call: Call) -> frozenset[str]:
        """The paths in an expected call where values need not be equal to be the same."""
        holes = set()

        def look(node: Plain, path: str) -> Kept:
            loose = isinstance(node, Expected) or (
                not self.terms.exact and is_number(node) and self.terms.tolerance(call.name, path) is not None
            )
            if loose:
                holes.add(path)
            return KEPT

        if self.values or not self.terms.exact:
            rewritten(call, look)
        return frozenset(holes)

    def _pair_alike(self) -> None:
        tools: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        olds, news = self._open()
        for old in olds:
            tools[self.expected[old].name][0].append(old)
        for new in news:
            tools[self.actual[new].name][1].append(new)
        for before, after in tools.values():
            if not before or not after:
                continue
            also = self._agreeing(before, after)
            matrix = worth([self.expected[old] for old in before], [self.actual[new] for new in after], also)
            for row, column in assign(matrix):
                self.pairs[before[row]] = after[column]

    def _agreeing(self, before: list[int], after: list[int]) -> dict[int, list[int]]:
        """By rows, how many values are the same in each of the columns that need not be equal for it."""
        also: dict[int, list[int]] = {}
        checks = _CHECKS
        came: dict[frozenset[str], list[tuple[Differences, dict[str, Plain]]]] = {}
        for row, old in enumerate(before):
            holes = self._holes(self.expected[old])
            checks -= len(holes) * len(after)
            if not holes or checks < 0:
                continue
            if holes not in came:
                came[holes] = [(self._differences(new), _at(self.actual[new], holes)) for new in after]
            wanted = _at(self.expected[old], holes)
            also[row] = [
                sum(path in found and differences.same(node, found[path], path) for path, node in wanted.items())
                for differences, found in came[holes]
            ]
        return also


def _with_holes(call: Call, holes: frozenset[str]) -> str:
    return canonical(rewritten(call, lambda _, path: _HOLE if path in holes else KEPT))


def _at(call: Call, paths: frozenset[str]) -> dict[str, Plain]:
    """What stands at each of the paths in a call."""
    found: dict[str, Plain] = {}

    def look(node: Plain, path: str) -> Kept:
        if path in paths:
            found[path] = node
        return KEPT

    rewritten(call, look)
    return found


def _arguments(call: Call) -> str:
    return canonical(Call("", call.positional, call.keywords)) if call.positional or call.keywords else ""
