"""Generate a string that a regular expression matches.

Only this module uses the private parser of ``re``. No library can replace this parser:

- rstr, sre-yield and Hypothesis use it as well.
- exrex is under the AGPL.
- interegular does not support ``^`` and ``$``.
- greenery reads ``^`` and ``$`` as ordinary characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

_CANDIDATES = "aA0 _-.@/:,~!#" + "".join(map(chr, range(33, 127))) + "\t\n" + "é€"


def generate_text(pattern: str, min_length: int = 0) -> str:
    """Return a string that ``pattern`` matches.

    If the repeats in the pattern allow it, the string has at least ``min_length`` characters.

    Raises:
        ValueError: The pattern is not a Python regular expression, or has a part that is not supported, such as
            a look-around.
    """
    try:
        parsed = _parser.parse(pattern)
    except re.error as error:
        raise ValueError(str(error)) from error
    for repeats in range(max(min_length, 1) + 1):
        text = _generate_sequence(parsed, repeats, {})
        if len(text) >= min_length:
            return text
    return text


def _generate_sequence(parts: Iterable[tuple[Any, Any]], repeats: int, groups: dict[int, str]) -> str:
    return "".join(_generate_part(kind, value, repeats, groups) for kind, value in parts)


def _generate_part(kind: Any, value: Any, repeats: int, groups: dict[int, str]) -> str:
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.NOT_LITERAL:
        return _find_character(f"[^{re.escape(chr(value))}]")
    if kind is _constants.ANY:
        return "a"
    if kind is _constants.IN:
        return _generate_member(value)
    if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
        fewest, most, inner = value
        times = max(fewest, min(most, repeats))
        return "".join(_generate_sequence(inner, repeats, groups) for _ in range(times))
    if kind is _constants.SUBPATTERN:
        number, _, _, inner = value
        text = _generate_sequence(inner, repeats, groups)
        groups[number] = text
        return text
    if kind is _constants.ATOMIC_GROUP:
        return _generate_sequence(value, repeats, groups)
    if kind is _constants.BRANCH:
        return _generate_sequence(value[1][0], repeats, groups)
    if kind is _constants.GROUPREF:
        return groups.get(value, "")
    if kind is _constants.AT:
        return ""
    raise ValueError(f"{str(kind).lower()} is not supported")


_CATEGORIES = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}


def _generate_member(items: list[tuple[Any, Any]]) -> str:
    kind, value = items[0]
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.RANGE:
        return chr(value[0])
    if kind is _constants.CATEGORY:
        return _find_character(_CATEGORIES[value])
    return _find_character("[^" + "".join(_format_class_item(kind, value) for kind, value in items[1:]) + "]")


def _format_class_item(kind: Any, value: Any) -> str:
    if kind is _constants.LITERAL:
        return re.escape(chr(value))
    if kind is _constants.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return _CATEGORIES[value]


def _find_character(character_class: str) -> str:
    character = next((each for each in _CANDIDATES if re.fullmatch(character_class, each)), None)
    if character is None:
        raise ValueError(f"no character found for {character_class}")
    return character
