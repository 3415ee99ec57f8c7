"""Where two calls differ, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import Final, TypeAlias

from multitrack.snapshots.literals import Call, Name, Plain, canonical, child_path, children, content
from multitrack.snapshots.matchers import Expected
from multitrack.snapshots.terms import Terms, number, reach


class Absent(Enum):
    """Stands for the value of a field that one of two calls does not have."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT

Key: TypeAlias = "str | int"

TOOL = ""
"""The path of the tool's name."""

ID = "@"
"""The path of the call's id."""

ARGUMENTS = "()"
"""The path of all arguments together, where those of one call are no fields."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs: its path in the call (``stops[1].city``; `TOOL`, `ID` or `ARGUMENTS`), old and new."""

    path: str
    old: Plain | Absent
    new: Plain | Absent


class Differences:
    """Tells what differs between expected calls and one of ``tool`` that came, on the given terms.

    ``values`` are what was found at each path of the call that came: what a matcher is asked about.
    """

    def __init__(self, terms: Terms, tool: str, values: Mapping[str, object]) -> None:
        self._terms = terms
        self._values = values
        self._tool = tool

    def between(self, old: Call, new: Call) -> Iterator[FieldChange]:
        """Each difference, in the order of the fields."""
        if old.name != new.name:
            yield FieldChange(TOOL, Name(old.name), Name(new.name))
        if old.id != new.id:
            yield FieldChange(ID, _id(old), _id(new))
        if bool(old.positional) != bool(new.positional):
            yield FieldChange(ARGUMENTS, _whole(old), _whole(new))
        elif old.positional:
            for change in self._value(old.positional[0], new.positional[0], ""):
                yield change if change.path else FieldChange(ARGUMENTS, _whole(old), _whole(new))
        else:
            yield from self._parts(children(old), children(new), "")

    def _parts(self, before: Mapping[Key, Plain], after: Mapping[Key, Plain], path: str) -> Iterator[FieldChange]:
        for key, was in before.items():
            if key in after:
                yield from self._value(was, after[key], _join(path, key))
            else:
                yield FieldChange(_join(path, key), was, ABSENT)
        for key, now in after.items():
            if key not in before:
                yield FieldChange(_join(path, key), ABSENT, now)

    def _value(self, old: Plain, new: Plain, path: str) -> Iterator[FieldChange]:
        if isinstance(old, (str, int, float)) and isinstance(new, (str, int, float)):
            if not self.same(old, new, path):
                yield FieldChange(path, old, new)
            return
        one, other = content(old), content(new)
        before, after = children(one), children(other)
        if not before or not after or not _told_by_parts(old, new):
            if not self.same(old, new, path):
                yield FieldChange(path, old, new)
        elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) != len(other):
            yield from self._items(one, other, path)
        else:
            yield from self._parts(before, after, path)

    def same(self, old: Plain, new: Plain, path: str) -> bool:
        """Whether a value that is one whole is the expected one."""
        if isinstance(old, Expected):
            return old == new or (path in self._values and old.fits(self._values[path]))
        if isinstance(old, str) and isinstance(new, str):
            return self._terms.normal(self._tool, path, old) == self._terms.normal(self._tool, path, new)
        tolerance = None if self._terms.exact else self._terms.tolerance(self._tool, path)
        if tolerance is not None and (one := number(old)) is not None and (other := number(new)) is not None:
            least, greatest = reach(one, tolerance)
            return least <= other <= greatest
        return canonical(old) == canonical(new)

    def _items(
        self, old: list[Plain] | tuple[Plain, ...], new: list[Plain] | tuple[Plain, ...], path: str
    ) -> Iterator[FieldChange]:
        """Lists of different lengths: items that came and went, and not all that stand behind them."""
        before, after = [canonical(item) for item in old], [canonical(item) for item in new]
        for what, start, end, from_, to in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            if what == "equal":
                continue
            both = min(end - start, to - from_)
            for step in range(both):
                yield from self._value(old[start + step], new[from_ + step], f"{path}[{from_ + step}]")
            for index in range(start + both, end):
                yield FieldChange(f"{path}[{index}]", old[index], ABSENT)
            for index in range(from_ + both, to):
                yield FieldChange(f"{path}[{index}]", ABSENT, new[index])


def _told_by_parts(old: Plain, new: Plain) -> bool:
    """Whether the difference of two values that have parts is better told by these."""
    if isinstance(old, Call) and isinstance(new, Call):
        if old.name != new.name:
            return False
        if old.positional and new.positional:
            return _told_by_parts(old.positional[0], new.positional[0])
    return type(old) is type(new)


def _join(path: str, key: Key) -> str:
    return f"{path}[{key}]" if isinstance(key, int) else child_path(path, key)


def _id(call: Call) -> Plain | Absent:
    return ABSENT if call.id is None else call.id


def _whole(call: Call) -> Plain | Absent:
    """All arguments as one value: the text that they are where it could not be read, else a mapping."""
    if call.positional:
        return call.positional[0]
    return dict(call.keywords)
