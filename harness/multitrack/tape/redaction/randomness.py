"""Distinguish strings of random characters from words."""

from __future__ import annotations

import re

_SEGMENT = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"\d+|[A-Z]?[a-z]+|[A-Z]+")
_MIN_RANDOM = 12
_LONGEST_WORD = 20


def looks_random(text: str) -> bool:
    """Return whether ``text`` looks like random characters, unlike a class name or a slug, which consist of words."""
    count = 0
    for segment in _SEGMENT.findall(text):
        if len(segment) >= _LONGEST_WORD or (len(segment) > 1 and not _WORD.fullmatch(segment) and _mixes(segment)):
            count += len(segment)
    return count >= _MIN_RANDOM


def _mixes(segment: str) -> bool:
    # CamelCase consists of words, and so does a word followed by a number, such as `v2`
    parts = _WORD.findall(segment)
    return (len(parts) > 2 and sum(map(len, parts)) / len(parts) < 4) or any(map(str.isdigit, segment))
