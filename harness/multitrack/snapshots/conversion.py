"""Convert Python values to expressions that consist of literals."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path, PurePath
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AnyUrl, BaseModel, PostgresDsn, RootModel
from pydantic_core import MultiHostUrl, TzInfo, Url

from multitrack.snapshots.expression_paths import UNREPLACED, Unreplaced, join_path
from multitrack.snapshots.expressions import (
    Braces,
    Expression,
    Name,
    RedactText,
    SnapshotCall,
    canonical_text,
    format_callee,
)

# Python's parser fails at 200 open brackets, and one level of a value can open two.
_MAX_DEPTH = 90

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

ReplaceValue: TypeAlias = "Callable[[object, str], Expression | Unreplaced]"
"""Returns what to write instead of the value at a path, or ``UNREPLACED``."""

ConvertUnknown: TypeAlias = "Callable[[object], Expression | Unreplaced]"
"""Returns what to write for a value of an unknown class, or ``UNREPLACED`` to reject it."""


class UnwritableValue(TypeError):
    """Raised if a value contains something that literals cannot express. ``path`` is its location:
    ``[1].payload.inner``.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def unchanged_text(text: str) -> str:
    """Return the text unchanged. The default ``RedactText``."""
    return text


def replace_nothing(value: object, path: str) -> Unreplaced:
    """Return ``UNREPLACED``, to replace no value. The default ``ReplaceValue``."""
    del value, path
    return UNREPLACED


def reject_unknown(value: object) -> Unreplaced:
    """Return ``UNREPLACED``, to reject every value of an unknown class. The default ``ConvertUnknown``."""
    del value
    return UNREPLACED


def to_expression(
    value: object,
    *,
    path: str = "",
    redact_text: RedactText = unchanged_text,
    replace: ReplaceValue = replace_nothing,
    convert_unknown: ConvertUnknown = reject_unknown,
) -> Expression:
    """Convert a value to an expression.

    Args:
        value: The value.
        path: The path of the value. Paths in errors, and paths passed to ``replace``, begin with it.
        redact_text: Applied to every string in the value.
        replace: Called for the value and each value in it.
        convert_unknown: Called for each object of a class that this function cannot convert.

    Raises:
        UnwritableValue: The value contains itself, is nested too deeply, or contains an object that cannot be
            written.
    """
    return _Converter(redact_text, replace, convert_unknown).convert(value, path)


def to_call(
    value: object,
    name: str | None = None,
    *,
    path: str = "",
    redact_text: RedactText = unchanged_text,
    replace: ReplaceValue = replace_nothing,
    convert_unknown: ConvertUnknown = reject_unknown,
) -> SnapshotCall:
    """Convert a model, a dataclass or a mapping to a call. A mapping contains the arguments for the tool ``name``.

    Has the same options as ``to_expression``, but calls ``replace`` only for the parts of ``value``, not for
    ``value`` itself.

    Raises:
        UnwritableValue: The value contains something that cannot be written.
    """

    def replace_part(part: object, part_path: str) -> Expression | Unreplaced:
        return UNREPLACED if part is value else replace(part, part_path)

    tree = to_expression(
        value, path=path, redact_text=redact_text, replace=replace_part, convert_unknown=convert_unknown
    )
    if isinstance(tree, dict) and name is not None:
        return SnapshotCall(name, (), tuple((str(key), item) for key, item in tree.items()))
    assert isinstance(tree, SnapshotCall)
    return tree


class _Converter:
    def __init__(self, redact_text: RedactText, replace: ReplaceValue, convert_unknown: ConvertUnknown) -> None:
        self.redact_text = redact_text
        self.replace = replace
        self.convert_unknown = convert_unknown
        self.open_containers: list[int] = []

    def convert(self, value: object, path: str) -> Expression:
        replacement = self.replace(value, path)
        return self._convert_unreplaced(value, path) if replacement is UNREPLACED else replacement

    def _convert_unreplaced(self, value: object, path: str) -> Expression:
        if value is None or type(value) is bool:
            return value
        if isinstance(value, Enum):
            return self._convert_enum(value, path)
        if isinstance(value, (str, bytes, int, float)):
            return self._convert_scalar(value, path)
        if isinstance(value, (date, time, timedelta, tzinfo)):
            return self._convert_time(value, path)
        if isinstance(value, PurePath):
            name = "Path" if isinstance(value, Path) else type(value).__name__
            return SnapshotCall(name, (self.redact_text(value.as_posix()),))
        if isinstance(value, _WRITTEN_AS_TEXT):
            return SnapshotCall(type(value).__name__, (self.redact_text(str(value)),))
        with self._enter(value, path):
            return self._convert_container(value, path)

    @contextmanager
    def _enter(self, value: object, path: str) -> Iterator[None]:
        if id(value) in self.open_containers:
            raise UnwritableValue(path, f"the {type(value).__name__} contains itself")
        if len(self.open_containers) >= _MAX_DEPTH:
            raise UnwritableValue(path, f"the value is nested more than {_MAX_DEPTH} levels deep")
        self.open_containers.append(id(value))
        try:
            yield
        finally:
            self.open_containers.pop()

    def _convert_container(self, value: object, path: str) -> Expression:
        kind = type(value)
        if isinstance(value, BaseModel):
            return self._convert_model(value, path)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return SnapshotCall(kind.__name__, (), self._convert_fields(fields, path))
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            fields = dict(zip(kind._fields, value, strict=True))
            return SnapshotCall(kind.__name__, (), self._convert_fields(fields, path))
        converters: dict[type, Callable[[Any, str], Expression]] = {
            list: self._convert_list,
            tuple: self._convert_tuple,
            set: self._convert_set,
            frozenset: self._convert_set,
            dict: self._convert_dict,
        }
        for builtin, convert in converters.items():
            if isinstance(value, builtin):
                node = convert(value, path)
                # write a defaultdict as a dict: they are equal, and its factory is a function, which cannot be written
                if kind in (builtin, defaultdict) and kind is not frozenset:
                    return node
                return SnapshotCall(kind.__name__, () if node == SnapshotCall("set") else (node,))
        converted = self.convert_unknown(value)
        if converted is UNREPLACED:
            raise UnwritableValue(path, f"{_qualified_name(kind)} cannot be written in a snapshot")
        return converted

    def _convert_model(self, value: BaseModel, path: str) -> SnapshotCall:
        if isinstance(value, RootModel):
            return SnapshotCall(type(value).__name__, (self.convert(value.root, path),))
        fields = {name: value.__dict__[name] for name in type(value).model_fields if name in value.__dict__}
        extra = {self.redact_text(name): item for name, item in (value.model_extra or {}).items()}
        return SnapshotCall(type(value).__name__, (), self._convert_fields(fields | extra, path))

    def _convert_fields(self, fields: dict[str, Any], path: str) -> tuple[tuple[str, Expression], ...]:
        return tuple((name, self.convert(item, join_path(path, name))) for name, item in fields.items())

    def _convert_list(self, value: list[Any] | tuple[Any, ...], path: str) -> list[Expression]:
        return [self.convert(item, f"{path}[{index}]") for index, item in enumerate(value)]

    def _convert_tuple(self, value: tuple[Any, ...], path: str) -> tuple[Expression, ...]:
        return tuple(self._convert_list(value, path))

    def _convert_set(self, value: set[Any] | frozenset[Any], path: str) -> Expression:
        if not value:
            return SnapshotCall("set")
        items = (self.convert(item, f"{path}{{{number}}}") for number, item in enumerate(value))
        return Braces(tuple(sorted(items, key=canonical_text)))

    def _convert_dict(self, value: dict[Any, Any], path: str) -> Expression:
        keys = {key: self.convert(key, f"{path}, key {key!r}") for key in value}
        try:
            result = {keys[key]: self.convert(item, join_path(path, keys[key])) for key, item in value.items()}
        except UnwritableValue:
            raise
        except TypeError:
            raise UnwritableValue(path, "a key contains a list or a dict") from None
        if len(result) < len(value):
            raise UnwritableValue(path, "two of its keys would be written as the same text")
        return result

    def _convert_scalar(self, value: str | bytes | float, path: str) -> Expression:
        kind = type(value)
        builtin: type
        node: Expression
        if isinstance(value, str):
            builtin, node = str, self.redact_text(str.__str__(value))
        elif isinstance(value, bytes):
            builtin, node = bytes, self._redact_bytes(value)
        elif isinstance(value, int):
            builtin, node = int, int(value)
            try:
                int.__repr__(value)
            except ValueError as error:  # more digits than sys.set_int_max_str_digits() allows
                raise UnwritableValue(path, str(error)) from None
        else:
            builtin, node = float, float(value)
            if not math.isfinite(value):
                node = SnapshotCall("float", (repr(node),))
        return node if kind is builtin else SnapshotCall(kind.__name__, (node,))

    def _redact_bytes(self, value: bytes) -> bytes:
        # surrogateescape keeps bytes that are not UTF-8, so that a secret among them is still found
        text = value.decode(errors="surrogateescape")
        return self.redact_text(text).encode(errors="surrogateescape")

    def _convert_enum(self, value: Enum, path: str) -> Expression:
        kind = type(value)
        name = f"{kind.__name__}.{value.name}"
        if value.name in kind.__members__ and format_callee(name) == name:
            return Name(name)
        return SnapshotCall(kind.__name__, (self.convert(value.value, path),))

    def _convert_time(self, value: date | time | timedelta | tzinfo, path: str) -> Expression:
        if isinstance(value, timedelta):
            parts = {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
            nonzero = tuple((name, number) for name, number in parts.items() if number)
            return SnapshotCall("timedelta", (), nonzero) if nonzero else SnapshotCall("timedelta", (0,))
        if isinstance(value, tzinfo):
            return self._convert_zone(value, path)
        if isinstance(value, datetime):
            numbers = [value.year, value.month, value.day, value.hour, value.minute]
        elif isinstance(value, time):
            numbers = [value.hour, value.minute]
        else:
            return SnapshotCall("date", (value.year, value.month, value.day))
        if value.second or value.microsecond:
            numbers.append(value.second)
        if value.microsecond:
            numbers.append(value.microsecond)
        keywords: list[tuple[str, Expression]] = []
        if value.tzinfo is not None:
            keywords.append(("tzinfo", self._convert_zone(value.tzinfo, f"{path}.tzinfo")))
        if value.fold:
            keywords.append(("fold", value.fold))
        return SnapshotCall("datetime" if isinstance(value, datetime) else "time", tuple(numbers), tuple(keywords))

    def _convert_zone(self, zone: tzinfo, path: str) -> Expression:
        if isinstance(zone, ZoneInfo) and zone.key:
            return SnapshotCall("ZoneInfo", (zone.key,))
        if isinstance(zone, (timezone, TzInfo)):
            offset = zone.utcoffset(None)
            if offset is not None:
                return SnapshotCall("timezone", (self._convert_time(offset, path),)) if offset else Name("timezone.utc")
        raise UnwritableValue(path, f"the time zone {_qualified_name(type(zone))} cannot be written in a snapshot")


def _qualified_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
