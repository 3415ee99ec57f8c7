"""Values that need not be equal to be the same: numbers within a tolerance, and what a matcher takes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from operator import or_
from typing import TypeAlias

from multitrack.snapshots.assignment import THRICE
from multitrack.snapshots.differences import Differences
from multitrack.snapshots.lanes import Lanes
from multitrack.snapshots.literals import KEPT, Call, Name, Plain, canonical, children, nodes, rewritten
from multitrack.snapshots.matchers import Expected
from multitrack.snapshots.terms import Terms, number, reach

_Firm: TypeAlias = "frozenset[tuple[str, type, str]]"
_HOLE = Name("_")


@dataclass(frozen=True, slots=True)
class Parted:
    """A ``call`` in two: the ``loose`` values by their paths, which need not be equal to be the same, and the ``firm``
    rest, which is equal where nothing but loose values differs."""

    call: Call
    loose: Mapping[str, Decimal | Expected]
    firm: _Firm


class Agreement:
    """Which of the ``actual`` calls, all of one ``tool``, have what an expected one has, on the given terms: as marks
    in ``lanes``, of which each of them has one.

    ``values`` are what was found at each path of each of them, if expected calls hold matchers.
    """

    def __init__(
        self, tool: str, actual: Sequence[Call], terms: Terms, values: Sequence[Mapping[str, object]] = ()
    ) -> None:
        self.lanes = Lanes(len(actual), THRICE)
        self._tool, self._terms, self._values = tool, terms, values
        self._actual = [self.parted(call) for call in actual]
        self._numbers: dict[str, _Numbers] = {}
        self._firm: dict[frozenset[str], Mapping[_Firm, int]] = {}

    def parted(self, call: Call) -> Parted:
        """A call, expected or not, as it is asked for here."""
        loose: dict[str, Decimal | Expected] = {}
        firm: list[tuple[str, type, str]] = [("", Call, _own(call))]
        for path, node in nodes(call).items():
            value = self._loose(path, node)
            if value is None:
                firm.append((path, type(node), _own(node)))
            else:
                loose[path] = value
                firm.append((path, Decimal, ""))
        return Parted(call, loose, frozenset(firm))

    def same(self, wanted: Parted) -> int:
        """The marks of the calls that are the same as an expected one for its loose values; none without any."""
        if not wanted.loose:
            return 0
        holes = frozenset(path for path, value in wanted.loose.items() if isinstance(value, Expected))
        marks = self._with_holes(holes).get(self._without(wanted, holes).firm, 0)
        for path, value in wanted.loose.items():
            marks &= self.agreeing(path, value) if marks else 0
        return marks

    def agreeing(self, path: str, value: Decimal | Expected) -> int:
        """The marks of the calls that have at ``path`` what is the same as the expected ``value``."""
        if isinstance(value, Expected):
            return sum(self.lanes.mark(lane) for lane in range(len(self._actual)) if self._takes(lane, path, value))
        if path not in self._numbers:
            marks: defaultdict[Decimal, int] = defaultdict(int)
            for lane, actual in enumerate(self._actual):
                if isinstance(came := actual.loose.get(path), Decimal):
                    marks[came] |= self.lanes.mark(lane)
            self._numbers[path] = _Numbers.of(marks)
        tolerance = self._terms.tolerance(self._tool, path)
        assert tolerance is not None
        return self._numbers[path].between(*reach(value, tolerance))

    def _loose(self, path: str, node: Plain) -> Decimal | Expected | None:
        if isinstance(node, Expected):
            return node
        if not isinstance(node, (int, float, Call)) or self._terms.tolerance(self._tool, path) is None:
            return None
        return number(node)

    def _takes(self, lane: int, path: str, matcher: Expected) -> bool:
        values = self._values[lane]
        return path in values and Differences(self._terms, self._tool, values).same(matcher, None, path)

    def _with_holes(self, holes: frozenset[str]) -> Mapping[_Firm, int]:
        """The marks of the calls by what is firm in them, but for what stands in the ``holes``."""
        if holes not in self._firm:
            found: defaultdict[_Firm, int] = defaultdict(int)
            for lane, actual in enumerate(self._actual):
                found[self._without(actual, holes).firm] |= self.lanes.mark(lane)
            self._firm[holes] = found
        return self._firm[holes]

    def _without(self, parted: Parted, holes: frozenset[str]) -> Parted:
        if not holes:
            return parted
        return self.parted(rewritten(parted.call, lambda _, path: _HOLE if path in holes else KEPT))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Numbers in their order, and the marks of the calls with any of the first so many."""

    ordered: Sequence[Decimal]
    marks: Sequence[int]

    @classmethod
    def of(cls, marks: Mapping[Decimal, int]) -> _Numbers:
        ordered = sorted(marks)
        return cls(ordered, [*accumulate((marks[one] for one in ordered), or_, initial=0)])

    def between(self, least: Decimal, greatest: Decimal) -> int:
        return self.marks[bisect_right(self.ordered, greatest)] ^ self.marks[bisect_left(self.ordered, least)]


def _own(node: Plain) -> str:
    """A value without its parts."""
    if isinstance(node, str):
        return node
    if isinstance(node, (list, tuple)) and node:
        return type(node).__name__
    if isinstance(node, (int, float)) or not children(node):
        return canonical(node)
    if isinstance(node, Call):
        return f"{node.name}({_own(node.positional[0])})" if node.positional else node.name
    return type(node).__name__
