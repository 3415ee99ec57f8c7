"""Which expected call belongs to which of those that came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from multitrack.snapshots.agreement import Agreement, Parted
from multitrack.snapshots.assignment import assign
from multitrack.snapshots.likeness import worth
from multitrack.snapshots.literals import Call, canonical
from multitrack.snapshots.matchers import Expected
from multitrack.snapshots.terms import Terms

_Key: TypeAlias = Callable[[Call], str]
_Also: TypeAlias = Mapping[int, Sequence[int]]
"""By rows, how many values are the same in each of the columns that need not be equal for it."""

# Matchers that may be asked for this alone, tens of milliseconds: what it is for is a handful of calls, and of
# hundreds enough else tells which belong together.
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
        self._pair_by_tool()
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

    def _pair_by_tool(self) -> None:
        tools: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        olds, news = self._open()
        for old in olds:
            tools[self.expected[old].name][0].append(old)
        for new in news:
            tools[self.actual[new].name][1].append(new)
        for tool, (before, after) in tools.items():
            if not before or not after:
                continue
            also: _Also = {}
            if self.values or not self.terms.exact:
                before, after, also = self._pair_same(tool, before, after)
            self._pair_alike(before, after, also)

    def _pair_same(self, tool: str, before: list[int], after: list[int]) -> tuple[list[int], list[int], _Also]:
        """Pair calls that differ only in numbers within their tolerance, and in what matchers take.

        Gives the positions that are left, and what there agrees without being equal.
        """
        agreement = self._agreement(tool, after)
        wanted = [agreement.parted(self.expected[old]) for old in before]
        pairs = assign([agreement.lanes.counted(agreement.same(one)) for one in wanted], agreement.lanes)
        if pairs:
            self.pairs.update((before[row], after[column]) for row, column in pairs)
            rows, columns = ({*side} for side in zip(*pairs, strict=True))
            before = [old for row, old in enumerate(before) if row not in rows]
            wanted = [one for row, one in enumerate(wanted) if row not in rows]
            after = [new for column, new in enumerate(after) if column not in columns]
            agreement = self._agreement(tool, after)
        return before, after, _agreeing(agreement, wanted) if after else {}

    def _agreement(self, tool: str, after: list[int]) -> Agreement:
        values = [self.values[new] for new in after] if self.values else ()
        return Agreement(tool, [self.actual[new] for new in after], self.terms, values)

    def _pair_alike(self, before: list[int], after: list[int], also: _Also) -> None:
        if not before or not after:
            return
        matrix, lanes = worth([self.expected[old] for old in before], [self.actual[new] for new in after], also)
        for row, column in assign(matrix, lanes):
            self.pairs[before[row]] = after[column]


def _agreeing(agreement: Agreement, wanted: Sequence[Parted]) -> _Also:
    also: dict[int, Sequence[int]] = {}
    lanes = agreement.lanes
    checks = _CHECKS
    for row, one in enumerate(wanted):
        checks -= sum(isinstance(value, Expected) for value in one.loose.values()) * lanes.count
        if one.loose and checks >= 0:
            counted = (lanes.counted(agreement.agreeing(path, value)) for path, value in one.loose.items())
            also[row] = lanes.numbers(sum(counted))
    return also


def _arguments(call: Call) -> str:
    return canonical(Call("", call.positional, call.keywords)) if call.positional or call.keywords else ""
