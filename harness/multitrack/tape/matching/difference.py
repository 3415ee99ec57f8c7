"""Find the paths at which two JSON documents differ, and both values at each path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from multitrack.tape import jsontext
from multitrack.tape.redaction.word_boundaries import REDACTED

# Comparing this many pairs of items takes some tenths of a second if many items are equal, as in a vector of numbers.
_MAX_PAIRS = 1_000_000

Path = tuple[str | int, ...]


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()
"""Stands for the value at a path that does not exist in one of the documents. Differs from null, which is a value."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where a recorded JSON document and the sent document differ.

    ``path`` leads to this place: it consists of keys of objects and positions in arrays.
    """

    path: Path
    recorded: Any
    sent: Any

    def __str__(self) -> str:
        """The path as a JSON path, such as ``$.messages[1].content``."""
        return "$" + "".join(_format_step(step) for step in self.path)


def _format_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isidentifier() else f"[{jsontext.canonical(step)}]"


def find_differences(recorded: Any, sent: Any, path: Path = ()) -> Iterator[Difference]:
    """Yield the smallest differences between two JSON documents.

    An inserted or removed array item is one difference and does not shift the items after it. ``REDACTED`` in a
    recorded string matches any text.
    """
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for key in [*recorded, *(key for key in sent if key not in recorded)]:
            yield from _compare_values(recorded.get(key, ABSENT), sent.get(key, ABSENT), (*path, key))
    elif isinstance(recorded, list) and isinstance(sent, list):
        before = [jsontext.canonical(item) for item in recorded]
        after = [jsontext.canonical(item) for item in sent]
        for begin, end, new_begin, new_end in _find_changed_ranges(before, after):
            for offset in range(max(end - begin, new_end - new_begin)):
                old, new = begin + offset, new_begin + offset
                yield from _compare_values(
                    recorded[old] if old < end else ABSENT,
                    sent[new] if new < new_end else ABSENT,
                    (*path, new if new < new_end else old),
                )
    elif not _are_equal(recorded, sent):
        yield Difference(path, recorded, sent)


def _find_changed_ranges(before: list[str], after: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the ranges where the items differ: begin and end in ``before``, begin and end in ``after``."""
    begin = _count_common(before, after)
    rest = _count_common(before[begin:][::-1], after[begin:][::-1])
    old, new = before[begin : len(before) - rest], after[begin : len(after) - rest]
    if len(old) * len(new) > _MAX_PAIRS:
        yield begin, len(before) - rest, begin, len(after) - rest
        return
    for tag, *bounds in SequenceMatcher(None, old, new, False).get_opcodes():
        if tag != "equal":
            first, last, new_first, new_last = (begin + bound for bound in bounds)
            yield first, last, new_first, new_last


def _count_common(one: list[str], other: list[str]) -> int:
    """Return the length of the common prefix of two lists."""
    pairs = zip(one, other, strict=False)
    return next((count for count, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def _compare_values(recorded: Any, sent: Any, path: Path) -> Iterator[Difference]:
    if ABSENT in (recorded, sent):
        yield Difference(path, recorded, sent)
    else:
        yield from find_differences(recorded, sent, path)


def _matches(pieces: Sequence[str], sent: str) -> bool:
    """Return whether ``sent`` consists of ``pieces``, in order, with any text between two pieces."""
    first, *inner, last = pieces
    if not sent.startswith(first) or not sent.endswith(last):
        return False
    position = len(first)
    for piece in inner:
        if (found := sent.find(piece, position)) < 0:
            return False
        position = found + len(piece)
    return position <= len(sent) - len(last)


def _are_equal(recorded: Any, sent: Any) -> bool:
    if isinstance(recorded, str) and isinstance(sent, str) and REDACTED in recorded:
        return _matches(recorded.split(REDACTED), sent)
    # 1 equals 1.0, but True does not equal 1
    same_kind = type(recorded) is type(sent) or {type(recorded), type(sent)} == {int, float}
    return same_kind and bool(recorded == sent)
