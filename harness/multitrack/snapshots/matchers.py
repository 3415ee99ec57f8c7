"""What may stand for a value instead of the value: a type, or an object that is equal to it.

The objects are those of dirty-equals (https://dirty-equals.helpmanual.io), ``unittest.mock.ANY``, ``pytest.approx``,
or anything else with an ``__eq__`` of its own; none of them is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import EllipsisType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from multitrack.snapshots.literals import Call, Name, Plain, one_line
from multitrack.snapshots.reading import UnreadableCalls, read_value


@dataclass(frozen=True, slots=True)
class Expected(Name):
    """In a call that is expected: a value that fits ``fits``, written as ``text``."""

    fits: Callable[[object], bool] = field(compare=False)


class Matcher:
    """A type, several types (``date | None``, or a tuple of them), ``...`` for anything, or an object with ``==``."""

    def __init__(self, what: object) -> None:
        self._types = _types(what)
        self._what = what
        self.node = self._node()
        """What is written for a value that fits."""

    def fits(self, value: object) -> bool:
        """Whether the value is of the type, or equal to the object. A bool is no int here, as it is none in JSON."""
        if self._what is ...:
            return True
        if self._types is None:
            return _equal(self._what, value)
        if isinstance(value, bool):
            return any(kind in (bool, object) for kind in self._types)
        return isinstance(value, self._types)

    @property
    def expected(self) -> Expected:
        """The matcher in the tree of an expected call."""
        return Expected(one_line(self.node), self.fits)

    def _node(self) -> Plain:
        if self._types is not None:
            names = [kind.__name__ for kind in self._types]
            text = " | ".join("None" if name == "NoneType" and names[1:] else name for name in names)
        elif self._what is ... or _equal(self._what, _NOTHING):
            return ...
        else:
            text = repr(self._what)
        try:
            return read_value(text)
        except UnreadableCalls:  # it is no expression of literals and names
            return Call("type" if self._types else type(self._what).__name__, (text,))


def is_matcher(value: object) -> bool:
    """Whether a value can only be meant as a matcher: a type, ``...``, or an object with its own ``==``."""
    return value is ... or _types(value) is not None or type(value).__eq__ is not object.__eq__


class _Nothing:
    """Equal to nothing but what is equal to everything."""


_NOTHING = _Nothing()


def _equal(matcher: Any, value: object) -> bool:
    try:
        return bool(matcher == value)
    finally:
        # one of dirty-equals' shows the value that it was equal to last, and not itself, until it meets another
        if value is not _NOTHING:
            matcher == _NOTHING  # noqa: B015


def _types(what: object) -> tuple[type, ...] | None:
    if what is None:
        return (NoneType,)
    if isinstance(what, UnionType) or get_origin(what) is Union:
        what = get_args(what)
    if isinstance(what, tuple) and what:
        kinds = [_types(item) for item in what]
        return None if None in kinds else tuple(kind for group in kinds for kind in group or ())
    # the classes of dirty-equals are matchers, too, by the == of their metaclass
    if isinstance(what, type) and type(what).__eq__ is type.__eq__ and what is not EllipsisType:
        return (what,)
    return None
