"""Process a large string in windows, so that no redaction step needs several copies of the whole string."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")

WINDOW = 1 << 20
"""The usual length of a window, in characters."""


def find_windows(text: str, boundary: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yield the spans of the windows of ``text``. A window ends where ``boundary``, a zero-width pattern, matches."""
    start = 0
    while len(text) - start > WINDOW and (found := boundary.search(text, start + WINDOW)) is not None:
        yield start, found.start()
        start = found.start()
    yield start, len(text)


def cache_short_texts(function: Callable[[str], T]) -> Callable[[str], T]:
    """Cache the results of ``function`` for the two most recent strings. Several searches read each string.

    Results for long strings are not cached, because the cache would keep a long string in memory until two more
    strings follow.
    """
    cached = lru_cache(maxsize=2)(function)

    @wraps(function)
    def call(text: str) -> T:
        return cached(text) if len(text) < WINDOW else function(text)

    return call
