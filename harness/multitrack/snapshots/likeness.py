"""Measure how similar two calls of one tool are, to decide whether to report them as one changed call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from multitrack.snapshots.expression_paths import list_children
from multitrack.snapshots.expressions import Expression, SnapshotCall, canonical_text

# Two calls that agree in no argument are one removed and one added call, unless their texts share more than this part
# (3 of 10) of their character triples. Reported field by field, they would read as noise.
_ALIKE = 3, 10

# If the calls have more characters than this in total, their texts are compared by words, because comparing triples
# would take longer than everything else together.
_MANY_CHARACTERS = 10_000

# the steps between texts with nothing in common and equal texts
_LEVELS = 32

# half a line of the report; it weighs more than all levels of likeness
_HALF_LINE = 2 * _LEVELS

# the paths of a call whose arguments are not a JSON object: one text without a name
_UNREADABLE = frozenset({""})


@dataclass(frozen=True, slots=True)
class _Traits:
    """A call as three sets: the paths of its values, the values with their paths, and the pieces of their texts."""

    paths: frozenset[str]
    values: frozenset[tuple[str, str]]
    pieces: frozenset[str]


def worth_of_pairs(
    expected: Sequence[SnapshotCall],
    received: Sequence[SnapshotCall],
    agreeing: Mapping[tuple[int, int], int] = MappingProxyType({}),
) -> list[list[int]]:
    """Return the worth of each pair of an expected call and a received call of the same tool.

    Equal arguments weigh most. If two pairs have the same number of equal arguments, the similarity of the texts
    decides. Each argument that only one of the two calls has lowers the worth of their pair.

    Args:
        expected: The expected calls, the rows.
        received: The received calls, the columns.
        agreeing: By row and column, how many values are within their tolerance or fit their matcher.

    Returns:
        For each row, a number of at least 0 per column. Calls worth 0 are never paired.
    """
    rows, columns = _compute_traits(expected, received)
    table = []
    for number, row in enumerate(rows):
        lines_saved = {paths: _count_lines_saved(row.paths, paths) for paths in {column.paths for column in columns}}
        table.append(
            [
                _compute_worth(row, column, *lines_saved[column.paths], agreeing.get((number, other), 0))
                for other, column in enumerate(columns)
            ]
        )
    return table


def _compute_worth(row: _Traits, column: _Traits, saved_if_alike: int, saved_if_not: int, agreeing: int) -> int:
    agreeing += len(row.values & column.values)
    shared = len(row.pieces & column.pieces)
    total = len(row.pieces) + len(column.pieces) - shared
    part, of = _ALIKE
    is_alike = of * shared > part * total
    if not agreeing and not is_alike:
        return max(saved_if_not, 0)
    level = _LEVELS * shared // total if is_alike else 0
    return max(saved_if_alike + 2 * _HALF_LINE * agreeing + level, 0)


def _count_lines_saved(one: frozenset[str], other: frozenset[str]) -> tuple[int, int]:
    """Return how many lines a changed call saves compared with a removed and an added call, if all arguments changed.

    The first number is for calls that have something in common, the second for calls that have nothing in common. Calls
    of the second kind are only paired if neither has more than one argument, or if the arguments of exactly one of them
    could not be parsed.
    """
    if (one == _UNREADABLE) != (other == _UNREADABLE):
        return _HALF_LINE, _HALF_LINE
    saved = (2 * len(one & other) + 2 - len(one) - len(other)) * _HALF_LINE
    return saved, saved if len(one) < 2 and len(other) < 2 else 0


def _compute_traits(*sides: Sequence[SnapshotCall]) -> list[list[_Traits]]:
    leaves = [[_list_leaves(call) for call in calls] for calls in sides]
    by_words = sum(len(value) for side in leaves for call in side for _, value in call) > _MANY_CHARACTERS
    pieces: dict[str, frozenset[str]] = {}

    def compute(call: list[tuple[str, str]]) -> _Traits:
        for _, value in call:
            if value not in pieces:
                pieces[value] = frozenset(_split_text(value, by_words=by_words))
        texts = [pieces[value] for _, value in call]
        return _Traits(frozenset([path for path, _ in call]), frozenset(call), frozenset().union(*texts))

    return [[compute(call) for call in side] for side in leaves]


def _split_text(text: str, *, by_words: bool) -> Iterable[str]:
    text = text.lower()
    if by_words:
        return re.findall(r"\w+", text)
    return map("".join, zip(text, text[1:], text[2:], strict=False)) if len(text) > 2 else (text,)


def _list_leaves(call: SnapshotCall) -> list[tuple[str, str]]:
    """Return each value with its path. Paths contain no item numbers, so that an item keeps its path when it moves."""
    leaves: list[tuple[str, str]] = []

    def collect(parts: Mapping[str | int, Expression], path: str) -> None:
        for key, part in parts.items():
            leaf_path = path if isinstance(key, int) else f"{path}.{key}"
            if isinstance(part, (str, int, float)):
                leaves.append((leaf_path, repr(part)))
            elif inner := list_children(part):
                collect(inner, f"{leaf_path}[]" if isinstance(part, (list, tuple)) else leaf_path)
            else:
                leaves.append((leaf_path, canonical_text(part)))

    if call.positional and not list_children(call):  # arguments that could not be parsed
        return [("", canonical_text(call))]
    collect(list_children(call), "")
    return leaves
