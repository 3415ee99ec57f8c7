"""How much two calls of one tool have in common: what it is worth to tell them as one call that changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from struct import unpack
from types import MappingProxyType

from multitrack.snapshots.literals import Call, Plain, canonical, children

# Two calls that agree in no argument, and whose texts share less than this part of their character triples, are one
# call removed and another added: field by field, they would read as noise.
_ALIKE = 0.3

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
) -> list[list[int]]:
    """For each expected call (rows) and each actual one of the same tool (columns), 0 if they are not alike.

    ``also``: for some rows, how many values agree with each column that are not equal.

    An argument that agrees weighs most, and where as many agree, how alike the texts are. Less is gained by a pair of
    calls the more arguments only one of them has.
    """
    before, after = _traits(expected, actual)
    levels = _LEVELS if len(before) * len(after) <= _MANY_PAIRS else _FEW_LEVELS
    field = 2 * levels  # half a line weighs more than all of them
    values = _Columns([call.values for call in after], each=2 * field)
    pieces = _Columns([call.pieces for call in after])
    sizes = [len(call.pieces) for call in after]
    shapes: dict[frozenset[str], list[tuple[int, int]]] = {}
    limits: dict[int, list[float]] = {}
    rows = []
    for row, call in enumerate(before):
        if call.paths not in shapes:
            shapes[call.paths] = [_base(call.paths, other.paths, field) for other in after]
        size = len(call.pieces)
        if size not in limits:
            # a part of all pieces that two calls have, as one of the sum of those of each
            limits[size] = [_ALIKE / (1 + _ALIKE) * (size + other) for other in sizes]
        bases, agreeing, alike = shapes[call.paths], values.shared(call.values), pieces.shared(call.pieces)
        if row in also:
            agreeing = [agree + field * 2 * more for agree, more in zip(agreeing, also[row], strict=True)]
        line = [
            base + agree + levels * both // (size + other - both) if both > limit else base + agree if agree else lone
            for (base, lone), agree, both, other, limit in zip(bases, agreeing, alike, sizes, limits[size], strict=True)
        ]
        rows.append(line if min(line) >= 0 else [max(own, 0) for own in line])
    return rows


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

    collect(children(call), "")
    return leaves


class _Columns:
    """Sets, one to a column, to be counted against another set all at once.

    For each element a number with a lane of 32 bits for each column, which is 1 where the column has the element:
    the sum of such numbers holds in each lane how many elements were found there, here times ``each``.
    """

    def __init__(self, sets: Sequence[Iterable[object]], each: int = 1) -> None:
        self.count = len(sets)
        self.lanes: dict[object, int] = {}
        for column, elements in enumerate(sets):
            lane = each << (32 * column)
            for element in elements:
                self.lanes[element] = self.lanes.get(element, 0) + lane

    def shared(self, elements: Iterable[object]) -> Sequence[int]:
        """How many of ``elements`` each column has."""
        total = sum([self.lanes[element] for element in elements if element in self.lanes])
        return unpack(f"<{self.count}I", total.to_bytes(4 * self.count, "little"))
