"""Represent Python values as trees of literals, and format them as source text that a person would write.

``multitrack.snapshots.conversion`` creates the tree from a Python value, and ``multitrack.snapshots.parsing`` creates
it from source text. Two values are equal in a snapshot if they have the same ``canonical_text``. Therefore ``1``,
``1.0`` and ``True`` are three different values. An ellipsis, ``...``, stands for an ignored value.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import EllipsisType
from typing import TypeAlias

WIDTH = 100
"""The maximum width of a line in a snapshot, in columns. Longer lines are wrapped."""


@dataclass(frozen=True, slots=True)
class Name:
    """A dotted name, such as the enum member ``Units.METRIC``, or an expression that combines names and calls with
    ``|``, ``&`` and ``~``.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Braces:
    """A set with at least one item, such as ``{1, 2}``. The items are in canonical order."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class SnapshotCall:
    """A call expression: a tool call, a nested model, a date, or any other value written as a call of its class.

    ``id`` is the id of a tool call. It is set only if ids are compared: ``Weather(location='Toronto') @ 'call_1'``.
    """

    name: str
    positional: tuple[Expression, ...] = ()
    keywords: tuple[tuple[str, Expression], ...] = ()
    id: str | None = None

    def __str__(self) -> str:
        return format_line(self)


Expression: TypeAlias = (
    "bool | int | float | str | bytes | list[Expression] | tuple[Expression, ...] | dict[Expression, Expression]"
    " | Name | Braces | SnapshotCall | EllipsisType | None"
)
RedactText: TypeAlias = Callable[[str], str]
"""Removes secrets from a string."""


def format_line(node: Expression) -> str:
    """Return ``node`` on one line, with fields and keys in the order in which ``node`` has them."""
    if isinstance(node, (str, int, float)):
        return repr(node)
    opening, items, closing = _split(node)
    text = ", ".join(f"{prefix}{format_line(item)}" for prefix, item in items)
    comma = "," if isinstance(node, tuple) and len(node) == 1 else ""
    return f"{opening}{text}{comma}{closing}"


def format_wrapped(node: Expression, *, width: int = WIDTH) -> str:
    """Return the expression with one argument or item per line wherever a line would be longer than ``width``."""
    return _wrap(node, width, 0, 0)


def _wrap(node: Expression, width: int, indent: int, used: int) -> str:
    line = format_line(node)
    opening, items, closing = _split(node)
    if not items or used + len(line) <= width:
        return line
    inner = indent + 4
    lines = [f"{' ' * inner}{prefix}{_wrap(item, width, inner, inner + len(prefix) + 1)}," for prefix, item in items]
    return "\n".join([opening, *lines, f"{' ' * indent}{closing}"])


def canonical_text(node: Expression) -> str:
    """Return ``node`` on one line with sorted keywords and keys, so that equal values have the same text."""
    if isinstance(node, (str, int, float)):
        return repr(node)
    if isinstance(node, dict):
        pairs = sorted([f"{canonical_text(key)}: {canonical_text(item)}" for key, item in node.items()])
        return f"{{{', '.join(pairs)}}}"
    if isinstance(node, SnapshotCall):
        return f"{node.name}({canonical_arguments(node)}){_format_id(node)}"
    if isinstance(node, Braces):
        return f"{{{', '.join(map(canonical_text, node.items))}}}"
    if isinstance(node, list):
        return f"[{', '.join(map(canonical_text, node))}]"
    if isinstance(node, tuple):
        return f"({', '.join(map(canonical_text, node))},)"
    return format_line(node)


def canonical_arguments(call: SnapshotCall) -> str:
    """Return the part of the canonical text between the parentheses, empty if the call has no arguments."""
    keywords = sorted([f"{name!r}={canonical_text(item)}" for name, item in call.keywords])
    return ", ".join([*map(canonical_text, call.positional), *keywords])


def _split(node: Expression) -> tuple[str, list[tuple[str, Expression]], str]:
    """Split an expression into its opening text, its items with the text before each of them, and its closing text."""
    if isinstance(node, list):
        return "[", [("", item) for item in node], "]"
    if isinstance(node, tuple):
        return "(", [("", item) for item in node], ")"
    if isinstance(node, Braces):
        return "{", [("", item) for item in node.items], "}"
    if isinstance(node, dict):
        return "{", [(f"{format_line(key)}: ", item) for key, item in node.items()], "}"
    if isinstance(node, SnapshotCall):
        arguments: list[tuple[str, Expression]] = [("", item) for item in node.positional]
        arguments += [(f"{name}=", item) for name, item in node.keywords if _is_keyword(name)]
        others: dict[Expression, Expression] = {name: item for name, item in node.keywords if not _is_keyword(name)}
        if others:
            arguments.append(("**", others))
        return f"{format_callee(node.name)}(", arguments, f"){_format_id(node)}"
    if node is ...:
        return "...", [], ""
    return node.text if isinstance(node, Name) else repr(node), [], ""


def _format_id(call: SnapshotCall) -> str:
    return "" if call.id is None else f" @ {call.id!r}"


@lru_cache(maxsize=1024)
def format_callee(name: str) -> str:
    """Return the name of a call. If Python cannot parse it as a name, return a string literal."""
    try:
        expression = ast.parse(name, mode="eval").body
    except (SyntaxError, ValueError):
        return repr(name)
    is_bare = isinstance(expression, (ast.Name, ast.Attribute, ast.Subscript)) and ast.unparse(expression) == name
    return name if is_bare else repr(name)


@lru_cache(maxsize=4096)
def _is_keyword(name: str) -> bool:
    try:
        return ast.unparse(ast.parse(f"f({name}=0)", mode="eval")) == f"f({name}=0)"
    except (SyntaxError, ValueError):
        return False
