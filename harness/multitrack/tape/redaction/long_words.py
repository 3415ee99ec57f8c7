"""Find the long words of a string. A secret is always in one of them, and most strings have few."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

MIN_LENGTH = 15
"""The length of the shortest long word, in characters. No secret that is known by its shape is shorter."""

_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+/~"
_TABLE = bytes(ord("a") if chr(byte) in _CHARACTERS else ord(" ") for byte in range(256))
_LONG_WORD = b"a" * MIN_LENGTH


# the searches for known secrets and for shapes read the same text, one after the other
@lru_cache(maxsize=2)
def find_long_words(text: str) -> Sequence[tuple[int, int]]:
    """Return the span of each word with at least ``MIN_LENGTH`` letters, digits and characters of base64."""
    # a table for bytes translates a string a hundred times faster than a regular expression splits it
    flat = text.encode("latin-1", "replace").translate(_TABLE)
    words = []
    start = flat.find(_LONG_WORD)
    while start >= 0:
        end = flat.find(b" ", start)
        end = len(flat) if end < 0 else end
        words.append((start, end))
        start = flat.find(_LONG_WORD, end)
    return words
