"""Measure how similar two calls to the same tool are, to decide whether to report them as one changed call."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from functools import cache, reduce
from operator import or_
from typing import NamedTuple

from multitrack.snapshots.expression_paths import Leaf
from multitrack.snapshots.expressions import canonical_text

# Two calls that agree in no argument are one removed and one added call, unless their texts share more than this
# fraction (3 of 10) of their character triples. Reported field by field, they would read as noise.
_ALIKE = 3, 10

# If the calls have more characters than this in total, their texts are compared by words, because comparing triples
# would take longer than everything else together.
_MANY_CHARACTERS = 10_000

# the number of steps from strings with nothing in common to equal strings
_LEVELS = 32

# half a line of the report; it weighs more than all levels of likeness
_HALF_LINE = 2 * _LEVELS

# the paths of a call whose arguments are not a JSON object: one string without a name
_UNREADABLE = frozenset({""})


class _Traits(NamedTuple):
    """A call as three sets: the paths of its values, the values with their paths, and the pieces of their texts.

    ``values`` and ``pieces`` are integers that have one bit for each member of the set. Every expected call is compared
    with every received call, and counting the common bits of two integers is many times faster than intersecting sets.
    """

    paths: frozenset[str]
    values: int
    pieces: int
    piece_count: int


def worth_of_pairs(
    expected: Sequence[Sequence[Leaf]],
    received: Sequence[Sequence[Leaf]],
    agreeing: Sequence[Sequence[int]] | None = None,
) -> list[list[int]]:
    """Return how similar each expected call is to each received call to the same tool.

    Equal arguments weigh most. If two pairs have the same number of equal arguments, the similarity of the texts
    decides. An argument that is in only one of the two calls lowers the similarity of their pair.

    Args:
        expected: The values of each expected call.
        received: The values of each received call.
        agreeing: ``agreeing[i][j]`` is the number of values in the expected call ``i`` and the received call ``j``
            that are within their tolerance or fit their matcher. None if there are neither tolerances nor matchers.

    Returns:
        A matrix of numbers from 0. ``result[i][j]`` is the similarity of the expected call ``i`` and the received
        call ``j``. If it is 0, the two calls are never paired.
    """
    rows, columns = _compute_traits(expected, received)
    counts = agreeing or [[0] * len(columns)] * len(rows)
    return [_compute_worths(row, columns, row_counts) for row, row_counts in zip(rows, counts, strict=True)]


def _compute_worths(row: _Traits, columns: Sequence[_Traits], counts: Sequence[int]) -> list[int]:
    row_paths, row_values, row_pieces, row_piece_count = row
    lines_saved = {paths: _count_lines_saved(row_paths, paths) for paths in {column.paths for column in columns}}
    part, of = _ALIKE
    worths = []
    for (paths, values, pieces, piece_count), count in zip(columns, counts, strict=True):
        saved_if_alike, saved_if_not = lines_saved[paths]
        agreeing = count + (row_values & values).bit_count()
        shared = (row_pieces & pieces).bit_count()
        total = row_piece_count + piece_count - shared
        is_alike = of * shared > part * total
        if agreeing or is_alike:
            worth = saved_if_alike + 2 * _HALF_LINE * agreeing + (_LEVELS * shared // total if is_alike else 0)
        else:
            worth = saved_if_not
        worths.append(worth if worth > 0 else 0)
    return worths


def _count_lines_saved(one: frozenset[str], other: frozenset[str]) -> tuple[int, int]:
    """Return how many report lines are saved by showing two calls as one changed call.

    Every argument is counted as different.

    Returns:
        How many lines are saved if the calls have an equal or similar value, and how many if they do not. The second
        number is 0 if either call has more than one argument, so that calls with nothing in common are not paired. If
        the arguments of exactly one call could not be parsed, both numbers are half a line.
    """
    if (one == _UNREADABLE) != (other == _UNREADABLE):
        return _HALF_LINE, _HALF_LINE
    saved = (2 * len(one & other) + 2 - len(one) - len(other)) * _HALF_LINE
    return saved, saved if len(one) < 2 and len(other) < 2 else 0


class _Bits(dict[Hashable, int]):
    """A mapping that assigns the next free bit to a key when the key is first looked up."""

    def __missing__(self, key: Hashable) -> int:
        bit = self[key] = 1 << len(self)
        return bit

    def combine(self, keys: Iterable[Hashable]) -> int:
        return reduce(or_, [self[key] for key in keys], 0)


def _compute_traits(*sides: Sequence[Sequence[Leaf]]) -> list[list[_Traits]]:
    # paths without item numbers, so that an item keeps its path when it moves
    values = [[[(pattern, canonical_text(node)) for _, pattern, node in leaves] for leaves in side] for side in sides]
    by_words = sum(len(text) for side in values for call in side for _, text in call) > _MANY_CHARACTERS
    # equal sets of paths become one object, so that looking one up does not compare its members
    path_sets: dict[frozenset[str], frozenset[str]] = {}
    value_bits, piece_bits = _Bits(), _Bits()

    @cache
    def find_pieces(text: str) -> int:
        return piece_bits.combine(_split_text(text, by_words=by_words))

    def compute(call: list[tuple[str, str]]) -> _Traits:
        paths = frozenset([path for path, _ in call])
        pieces = reduce(or_, [find_pieces(text) for _, text in call], 0)
        return _Traits(path_sets.setdefault(paths, paths), value_bits.combine(call), pieces, pieces.bit_count())

    return [[compute(call) for call in side] for side in values]


def _split_text(text: str, *, by_words: bool) -> Iterable[str]:
    text = text.lower()
    if by_words:
        return re.findall(r"\w+", text)
    return [text[start : start + 3] for start in range(len(text) - 2)] or [text]
