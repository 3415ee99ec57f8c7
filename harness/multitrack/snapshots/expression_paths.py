"""Replace the parts of an expression that are at given paths, such as ``stops[0].city``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, TypeAlias, cast

from multitrack.snapshots.expressions import Braces, Expression, SnapshotCall, canonical_text, format_line


class Unreplaced(Enum):
    """The type of ``UNREPLACED``. A replacement function returns ``UNREPLACED`` to keep a part unchanged."""

    UNREPLACED = "unreplaced"


UNREPLACED: Final = Unreplaced.UNREPLACED

Key: TypeAlias = "str | int"
"""The name of a field or key, or the number of an item."""

Leaf: TypeAlias = tuple[str, str, Expression]
"""The path of a value, the same path without the numbers of items, and the value."""


def join_path(path: str, key: Expression) -> str:
    """Append ``key`` to ``path``: ``trip.stops``, or ``trip['not an identifier']``."""
    return join_key(path, key) if isinstance(key, str) else f"{path}[{format_line(key)}]"


@lru_cache(maxsize=4096)
def join_key(path: str, key: Key) -> str:
    """Return the path of a part: ``trip.stops`` for a field, ``stops[0]`` for an item."""
    if isinstance(key, int) or not key.isidentifier():
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


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
    """Return the parts of a value, as a mapping from field name, key or position to part.

    The mapping is empty if the value is compared as a whole.
    """
    if isinstance(node, SnapshotCall):
        if not node.positional:
            return dict(node.keywords)
        node = unwrap(node)
    if isinstance(node, dict):
        return cast("dict[Key, Expression]", node) if {*map(type, node)} <= {str} else {}
    if isinstance(node, (list, tuple)):
        return dict(enumerate(node))
    return dict(node.keywords) if isinstance(node, SnapshotCall) and not node.positional else {}


def list_leaves(call: SnapshotCall) -> list[Leaf]:
    """Return the values in the call that are compared as a whole: the innermost parts of lists, mappings and models.

    If the arguments could not be parsed, the call itself is the only value in the list.
    """
    leaves: list[Leaf] = []

    def collect(parts: Mapping[Key, Expression], path: str, pattern: str) -> None:
        for key, part in parts.items():
            part_path = join_key(path, key)
            part_pattern = pattern if isinstance(key, int) else f"{pattern}.{key}"
            if not isinstance(part, (str, int, float)) and (inner := list_children(part)):
                collect(inner, part_path, f"{part_pattern}[]" if isinstance(part, (list, tuple)) else part_pattern)
            else:
                leaves.append((part_path, part_pattern, part))

    children = list_children(call)
    if call.positional and not children:
        return [("", "", call)]
    collect(children, "", "")
    return leaves


def replace_parts(call: SnapshotCall, replace: Callable[[Expression, str], Expression | Unreplaced]) -> SnapshotCall:
    """Return a copy of the call with other values.

    Each value is replaced by the result of ``replace``, which receives the value and its path.
    """

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
