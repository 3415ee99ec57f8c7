"""How much two calls of one tool have in common: what it is worth to tell them as one call that changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from multitrack.snapshots.assignment import THRICE
from multitrack.snapshots.lanes import Lanes
from multitrack.snapshots.literals import Call, Plain, canonical, children

# Two calls that agree in no argument, and whose texts share no more than this part (3 of 10) of their character
# triples, are one call removed and another added: field by field, they would read as noise.
_ALIKE = 3, 10

# Calls of more characters than this in all are compared by words instead of triples, which would take longer than
# everything else together.
_MANY_CHARACTERS = 20_000

# The steps between no likeness of texts and equal texts, in sets up to so many pairs of calls and in larger ones: the
# fewer there are, the sooner an assignment of hundreds of calls is found.
_LEVELS, _MANY_PAIRS, _FEW_LEVELS = 32, 10_000, 4

# the paths of a call whose arguments are no JSON object: one text without a name
_UNREADABLE = frozenset({""})


def worth(
    expected: Sequence[Call], actual: Sequence[Call], also: Mapping[int, Sequence[int]] = MappingProxyType({})
) -> tuple[list[int], Lanes]:
    """For each expected call, in lanes, what it is worth to pair it with each actual one of the same tool: 0 if they
    are not alike.

    ``also``: for some of the expected calls, how many values agree with each actual one that are not equal.

    An argument that agrees weighs most, and where as many agree, how alike the texts are. Less is gained by a pair of
    calls the more arguments only one of them has.
    """
    before, after = _traits(expected, actual)
    levels = _LEVELS if len(before) * len(after) <= _MANY_PAIRS else _FEW_LEVELS
    agreeing = max((max(row) for row in also.values()), default=0)
    columns = _Columns(after, levels, largest=_Size.of([*before, *after], agreeing))
    return [columns.worth(call, also.get(row)) for row, call in enumerate(before)], columns.lanes


def _base(one: frozenset[str], other: frozenset[str], field: int) -> tuple[int, int]:
    """What it is worth to tell two calls as one that changed in all of its arguments, instead of one removed and one
    added: by twice the lines that it saves. First if the calls have something in common, then if they have nothing:
    that is worth something only if there is no more than one argument, or if those of one call could not be read."""
    if (one == _UNREADABLE) != (other == _UNREADABLE):
        return field, field
    saved = (2 * len(one & other) + 2 - len(one) - len(other)) * field
    return saved, saved if len(one) < 2 and len(other) < 2 else 0


@dataclass(frozen=True, slots=True)
class _Trait:
    """A call as three sets: the paths of its values, the values at their paths, the pieces of their texts."""

    paths: frozenset[str]
    values: frozenset[tuple[str, str]]
    pieces: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Size:
    """How many ``paths`` and ``pieces`` a call has at most, and how many of its values may be ``agreeing``."""

    paths: int
    agreeing: int
    pieces: int

    @classmethod
    def of(cls, calls: Sequence[_Trait], more: int) -> _Size:
        return cls(
            max(len(call.paths) for call in calls),
            max(len(call.values) for call in calls) + more,
            max(len(call.pieces) for call in calls),
        )


def _traits(*sides: Sequence[Call]) -> list[list[_Trait]]:
    leaves = [[_leaves(call) for call in calls] for calls in sides]
    by_words = sum(len(value) for side in leaves for call in side for _, value in call) > _MANY_CHARACTERS
    pieces: dict[str, frozenset[str]] = {}

    def trait(call: list[tuple[str, str]]) -> _Trait:
        for _, value in call:
            if value not in pieces:
                pieces[value] = frozenset(_pieces(value, by_words=by_words))
        texts = [pieces[value] for _, value in call]
        return _Trait(frozenset([path for path, _ in call]), frozenset(call), frozenset().union(*texts))

    return [[trait(call) for call in side] for side in leaves]


def _pieces(text: str, *, by_words: bool) -> Iterable[str]:
    text = text.lower()
    if by_words:
        return re.findall(r"\w+", text)
    return map("".join, zip(text, text[1:], text[2:], strict=False)) if len(text) > 2 else (text,)


def _leaves(call: Call) -> list[tuple[str, str]]:
    """Each value with its path, items without their numbers: one that moved within its list is the same."""
    leaves: list[tuple[str, str]] = []

    def collect(parts: Mapping[str | int, Plain], path: str) -> None:
        for key, part in parts.items():
            where = path if isinstance(key, int) else f"{path}.{key}"
            if isinstance(part, (str, int, float)):
                leaves.append((where, repr(part)))
            elif below := children(part):
                collect(below, f"{where}[]" if isinstance(part, (list, tuple)) else where)
            else:
                leaves.append((where, canonical(part)))

    if call.positional and not children(call):  # arguments that could not be read
        return [("", canonical(call))]
    collect(children(call), "")
    return leaves


class _Columns:
    """The calls that came, one to a lane, to be held against an expected one all at once."""

    def __init__(self, calls: Sequence[_Trait], levels: int, largest: _Size) -> None:
        self._calls = calls
        self._levels = levels
        self._field = 2 * levels  # half a line weighs more than all levels of likeness
        # a pair that costs more lines than it saves is worth less than nothing, which no lane can hold
        self._nothing = 2 * largest.paths * self._field
        highest = self._nothing + (2 + 2 * largest.agreeing) * self._field + levels
        compared = 4 * max(levels, sum(_ALIKE)) * largest.pieces + 1
        self.lanes = Lanes(len(calls), max(THRICE * highest, compared))
        self._values = self._counted([call.values for call in calls])
        self._pieces = self._counted([call.pieces for call in calls])
        self._sizes = self.lanes.packed([len(call.pieces) for call in calls])
        self._bases: dict[frozenset[str], tuple[int, int]] = {}
        self._steps: dict[int, list[int]] = {}

    def worth(self, call: _Trait, also: Sequence[int] | None) -> int:
        """What it is worth to pair ``call`` with each of them."""
        lanes = self.lanes
        base, lone = self._base(call.paths)
        agreeing = _shared(self._values, call.values)
        if also is not None:
            agreeing += lanes.packed(also)
        alike, level = self._likeness(call)
        common = lanes.filled(alike | lanes.reaching(agreeing, lanes.ones))
        line = ((base + 2 * self._field * agreeing + level) & common) | (lone & ~common)
        least = self._nothing * lanes.ones
        return ((line | lanes.marks) - least) & lanes.filled(lanes.reaching(line, least))

    def _base(self, paths: frozenset[str]) -> tuple[int, int]:
        if paths not in self._bases:
            pairs = [_base(paths, call.paths, self._field) for call in self._calls]
            base, lone = ([one + self._nothing for one in side] for side in zip(*pairs, strict=True))
            self._bases[paths] = self.lanes.packed(base), self.lanes.packed(lone)
        return self._bases[paths]

    def _likeness(self, call: _Trait) -> tuple[int, int]:
        """The marks of those with texts like those of ``call``, and which level of likeness each of them reaches."""
        # of what either has, both have at least x / y: (x + y) times what both have, against x times the sum of each
        lanes, levels, (part, of) = self.lanes, self._levels, _ALIKE
        both = _shared(self._pieces, call.pieces)
        size = len(call.pieces)
        if size not in self._steps:
            sizes = self._sizes + size * lanes.ones
            self._steps[size] = [part * sizes + lanes.ones, *(step * sizes for step in range(1, levels + 1))]
        enough, *steps = self._steps[size]
        alike = lanes.reaching((part + of) * both, enough)
        reached = (lanes.reaching((levels + step) * both, needed) for step, needed in enumerate(steps, start=1))
        return alike, sum(map(lanes.counted, reached)) & lanes.filled(alike) if alike else 0

    def _counted(self, sets: Iterable[Iterable[object]]) -> dict[object, int]:
        """For each element a 1 in the lanes of the sets that have it."""
        found: dict[object, int] = {}
        for lane, elements in enumerate(sets):
            one = self.lanes.counted(self.lanes.mark(lane))
            for element in elements:
                found[element] = found.get(element, 0) + one
        return found


def _shared(counted: Mapping[object, int], elements: Iterable[object]) -> int:
    """How many of ``elements`` each set has."""
    return sum([counted[element] for element in elements if element in counted])
