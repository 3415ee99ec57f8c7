"""Find where two calls differ, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import Final

from multitrack.snapshots.comparison_options import ComparisonOptions, to_number
from multitrack.snapshots.expression_paths import Key, join_key, list_children, unwrap
from multitrack.snapshots.expressions import Expression, Name, SnapshotCall, canonical_text
from multitrack.snapshots.matchers import MatcherNode


class Absent(Enum):
    """The placeholder for a field that is missing from one of two compared calls."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT

TOOL = ""
"""The path of the tool's name."""

ID = "@"
"""The path of the call's id."""

ARGUMENTS = "()"
"""The path of all arguments together, if the arguments of one call could not be parsed."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field in which an expected and a received call differ.

    Attributes:
        path: The path in the call (``stops[1].city``), or ``TOOL``, ``ID`` or ``ARGUMENTS``.
        old: The expected value.
        new: The received value.
    """

    path: str
    old: Expression | Absent
    new: Expression | Absent


class CallDiffer:
    """A comparison that finds the differences between expected calls and one received call.

    Args:
        options: The options of the comparison.
        tool: The name of the received call.
        values: The Python values in the received call, keyed by path. Matchers are compared with them.
    """

    def __init__(self, options: ComparisonOptions, tool: str, values: Mapping[str, object]) -> None:
        self._options = options
        self._values = values
        self._tool = tool

    def find_changes(self, old: SnapshotCall, new: SnapshotCall) -> Iterator[FieldChange]:
        """Yield the differences in the order of the fields."""
        if old.name != new.name:
            yield FieldChange(TOOL, Name(old.name), Name(new.name))
        if old.id != new.id:
            yield FieldChange(ID, _get_id(old), _get_id(new))
        if bool(old.positional) != bool(new.positional):
            yield FieldChange(ARGUMENTS, _get_all_arguments(old), _get_all_arguments(new))
        elif old.positional:
            for change in self._compare(old.positional[0], new.positional[0], ""):
                if change.path:
                    yield change
                else:
                    yield FieldChange(ARGUMENTS, _get_all_arguments(old), _get_all_arguments(new))
        else:
            yield from self._compare_children(list_children(old), list_children(new), "")

    def is_same(self, old: Expression, new: Expression, path: str) -> bool:
        """Return whether two values count as equal when they are compared as a whole, not part by part."""
        if isinstance(old, MatcherNode):
            return old == new or (path in self._values and old.fits(self._values[path]))
        if isinstance(old, str) and isinstance(new, str):
            normalize = self._options.normalize_text
            return old == new or normalize(self._tool, path, old) == normalize(self._tool, path, new)
        if not self._options.is_exact and (number := to_number(new)) is not None:
            range_of_old = self._options.find_range(self._tool, path, old)
            if range_of_old is not None:
                least, greatest = range_of_old
                return least <= number <= greatest
        return canonical_text(old) == canonical_text(new)

    def _compare_children(
        self, before: Mapping[Key, Expression], after: Mapping[Key, Expression], path: str
    ) -> Iterator[FieldChange]:
        for key, old in before.items():
            if key in after:
                yield from self._compare(old, after[key], join_key(path, key))
            else:
                yield FieldChange(join_key(path, key), old, ABSENT)
        for key, new in after.items():
            if key not in before:
                yield FieldChange(join_key(path, key), ABSENT, new)

    def _compare(self, old: Expression, new: Expression, path: str) -> Iterable[FieldChange]:
        if isinstance(old, (str, int, float)) and isinstance(new, (str, int, float)):
            return self._compare_whole(old, new, path)
        one, other = unwrap(old), unwrap(new)
        before, after = list_children(one), list_children(other)
        if not before or not after or not _have_comparable_children(old, new):
            return self._compare_whole(old, new, path)
        if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) != len(other):
            return self._compare_items(one, other, path)
        return self._compare_children(before, after, path)

    def _compare_whole(self, old: Expression, new: Expression, path: str) -> Iterable[FieldChange]:
        return () if self.is_same(old, new, path) else (FieldChange(path, old, new),)

    def _compare_items(
        self,
        old: list[Expression] | tuple[Expression, ...],
        new: list[Expression] | tuple[Expression, ...],
        path: str,
    ) -> Iterator[FieldChange]:
        """Compare lists of different lengths.

        Report only the items that were added or removed, although each later item has moved to a different position.
        """
        before, after = [canonical_text(item) for item in old], [canonical_text(item) for item in new]
        for operation, start, end, new_start, new_end in SequenceMatcher(
            None, before, after, autojunk=False
        ).get_opcodes():
            if operation == "equal":
                continue
            both = min(end - start, new_end - new_start)
            for step in range(both):
                index = new_start + step
                yield from self._compare(old[start + step], new[index], f"{path}[{index}]")
            for index in range(start + both, end):
                yield FieldChange(f"{path}[{index}]", old[index], ABSENT)
            for index in range(new_start + both, new_end):
                yield FieldChange(f"{path}[{index}]", ABSENT, new[index])


def _have_comparable_children(old: Expression, new: Expression) -> bool:
    """Return whether the parts of two values describe their difference better than the whole values."""
    if isinstance(old, SnapshotCall) and isinstance(new, SnapshotCall):
        if old.name != new.name:
            return False
        if old.positional and new.positional:
            return _have_comparable_children(old.positional[0], new.positional[0])
    return type(old) is type(new)


def _get_id(call: SnapshotCall) -> Expression | Absent:
    return ABSENT if call.id is None else call.id


def _get_all_arguments(call: SnapshotCall) -> Expression | Absent:
    """Return the arguments as one value: a mapping, or a string if they could not be parsed."""
    if call.positional:
        return call.positional[0]
    return dict(call.keywords)
