"""Changes to a string: each change replaces a span with other text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeAlias


class TextChange(NamedTuple):
    """A change to a string: ``replacement`` replaces the characters from ``start`` to ``end``."""

    start: int
    end: int
    replacement: str


FindChanges: TypeAlias = Callable[[str], Sequence[TextChange]]
"""Returns disjoint changes to a string, in the order of their spans."""


def find_changes(pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str], text: str) -> list[TextChange]:
    """Return a change for each match of ``pattern`` whose replacement differs from the matched text."""
    found = [(match, replace(match)) for match in pattern.finditer(text)]
    return [TextChange(*match.span(), replacement) for match, replacement in found if replacement != match[0]]


def select_disjoint(changes: Iterable[TextChange]) -> list[TextChange]:
    """Return the changes in the order of the text. Of two overlapping changes, keep the first in ``changes``."""
    ordered = sorted((change.start, rank, change) for rank, change in enumerate(changes))
    selected: list[tuple[int, TextChange]] = []
    for _, rank, change in ordered:
        # an earlier change that ends before this one begins has already been compared with every change that it
        # overlaps
        while selected and selected[-1][1].end > change.start and selected[-1][0] > rank:
            selected.pop()
        if not selected or selected[-1][1].end <= change.start:
            selected.append((rank, change))
    return [change for _, change in selected]


def apply_changes(text: str, changes: Sequence[TextChange]) -> str:
    """Apply ``changes`` to ``text``. The changes must be disjoint, and in the order of the text."""
    parts: list[str] = []
    position = 0
    for start, end, replacement in changes:
        parts += text[position:start], replacement
        position = end
    return "".join([*parts, text[position:]])


def apply_to_pieces(pieces: Sequence[str], changes: Sequence[TextChange]) -> list[str]:
    """Apply ``changes`` to ``pieces``. The spans of the changes are positions in the joined text.

    A replacement goes into the piece where its span begins. All text that does not change stays in its piece.
    """
    starts = [0, *accumulate(map(len, pieces))]
    changed = list(pieces)
    by_piece: dict[int, list[TextChange]] = {}
    for start, end, replacement in changes:
        # if several pieces begin here, use the last one, because the others are empty
        position = min(bisect_right(starts, start) - 1, len(pieces) - 1)
        while True:
            offset = starts[position]
            part = TextChange(max(start - offset, 0), min(end - offset, len(pieces[position])), replacement)
            by_piece.setdefault(position, []).append(part)
            position += 1
            replacement = ""
            if position == len(pieces) or starts[position] >= end:
                break
    for position, parts in by_piece.items():
        changed[position] = apply_changes(pieces[position], parts)
    return changed


def has_divided(pieces: Sequence[str], changes: Sequence[TextChange]) -> bool:
    """Return whether a change spans several ``pieces``. The spans of ``changes`` refer to the joined text."""
    ends = list(accumulate(map(len, pieces)))
    return any(end > ends[bisect_right(ends, start)] for start, end, _ in changes if start < ends[-1])
