"""The parts of an expression by their paths: ``stops[0].city``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, TypeAlias, cast

from multitrack.snapshots.expressions import Braces, Expression, SnapshotCall, canonical_text, format_line


class Unreplaced(Enum):
    """The return value of a replacement function for a value that it does not replace."""

    UNREPLACED = "unreplaced"


UNREPLACED: Final = Unreplaced.UNREPLACED

Key: TypeAlias = "str | int"
"""The name of a field or key, or the number of an item."""


def join_path(path: str, key: Expression) -> str:
    """Return the path of a mapping's value: ``trip.stops``, or ``trip['not an identifier']``."""
    return _join_field(path, key) if isinstance(key, str) else f"{path}[{format_line(key)}]"


@lru_cache(maxsize=4096)
def _join_field(path: str, name: str) -> str:
    if name.isidentifier():
        return f"{path}.{name}" if path else name
    return f"{path}[{name!r}]"


def unwrap(node: Expression) -> Expression:
    """Return the list or mapping inside a call such as ``Prices([1.0])``. Return any other value unchanged."""
    if (
        isinstance(node, SnapshotCall)
        and len(node.positional) == 1
        and isinstance(node.positional[0], (list, tuple, dict, SnapshotCall))
    ):
        return unwrap(node.positional[0])
    return node


def list_children(node: Expression) -> Mapping[Key, Expression]:
    """Return the parts of a value by field, key or number; empty if the value is compared as a whole."""
    if isinstance(node, SnapshotCall):
        if not node.positional:
            return dict(node.keywords)
        node = unwrap(node)
    if isinstance(node, dict):
        return cast("dict[Key, Expression]", node) if {*map(type, node)} <= {str} else {}
    if isinstance(node, (list, tuple)):
        return dict(enumerate(node))
    return dict(node.keywords) if isinstance(node, SnapshotCall) and not node.positional else {}


def list_parts(call: SnapshotCall) -> dict[str, Expression]:
    """Return each value in the call by its path, outer values before inner ones.

    Values that are compared as a whole, such as dates, are not taken apart.
    """
    found: dict[str, Expression] = {}

    def collect(parts: Mapping[Key, Expression], path: str) -> None:
        for key, part in parts.items():
            part_path = f"{path}[{key}]" if isinstance(key, int) else join_path(path, key)
            found[part_path] = part
            if isinstance(part, (list, tuple, dict, SnapshotCall)):
                collect(list_children(part), part_path)

    collect(list_children(call), "")
    return found


def replace_parts(call: SnapshotCall, replace: Callable[[Expression, str], Expression | Unreplaced]) -> SnapshotCall:
    """Return the call with each value replaced by the result of `replace` for the value and its path."""

    def rewrite(node: Expression, path: str) -> Expression:
        replacement = replace(node, path)
        return rewrite_parts(node, path) if replacement is UNREPLACED else replacement

    def rewrite_parts(node: Expression, path: str) -> Expression:
        if isinstance(node, SnapshotCall):
            # a positional argument adds no step to the path: `Prices([1.0])` has the path of its list
            positional = tuple(rewrite(item, path) for item in node.positional)
            keywords = tuple((name, rewrite(item, join_path(path, name))) for name, item in node.keywords)
            return SnapshotCall(node.name, positional, keywords, node.id)
        if isinstance(node, (list, tuple)):
            items = [rewrite(item, f"{path}[{index}]") for index, item in enumerate(node)]
            return items if isinstance(node, list) else tuple(items)
        if isinstance(node, dict):
            return {key: rewrite(item, join_path(path, key)) for key, item in node.items()}
        if isinstance(node, Braces):
            members = (rewrite(item, f"{path}{{{number}}}") for number, item in enumerate(node.items))
            return Braces(tuple(sorted(members, key=canonical_text)))
        return node

    result = rewrite_parts(call, "")
    assert isinstance(result, SnapshotCall)
    return result
