"""Matchers, which a test can use in place of an expected value: a type, or an object with its own ``==``.

Examples are the objects of dirty-equals (https://dirty-equals.helpmanual.io), ``unittest.mock.ANY``, and
``pytest.approx``. None of these libraries is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import EllipsisType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from multitrack.snapshots.expressions import Expression, Name, SnapshotCall, format_line
from multitrack.snapshots.parsing import UnreadableCalls, parse_expression


@dataclass(frozen=True, slots=True)
class MatcherNode(Name):
    """A matcher in an expected call: ``text`` is its source code, and ``fits`` returns whether it accepts a value."""

    fits: Callable[[object], bool] = field(compare=False)


class Matcher:
    """An object that a received value is compared with.

    A matcher is a type, several types (``date | None`` or a tuple), ``...`` for any value, or an object with its own
    ``==``.
    """

    def __init__(self, matcher: object) -> None:
        self._types = _list_types(matcher)
        self._matcher = matcher
        self.expression = self._to_expression()
        """The expression that is written instead of a value that fits."""

    def fits(self, value: object) -> bool:
        """Return whether the matcher accepts ``value``.

        A matcher accepts the instances of its type, or the values that equal its object. As in JSON, a bool is not an
        int.
        """
        if self._matcher is ...:
            return True
        if self._types is None:
            return _is_equal(self._matcher, value)
        if isinstance(value, bool):
            return any(kind in (bool, object) for kind in self._types)
        return isinstance(value, self._types)

    @property
    def node(self) -> MatcherNode:
        """The matcher as a node in the tree of an expected call."""
        return MatcherNode(format_line(self.expression), self.fits)

    def _to_expression(self) -> Expression:
        if self._types is not None:
            names = [kind.__name__ for kind in self._types]
            text = " | ".join("None" if name == "NoneType" and names[1:] else name for name in names)
        elif self._matcher is ... or _is_equal(self._matcher, _UNEQUAL):
            return ...
        else:
            text = repr(self._matcher)
        try:
            return parse_expression(text)
        except UnreadableCalls:  # not an expression of literals and names
            return SnapshotCall("type" if self._types else type(self._matcher).__name__, (text,))


def is_matcher(value: object) -> bool:
    """Return whether ``value`` has to be treated as a matcher: a type, ``...``, or an object with its own ``==``."""
    return value is ... or _list_types(value) is not None or type(value).__eq__ is not object.__eq__


class _Unequal:
    """An object that differs from all ordinary objects. Only matchers such as ``mock.ANY`` are equal to it."""


_UNEQUAL = _Unequal()


def _is_equal(matcher: Any, value: object) -> bool:
    try:
        return bool(matcher == value)
    finally:
        # the repr of a dirty-equals object is the last value it was equal to, until it is compared with a different one
        if value is not _UNEQUAL:
            matcher == _UNEQUAL  # noqa: B015


def _list_types(value: object) -> tuple[type, ...] | None:
    if value is None:
        return (NoneType,)
    if isinstance(value, UnionType) or get_origin(value) is Union:
        value = get_args(value)
    if isinstance(value, tuple) and value:
        kinds = [_list_types(item) for item in value]
        return None if None in kinds else tuple(kind for group in kinds for kind in group or ())
    # the classes of dirty-equals are matchers as well, because their metaclass has its own ==
    if isinstance(value, type) and type(value).__eq__ is type.__eq__ and value is not EllipsisType:
        return (value,)
    return None
