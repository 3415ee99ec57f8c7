"""Change values in JSON text, but keep its whitespace, its escapes, the form of its numbers, and its key order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'\s*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+)', re.DOTALL)


def rewrite_json(text: str, document: Any) -> str:
    """Return ``text`` with the values of ``document``.

    Values that do not change keep their spelling. New values are written in the layout of ``text``.

    Args:
        text: A JSON document.
        document: Parsed JSON.

    Raises:
        ValueError: If ``text`` is not JSON.
    """
    if _is_same(json.loads(text), document):
        return text
    try:
        root = _parse(text)
    except RecursionError:
        raise ValueError("the JSON document is nested too deeply to be changed") from None
    return text[: root.start] + _Rewriter(text, root).rewrite(root, document, "") + text[root.end :]


def format_json(value: Any, *, is_ascii: bool = False, **layout: Any) -> str:
    """Return ``value`` as JSON.

    Args:
        value: The value. Lone surrogates, which UTF-8 cannot encode, are escaped.
        is_ascii: Escape every character that is not ASCII.
        layout: The ``indent`` and ``separators`` options of ``json.dumps``.
    """
    text = json.dumps(value, ensure_ascii=is_ascii, **layout)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class _Node:
    """A value in the JSON text, with its offsets. The items of an array have empty keys."""

    value: Any
    start: int
    end: int
    items: tuple[_ChildNode, ...] = ()


@dataclass(frozen=True, slots=True)
class _ChildNode:
    key: str
    start: int
    node: _Node


def _parse(text: str) -> _Node:
    tokens = _TOKEN.finditer(text)
    return _parse_value(next(tokens), tokens)


def _parse_value(token: re.Match[str], tokens: Iterator[re.Match[str]]) -> _Node:
    start = token.start(1)
    if token[1] not in ("{", "["):
        return _Node(json.loads(token[1]), start, token.end())
    items: list[_ChildNode] = []
    for following in tokens:
        if following[1] in ("}", "]"):
            nodes = [item.node.value for item in items]
            value = nodes if token[1] == "[" else {item.key: item.node.value for item in items}
            return _Node(value, start, following.end(), tuple(items))
        if following[1] == ",":
            continue
        if token[1] == "[":
            items.append(_ChildNode("", following.start(1), _parse_value(following, tokens)))
        else:
            next(tokens)
            items.append(_ChildNode(json.loads(following[1]), following.start(1), _parse_value(next(tokens), tokens)))
    raise ValueError("the JSON document is cut off")


class _Rewriter:
    def __init__(self, text: str, root: _Node) -> None:
        self._text = text
        self._is_ascii = text.isascii() and re.search(r"\\u(?!00[01])[0-9a-fA-F]{4}", text) is not None
        line = self._text[root.start + 1 : root.items[0].start] if root.items else ""
        self._unit = line.rpartition("\n")[2] if "\n" in line else None
        self._comma = next(self._find_commas(root), ",")
        self._colon = next(self._find_colons(root), ":")

    def rewrite(self, node: _Node, new: Any, margin: str) -> str:
        """Return the text of ``node`` with the value ``new``.

        ``margin`` is the indentation of the node's first line.
        """
        if _is_same(node.value, new):
            return self._text[node.start : node.end]
        if not node.items or not new or type(node.value) is not type(new):
            return self._format(new, margin)
        first, last = node.items[0], node.items[-1]
        opening = self._text[node.start : first.start]
        closing = self._text[last.node.end : node.end]
        margin = opening.rpartition("\n")[2] if "\n" in opening else margin
        if len(node.items) > 1:
            separator = self._text[first.node.end : node.items[1].start]
        else:
            separator = "," + opening[1:] if "\n" in opening else self._comma
        if isinstance(new, dict):
            known = {item.key: item for item in node.items}
            pieces = [self._rewrite_member(known.get(key), key, value, margin) for key, value in new.items()]
        else:
            pieces = [
                self.rewrite(item.node, value, margin) if item else self._format(value, margin)
                for item, value in _align(node.items, new)
            ]
        return opening + separator.join(pieces) + closing

    def _rewrite_member(self, item: _ChildNode | None, key: str, value: Any, margin: str) -> str:
        if item is None:
            return format_json(key, is_ascii=self._is_ascii) + self._colon + self._format(value, margin)
        return self._text[item.start : item.node.start] + self.rewrite(item.node, value, margin)

    def _format(self, value: Any, margin: str) -> str:
        comma = "," if self._unit is not None else self._comma
        text = format_json(value, is_ascii=self._is_ascii, indent=self._unit, separators=(comma, self._colon))
        return text if self._unit is None else text.replace("\n", "\n" + margin)

    def _find_commas(self, node: _Node) -> Iterator[str]:
        for item, following in zip(node.items, node.items[1:], strict=False):
            separator = self._text[item.node.end : following.start]
            if "\n" not in separator:
                yield separator
        for item in node.items:
            yield from self._find_commas(item.node)

    def _find_colons(self, node: _Node) -> Iterator[str]:
        for item in node.items:
            if item.start != item.node.start:
                yield self._text[item.start + len(_TOKEN.match(self._text, item.start)[1]) : item.node.start]  # type: ignore[index]
            yield from self._find_colons(item.node)


def _align(items: tuple[_ChildNode, ...], values: list[Any]) -> list[tuple[_ChildNode | None, Any]]:
    """Pair each value with the array item that it replaces. A new value is paired with None.

    Values that are unchanged at the beginning or the end keep their items. The other values are paired in order.
    """
    count = min(len(items), len(values))
    head = next((n for n in range(count) if not _is_same(items[n].node.value, values[n])), count)
    count -= head
    tail = next((n for n in range(count) if not _is_same(items[-1 - n].node.value, values[-1 - n])), count)
    middle = items[head : len(items) - tail]
    padding = (None,) * max(0, len(values) - tail - head - len(middle))
    sources = (*items[:head], *middle[: len(values) - tail - head], *padding, *items[len(items) - tail :])
    return list(zip(sources, values, strict=True))


def _is_same(old: Any, new: Any) -> bool:
    # Unlike `==`, this distinguishes 1, 1.0 and True, and objects whose keys have different orders.
    return json.dumps(old) == json.dumps(new)
