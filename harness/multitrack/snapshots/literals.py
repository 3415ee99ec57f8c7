"""A value as an expression of literals, as a person would write it, and back without running anything.

`plain` turns a Python value into a tree of builtins, `Call`, `Name` and `Braces`; `one_line` and `wrapped` write
such a tree; `read_calls` reads what they wrote with :mod:`ast`, so that a snapshot file is data and never code.
Two values are equal in a snapshot if their `canonical` texts are: ``1``, ``1.0`` and ``True`` are three values.
An ellipsis, ``...``, stands where a value is ignored.
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path, PurePath
from types import EllipsisType
from typing import Any, Final, TypeAlias, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AnyUrl, BaseModel, PostgresDsn, RootModel
from pydantic_core import MultiHostUrl, TzInfo, Url

WIDTH = 100
"""Columns that a line of a snapshot may take before it is wrapped."""

# Python's parser gives up at 200 open brackets, and a level of a value can open two.
_DEEPEST = 90

_WRITTEN_AS_TEXT = (
    Decimal,
    UUID,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    AnyUrl,
    Url,
    MultiHostUrl,
    PostgresDsn,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """A dotted name, such as the enum member ``Units.METRIC``, or names and calls joined by ``|``, ``&`` and ``~``."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Braces:
    """A set that is not empty; the items stand in canonical order."""

    items: tuple[Plain, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A call expression: a tool call, a nested model, a date and whatever else needs a class to be written.

    ``id`` is a tool call's id, where ids count: ``Weather(location='Toronto') @ 'call_1'``.
    """

    name: str
    positional: tuple[Plain, ...] = ()
    keywords: tuple[tuple[str, Plain], ...] = ()
    id: str | None = None

    def __str__(self) -> str:
        return one_line(self)


Plain: TypeAlias = (
    "bool | int | float | str | bytes | list[Plain] | tuple[Plain, ...] | dict[Plain, Plain]"
    " | Name | Braces | Call | EllipsisType | None"
)
Scrub: TypeAlias = Callable[[str], str]
Stand: TypeAlias = "Callable[[object, str], Plain | Kept]"
"""What a value at a path is written as instead of itself, or `KEPT`."""


class Kept(Enum):
    """Says that a value is written as itself."""

    KEPT = "kept"


KEPT: Final = Kept.KEPT
Otherwise: TypeAlias = Callable[[object], "Plain | Kept"]
"""What a value is written as whose class is not known here, or `KEPT`."""


class UnwritableValue(TypeError):
    """A value holds something that literals cannot express. ``path`` says where: ``[1].payload.inner``."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def unchanged_text(text: str) -> str:
    """The redactor that leaves every text as it is."""
    return text


def as_it_is(value: object, path: str) -> Kept:
    """Writes every value as itself."""
    del value, path
    return KEPT


def refused(value: object) -> Kept:
    """Writes no value of a class that is not known."""
    del value
    return KEPT


def child_path(path: str, key: Plain) -> str:
    """The path of a mapping's value: ``trip.stops``, or ``trip['no identifier']``."""
    return _field_path(path, key) if isinstance(key, str) else f"{path}[{one_line(key)}]"


@lru_cache(maxsize=4096)
def _field_path(path: str, name: str) -> str:
    if name.isidentifier():
        return f"{path}.{name}" if path else name
    return f"{path}[{name!r}]"


# --- from a value to a tree ---------------------------------------------------------------------------------


def plain(
    value: object,
    *,
    path: str = "",
    scrub: Scrub = unchanged_text,
    stand: Stand = as_it_is,
    otherwise: Otherwise = refused,
) -> Plain:
    """The tree of a value; every text in it has passed through ``scrub``, and each value is what ``stand`` says.

    Raises `UnwritableValue`, naming the path from ``path`` on, for a value that holds itself, and for an object of a
    class that is not known here unless ``otherwise`` writes it.
    """
    return _Planer(scrub, stand, otherwise).plain(value, path)


class _Planer:
    def __init__(self, scrub: Scrub, stand: Stand, otherwise: Otherwise) -> None:
        self.scrub = scrub
        self.stand = stand
        self.otherwise = otherwise
        self.above: list[int] = []

    def plain(self, value: object, path: str) -> Plain:
        stands = self.stand(value, path)
        return self._itself(value, path) if stands is KEPT else stands

    def _itself(self, value: object, path: str) -> Plain:
        if value is None or type(value) is bool:
            return value
        if isinstance(value, Enum):
            return self._member(value, path)
        if isinstance(value, (str, bytes, int, float)):
            return self._scalar(value, path)
        if isinstance(value, (date, time, timedelta, tzinfo)):
            return self._clock(value, path)
        if isinstance(value, PurePath):
            name = "Path" if isinstance(value, Path) else type(value).__name__
            return Call(name, (self.scrub(value.as_posix()),))
        if isinstance(value, _WRITTEN_AS_TEXT):
            return Call(type(value).__name__, (self.scrub(str(value)),))
        with self._below(value, path):
            return self._container(value, path)

    def model(self, value: BaseModel, path: str) -> Call:
        if isinstance(value, RootModel):
            return Call(type(value).__name__, (self.plain(value.root, path),))
        fields = {name: value.__dict__[name] for name in type(value).model_fields if name in value.__dict__}
        return Call(type(value).__name__, (), self._keywords(fields | (value.model_extra or {}), path))

    def _keywords(self, fields: dict[str, Any], path: str) -> tuple[tuple[str, Plain], ...]:
        return tuple((name, self.plain(item, child_path(path, name))) for name, item in fields.items())

    @contextmanager
    def _below(self, value: object, path: str) -> Iterator[None]:
        if id(value) in self.above:
            raise UnwritableValue(path, f"the {type(value).__name__} holds itself")
        if len(self.above) >= _DEEPEST:
            raise UnwritableValue(path, f"a snapshot holds values nested up to {_DEEPEST} levels deep")
        self.above.append(id(value))
        try:
            yield
        finally:
            self.above.pop()

    def _container(self, value: object, path: str) -> Plain:
        kind = type(value)
        if isinstance(value, BaseModel):
            return self.model(value, path)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return Call(kind.__name__, (), self._keywords(fields, path))
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return Call(kind.__name__, (), self._keywords(dict(zip(kind._fields, value, strict=True)), path))
        writers: dict[type, Callable[[Any, str], Plain]] = {
            list: self._list,
            tuple: self._tuple,
            set: self._set,
            frozenset: self._set,
            dict: self._dict,
        }
        for builtin, write in writers.items():
            if isinstance(value, builtin):
                node = write(value, path)
                # one with a default is equal to one without, and its default is a function
                if kind in (builtin, defaultdict) and kind is not frozenset:
                    return node
                return Call(kind.__name__, () if node == Call("set") else (node,))
        instead = self.otherwise(value)
        if instead is KEPT:
            raise UnwritableValue(path, f"{_class(kind)} cannot be written in a snapshot")
        return instead

    def _list(self, value: list[Any] | tuple[Any, ...], path: str) -> list[Plain]:
        return [self.plain(item, f"{path}[{index}]") for index, item in enumerate(value)]

    def _tuple(self, value: tuple[Any, ...], path: str) -> tuple[Plain, ...]:
        return tuple(self._list(value, path))

    def _set(self, value: set[Any] | frozenset[Any], path: str) -> Plain:
        if not value:
            return Call("set")
        items = (self.plain(item, f"{path}{{{number}}}") for number, item in enumerate(value))
        return Braces(tuple(sorted(items, key=canonical)))

    def _dict(self, value: dict[Any, Any], path: str) -> Plain:
        keys = {key: self.plain(key, f"{path}, key {key!r}") for key in value}
        try:
            result = {keys[key]: self.plain(item, child_path(path, keys[key])) for key, item in value.items()}
        except UnwritableValue:
            raise
        except TypeError:
            raise UnwritableValue(path, "a key holds a list or a dict") from None
        if len(result) < len(value):
            raise UnwritableValue(path, "two keys are the same once they are written")
        return result

    def _scalar(self, value: str | bytes | float, path: str) -> Plain:
        kind = type(value)
        builtin: type
        node: Plain
        if isinstance(value, str):
            builtin, node = str, self.scrub(str.__str__(value))
        elif isinstance(value, bytes):
            builtin, node = bytes, self._bytes(value)
        elif isinstance(value, int):
            builtin, node = int, int(value)
            try:
                int.__repr__(value)
            except ValueError as error:  # more digits than sys.set_int_max_str_digits() allows
                raise UnwritableValue(path, str(error)) from None
        else:
            builtin, node = float, float(value)
            if not math.isfinite(value):
                node = Call("float", (repr(node),))
        return node if kind is builtin else Call(kind.__name__, (node,))

    def _bytes(self, value: bytes) -> bytes:
        # surrogateescape keeps bytes that are no UTF-8, so that a secret among them is still found
        text = value.decode(errors="surrogateescape")
        return self.scrub(text).encode(errors="surrogateescape")

    def _member(self, value: Enum, path: str) -> Plain:
        kind = type(value)
        name = f"{kind.__name__}.{value.name}"
        if value.name in kind.__members__ and _callee(name) == name:
            return Name(name)
        return Call(kind.__name__, (self.plain(value.value, path),))

    def _clock(self, value: date | time | timedelta | tzinfo, path: str) -> Plain:
        if isinstance(value, timedelta):
            parts = {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
            given = tuple((name, number) for name, number in parts.items() if number)
            return Call("timedelta", (), given) if given else Call("timedelta", (0,))
        if isinstance(value, tzinfo):
            return self._zone(value, path)
        if isinstance(value, datetime):
            numbers = [value.year, value.month, value.day, value.hour, value.minute]
        elif isinstance(value, time):
            numbers = [value.hour, value.minute]
        else:
            return Call("date", (value.year, value.month, value.day))
        if value.second or value.microsecond:
            numbers.append(value.second)
        if value.microsecond:
            numbers.append(value.microsecond)
        keywords: list[tuple[str, Plain]] = []
        if value.tzinfo is not None:
            keywords.append(("tzinfo", self._zone(value.tzinfo, f"{path}.tzinfo")))
        if value.fold:
            keywords.append(("fold", value.fold))
        return Call("datetime" if isinstance(value, datetime) else "time", tuple(numbers), tuple(keywords))

    def _zone(self, zone: tzinfo, path: str) -> Plain:
        if isinstance(zone, ZoneInfo) and zone.key:
            return Call("ZoneInfo", (zone.key,))
        if isinstance(zone, (timezone, TzInfo)):
            offset = zone.utcoffset(None)
            if offset is not None:
                return Call("timezone", (self._clock(offset, path),)) if offset else Name("timezone.utc")
        raise UnwritableValue(path, f"the time zone {_class(type(zone))} cannot be written in a snapshot")


def model_call(
    value: object,
    name: str | None = None,
    *,
    path: str = "",
    scrub: Scrub = unchanged_text,
    stand: Stand = as_it_is,
    otherwise: Otherwise = refused,
) -> Call:
    """The call of a model or dataclass; of a mapping of arguments with ``name``. Raises `UnwritableValue`."""

    def below(part: object, where: str) -> Plain | Kept:
        return KEPT if part is value else stand(part, where)

    tree = plain(value, path=path, scrub=scrub, stand=below, otherwise=otherwise)
    if isinstance(tree, dict) and name is not None:
        return Call(name, (), tuple((str(key), item) for key, item in tree.items()))
    assert isinstance(tree, Call)
    return tree


def _class(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


# --- from a tree to text ------------------------------------------------------------------------------------


def one_line(node: Plain) -> str:
    """The expression in one line, fields and keys in their own order."""
    if isinstance(node, (str, int, float)):
        return repr(node)
    opening, items, closing = _parts(node)
    text = ", ".join(f"{prefix}{one_line(item)}" for prefix, item in items)
    comma = "," if isinstance(node, tuple) and len(node) == 1 else ""
    return f"{opening}{text}{comma}{closing}"


def wrapped(node: Plain, *, width: int = WIDTH) -> str:
    """The expression, one argument or item per line wherever a line would pass ``width`` columns."""
    return _wrapped(node, width, 0, 0)


def _wrapped(node: Plain, width: int, indent: int, taken: int) -> str:
    line = one_line(node)
    opening, items, closing = _parts(node)
    if not items or taken + len(line) <= width:
        return line
    inner = indent + 4
    lines = [f"{' ' * inner}{prefix}{_wrapped(item, width, inner, inner + len(prefix) + 1)}," for prefix, item in items]
    return "\n".join([opening, *lines, f"{' ' * indent}{closing}"])


def canonical(node: Plain) -> str:
    """The expression in one line with keyword arguments and keys sorted: equal values, equal texts."""
    if isinstance(node, (str, int, float)):
        return repr(node)
    if isinstance(node, dict):
        pairs = sorted([f"{canonical(key)}: {canonical(item)}" for key, item in node.items()])
        return f"{{{', '.join(pairs)}}}"
    if isinstance(node, Call):
        keywords = sorted([f"{name!r}={canonical(item)}" for name, item in node.keywords])
        return f"{node.name}({', '.join([*map(canonical, node.positional), *keywords])}){_at_id(node)}"
    if isinstance(node, Braces):
        return f"{{{', '.join(map(canonical, node.items))}}}"
    if isinstance(node, list):
        return f"[{', '.join(map(canonical, node))}]"
    if isinstance(node, tuple):
        return f"({', '.join(map(canonical, node))},)"
    return one_line(node)


def _parts(node: Plain) -> tuple[str, list[tuple[str, Plain]], str]:
    if isinstance(node, list):
        return "[", [("", item) for item in node], "]"
    if isinstance(node, tuple):
        return "(", [("", item) for item in node], ")"
    if isinstance(node, Braces):
        return "{", [("", item) for item in node.items], "}"
    if isinstance(node, dict):
        return "{", [(f"{one_line(key)}: ", item) for key, item in node.items()], "}"
    if isinstance(node, Call):
        arguments: list[tuple[str, Plain]] = [("", item) for item in node.positional]
        arguments += [(f"{name}=", item) for name, item in node.keywords if _is_keyword(name)]
        others: dict[Plain, Plain] = {name: item for name, item in node.keywords if not _is_keyword(name)}
        if others:
            arguments.append(("**", others))
        return f"{_callee(node.name)}(", arguments, f"){_at_id(node)}"
    if node is ...:
        return "...", [], ""
    return node.text if isinstance(node, Name) else repr(node), [], ""


def _at_id(call: Call) -> str:
    return "" if call.id is None else f" @ {call.id!r}"


@lru_cache(maxsize=1024)
def _callee(name: str) -> str:
    try:
        expression = ast.parse(name, mode="eval").body
    except (SyntaxError, ValueError):
        return repr(name)
    bare = isinstance(expression, (ast.Name, ast.Attribute, ast.Subscript)) and ast.unparse(expression) == name
    return name if bare else repr(name)


@lru_cache(maxsize=4096)
def _is_keyword(name: str) -> bool:
    try:
        return ast.unparse(ast.parse(f"f({name}=0)", mode="eval")) == f"f({name}=0)"
    except (SyntaxError, ValueError):
        return False


def content(node: Plain) -> Plain:
    """What a value holds that is a list or a mapping under a name of its own: ``Prices([1.0])``; else the value."""
    if (
        isinstance(node, Call)
        and len(node.positional) == 1
        and isinstance(node.positional[0], (list, tuple, dict, Call))
    ):
        return content(node.positional[0])
    return node


def children(node: Plain) -> Mapping[str | int, Plain]:
    """The parts of a value, by the names of fields and keys, or by the numbers of items; none if it is one whole."""
    if isinstance(node, Call):
        if not node.positional:
            return dict(node.keywords)
        node = content(node)
    if isinstance(node, dict):
        return cast("dict[str | int, Plain]", node) if {*map(type, node)} <= {str} else {}
    if isinstance(node, (list, tuple)):
        return dict(enumerate(node))
    return dict(node.keywords) if isinstance(node, Call) and not node.positional else {}


def nodes(call: Call) -> dict[str, Plain]:
    """Each value in the call by its path, ``stops[0].city``, the outer before the inner ones; none within what is one
    whole, such as a date."""
    found: dict[str, Plain] = {}

    def collect(parts: Mapping[str | int, Plain], path: str) -> None:
        for key, part in parts.items():
            where = f"{path}[{key}]" if isinstance(key, int) else child_path(path, key)
            found[where] = part
            if isinstance(part, (list, tuple, dict, Call)):
                collect(children(part), where)

    collect(children(call), "")
    return found


def rewritten(call: Call, stand: Callable[[Plain, str], Plain | Kept]) -> Call:
    """The call with what ``stand`` says for the values in it, each with its path: ``stops[0].city``."""

    def rewrite(node: Plain, path: str) -> Plain:
        stands = stand(node, path)
        return below(node, path) if stands is KEPT else stands

    def below(node: Plain, path: str) -> Plain:
        if isinstance(node, Call):
            # no step of a path: `Prices([1.0])` stands where its list does
            positional = tuple(rewrite(item, path) for item in node.positional)
            keywords = tuple((name, rewrite(item, child_path(path, name))) for name, item in node.keywords)
            return Call(node.name, positional, keywords, node.id)
        if isinstance(node, (list, tuple)):
            items = [rewrite(item, f"{path}[{index}]") for index, item in enumerate(node)]
            return items if isinstance(node, list) else tuple(items)
        if isinstance(node, dict):
            return {key: rewrite(item, child_path(path, key)) for key, item in node.items()}
        if isinstance(node, Braces):
            members = (rewrite(item, f"{path}{{{number}}}") for number, item in enumerate(node.items))
            return Braces(tuple(sorted(members, key=canonical)))
        return node

    result = below(call, "")
    assert isinstance(result, Call)
    return result
