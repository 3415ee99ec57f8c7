"""Call expressions of literals, read as the trees that they were written from.

With :mod:`ast`, so that a snapshot file is data and never code.
"""

from __future__ import annotations

import ast
import dataclasses
from types import EllipsisType

from multitrack.snapshots.literals import Braces, Call, Name, Plain, canonical


class UnreadableCalls(ValueError):
    """A text is no list of call expressions of literals. ``line`` is the line in it, from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def read_calls(text: str) -> tuple[Call, ...]:
    """The calls of a text that holds one call expression of literals after the other; comments may stand between.

    Nothing is evaluated. Raises `UnreadableCalls` with the line.
    """
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        raise UnreadableCalls(line or 1, getattr(error, "msg", str(error))) from None
    calls = []
    for statement in module.body:
        node = _read_tool_call(statement.value) if isinstance(statement, ast.Expr) else None
        if not isinstance(node, Call):
            raise UnreadableCalls(statement.lineno, f"no call expression: {ast.unparse(statement)}")
        calls.append(node)
    return tuple(calls)


def read_value(text: str) -> Plain:
    """The tree of one expression of literals. Raises `UnreadableCalls`."""
    try:
        return _read(ast.parse(text, mode="eval").body)
    except UnreadableCalls:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableCalls(1, str(error)) from None


def _read_tool_call(node: ast.expr) -> Plain:
    match node:
        case ast.BinOp(left=ast.Call() as call, op=ast.MatMult(), right=ast.Constant(value=str() as id_)):
            return dataclasses.replace(_read_call(call), id=id_)
    return _read(node)


def _read(node: ast.expr) -> Plain:
    match node:
        case ast.Constant(value=EllipsisType()):
            return ...
        case ast.Constant(value=None | bool() | int() | float() | str() | bytes() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items):
            return [_read(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_read(item) for item in items)
        case ast.Set(elts=items):
            return Braces(tuple(sorted((_read(item) for item in items), key=canonical)))
        case ast.Dict():
            return _read_dict(node)
        case ast.Call():
            return _read_call(node)
        case (
            ast.Name()
            | ast.Attribute()
            | ast.BinOp(op=ast.BitOr() | ast.BitAnd())
            | ast.UnaryOp(op=ast.Invert(), operand=ast.Name() | ast.Call())
        ):
            return Name(ast.unparse(node))
    raise UnreadableCalls(node.lineno, f"no literal: {ast.unparse(node)}")


def _read_dict(node: ast.Dict) -> dict[Plain, Plain]:
    result: dict[Plain, Plain] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        if key is None:
            raise UnreadableCalls(node.lineno, f"no literal: {ast.unparse(node)}")
        try:
            result[_read(key)] = _read(item)
        except TypeError:
            raise UnreadableCalls(key.lineno, f"cannot be a key: {ast.unparse(key)}") from None
    return result


def _read_call(node: ast.Call) -> Call:
    name = node.func.value if isinstance(node.func, ast.Constant) else ast.unparse(node.func)
    if not isinstance(name, str):
        raise UnreadableCalls(node.lineno, f"no call expression: {ast.unparse(node)}")
    keywords: list[tuple[str, Plain]] = []
    for keyword in node.keywords:
        item = _read(keyword.value)
        if keyword.arg is not None:
            keywords.append((keyword.arg, item))
        elif isinstance(item, dict) and all(isinstance(key, str) for key in item):
            keywords += [(str(key), value) for key, value in item.items()]
        else:
            raise UnreadableCalls(node.lineno, f"no literal: **{ast.unparse(keyword.value)}")
    return Call(name, tuple(_read(item) for item in node.args), tuple(keywords))
