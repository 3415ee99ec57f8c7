"""Find the long words in a string. Only a long word can contain a secret, and most strings have few long words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from multitrack.tape.redaction.windows import WINDOW, cache_short_texts, find_windows

MIN_LENGTH = 15
"""The length of the shortest long word, in characters. No secret that is known by its shape is shorter."""

_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+/~"
_TABLE = bytes(ord("a") if chr(byte) in _CHARACTERS else ord(" ") for byte in range(256))
_LONG_WORD = b"a" * MIN_LENGTH
_WORD = re.compile(rf"[{re.escape(_CHARACTERS)}]{{{MIN_LENGTH},}}")
_BETWEEN_WORDS = re.compile(rf"(?<=[^{re.escape(_CHARACTERS)}])")


@cache_short_texts
def find_long_words(text: str) -> Sequence[tuple[int, int]]:
    """Return the span of each word with at least ``MIN_LENGTH`` letters, digits and base64 characters."""
    return [word for window in find_windows(text, _BETWEEN_WORDS) for word in _find_in_window(text, *window)]


def _find_in_window(text: str, offset: int, stop: int) -> Iterator[tuple[int, int]]:
    if stop - offset > 2 * WINDOW:
        # the window has a very long word, such as an image in base64; the table would need a copy of it
        yield from (word.span() for word in _WORD.finditer(text, offset, stop))
        return
    # a table for bytes translates a string a hundred times faster than a regular expression splits it
    flat = text[offset:stop].encode("latin-1", "replace").translate(_TABLE)
    start = flat.find(_LONG_WORD)
    while start >= 0:
        end = flat.find(b" ", start)
        end = len(flat) if end < 0 else end
        yield offset + start, offset + end
        start = flat.find(_LONG_WORD, end)
