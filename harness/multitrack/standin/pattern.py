"""A text that a regular expression matches. The only file that touches the private parser of `re`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

_CANDIDATES = "aA0 _-.@/:,~!#" + "".join(map(chr, range(33, 127))) + "\t\n" + "é€"


def matching_text(pattern: str, shortest: int = 0) -> str:
    """A text that ``pattern`` matches, with at least ``shortest`` characters where its repeats allow.

    Raises `ValueError` for a pattern that is no regular expression of Python's, and for look-arounds and
    other parts that say what a text must not be.
    """
    try:
        parsed = _parser.parse(pattern)
    except re.error as error:
        raise ValueError(str(error)) from error
    for repeats in range(max(shortest, 1) + 1):
        text = _sequence(parsed, repeats, {})
        if len(text) >= shortest:
            return text
    return text


def _sequence(parts: Iterable[tuple[Any, Any]], repeats: int, groups: dict[int, str]) -> str:
    return "".join(_part(kind, value, repeats, groups) for kind, value in parts)


def _part(kind: Any, value: Any, repeats: int, groups: dict[int, str]) -> str:
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.NOT_LITERAL:
        return _character(f"[^{re.escape(chr(value))}]")
    if kind is _constants.ANY:
        return "a"
    if kind is _constants.IN:
        return _member(value)
    if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
        fewest, most, inner = value
        times = max(fewest, min(most, repeats))
        return "".join(_sequence(inner, repeats, groups) for _ in range(times))
    if kind is _constants.SUBPATTERN:
        number, _, _, inner = value
        text = _sequence(inner, repeats, groups)
        groups[number] = text
        return text
    if kind is _constants.ATOMIC_GROUP:
        return _sequence(value, repeats, groups)
    if kind is _constants.BRANCH:
        return _sequence(value[1][0], repeats, groups)
    if kind is _constants.GROUPREF:
        return groups.get(value, "")
    if kind is _constants.AT:
        return ""
    raise ValueError(f"{str(kind).lower()} is not understood")


_CATEGORIES = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}


def _member(items: list[tuple[Any, Any]]) -> str:
    kind, value = items[0]
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.RANGE:
        return chr(value[0])
    if kind is _constants.CATEGORY:
        return _character(_CATEGORIES[value])
    return _character("[^" + "".join(_spelled(kind, value) for kind, value in items[1:]) + "]")


def _spelled(kind: Any, value: Any) -> str:
    if kind is _constants.LITERAL:
        return re.escape(chr(value))
    if kind is _constants.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return _CATEGORIES[value]


def _character(character_class: str) -> str:
    found = next((each for each in _CANDIDATES if re.fullmatch(character_class, each)), None)
    if found is None:
        raise ValueError(f"no character found for {character_class}")
    return found
