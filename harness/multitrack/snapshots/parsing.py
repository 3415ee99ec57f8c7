"""Parse the text of call expressions without running it.

The parser is :mod:`ast`, because a snapshot file is data and must never run as code.
"""

from __future__ import annotations

import ast
import dataclasses
from types import EllipsisType

from multitrack.snapshots.expressions import Braces, Expression, Name, SnapshotCall, canonical_text


class UnreadableCalls(ValueError):
    """The error for source text that is not a list of call expressions.

    ``line`` is the number of the line with the error, from 1.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def parse_calls(text: str) -> tuple[SnapshotCall, ...]:
    """Return the calls in source text that consists of comments and call expressions with literal arguments.

    Raises:
        UnreadableCalls: The text contains anything else.
    """
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        raise UnreadableCalls(line or 1, getattr(error, "msg", str(error))) from None
    calls = []
    for statement in module.body:
        node = _parse_tool_call(statement.value) if isinstance(statement, ast.Expr) else None
        if not isinstance(node, SnapshotCall):
            raise UnreadableCalls(statement.lineno, f"not a call expression: {ast.unparse(statement)}")
        calls.append(node)
    return tuple(calls)


def parse_expression(text: str) -> Expression:
    """Parse an expression that consists of literals.

    Raises:
        UnreadableCalls: The text is not an expression of literals.
    """
    try:
        return _parse(ast.parse(text, mode="eval").body)
    except UnreadableCalls:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableCalls(1, str(error)) from None


def _parse_tool_call(node: ast.expr) -> Expression:
    match node:
        case ast.BinOp(left=ast.Call() as call, op=ast.MatMult(), right=ast.Constant(value=str() as id_)):
            return dataclasses.replace(_parse_call(call), id=id_)
    return _parse(node)


def _parse(node: ast.expr) -> Expression:
    match node:
        case ast.Constant(value=EllipsisType()):
            return ...
        case ast.Constant(value=None | bool() | int() | float() | str() | bytes() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items):
            return [_parse(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_parse(item) for item in items)
        case ast.Set(elts=items):
            return Braces(tuple(sorted((_parse(item) for item in items), key=canonical_text)))
        case ast.Dict():
            return _parse_dict(node)
        case ast.Call():
            return _parse_call(node)
        case (
            ast.Name()
            | ast.Attribute()
            | ast.BinOp(op=ast.BitOr() | ast.BitAnd())
            | ast.UnaryOp(op=ast.Invert(), operand=ast.Name() | ast.Call())
        ):
            return Name(ast.unparse(node))
    raise UnreadableCalls(node.lineno, f"not a literal: {ast.unparse(node)}")


def _parse_dict(node: ast.Dict) -> dict[Expression, Expression]:
    result: dict[Expression, Expression] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        if key is None:
            raise UnreadableCalls(node.lineno, f"not a literal: {ast.unparse(node)}")
        try:
            result[_parse(key)] = _parse(item)
        except TypeError:
            raise UnreadableCalls(key.lineno, f"cannot be a key: {ast.unparse(key)}") from None
    return result


def _parse_call(node: ast.Call) -> SnapshotCall:
    name = node.func.value if isinstance(node.func, ast.Constant) else ast.unparse(node.func)
    if not isinstance(name, str):
        raise UnreadableCalls(node.lineno, f"not a call expression: {ast.unparse(node)}")
    keywords: list[tuple[str, Expression]] = []
    for keyword in node.keywords:
        item = _parse(keyword.value)
        if keyword.arg is not None:
            keywords.append((keyword.arg, item))
        elif isinstance(item, dict) and all(isinstance(key, str) for key in item):
            keywords += [(str(key), value) for key, value in item.items()]
        else:
            raise UnreadableCalls(node.lineno, f"not a literal: **{ast.unparse(keyword.value)}")
    return SnapshotCall(name, tuple(_parse(item) for item in node.args), tuple(keywords))
