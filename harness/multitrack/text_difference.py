"""Show where two strings differ: the text around the first difference, with marks below the changed words."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile

CONTEXT = 20
"""How many equal characters are shown before and after a difference in a long string."""

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
# comparing more words takes too long if many of them are equal
_MAX_WORDS = 500
ELLIPSIS = "..."
_AROUND = f'{ELLIPSIS}""'


def count_hidden_ends(old: str, new: str) -> tuple[int, int]:
    """Return how many characters at the beginning and at the end of two strings need not be shown.

    These characters are equal in both strings, and more than ``CONTEXT`` characters away from a difference.
    """
    start = _count_hidden(old, new)
    return start, _count_hidden(old[start:][::-1], new[start:][::-1])


def _count_hidden(old: str, new: str) -> int:
    return max(_count_common(old, new) - CONTEXT, 0)


def _count_common(old: str, new: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a string, quoted as in JSON, and a line with a caret below each character that changed.

    The line of carets is empty if nothing in this part changed.
    """

    text: str
    carets: str


@dataclass(frozen=True, slots=True)
class _Change:
    """Two ranges, one in each string, in which the strings differ."""

    old: range
    new: range


def excerpt_difference(old: str, new: str, width: int) -> tuple[Excerpt, Excerpt, bool]:
    """Return an excerpt of each string around the first difference, and whether there are later differences.

    Args:
        old: A string.
        new: A different string.
        width: The number of columns for each excerpt, including the quotes and the dots for omitted text.
    """
    changes = _find_changes(old, new)
    start = _find_start(old, changes[0].old.start, max(len(old), len(new)) - width + len(_AROUND))
    lookalikes = [change for change in changes if _look_alike(old, new, change)]
    before, old_end = _cut(old, start, [change.old for change in changes], [one.old for one in lookalikes], width)
    after, new_end = _cut(new, start, [change.new for change in changes], [one.new for one in lookalikes], width)
    has_more = any(change.old.start >= old_end or change.new.start >= new_end for change in changes)
    return before, after, has_more


def _find_start(text: str, first: int, latest: int) -> int:
    """Return the offset in ``text`` where the excerpt starts, at the start of a word if possible.

    Args:
        text: The text.
        first: The offset of the first difference, which the excerpt must show.
        latest: The offset from which the remaining text fits in the excerpt. If the first difference is near the
            end, the excerpt starts here, to show more text before the difference.
    """
    start = max(first - CONTEXT, 0)
    if 0 < latest < start and measure_columns("".join(map(escape_char, text[latest:first]))) <= first - latest:
        start = latest
    if start and (word := re.compile(r"(?<!\w)\w").search(text, start, first)):
        return word.start()
    return start


def _find_changes(old: str, new: str) -> Sequence[_Change]:
    begin = _count_common(old, new)
    end = _count_common(old[begin:][::-1], new[begin:][::-1])
    # whole words: "30" and "31" differ as numbers, not in one digit
    before = next((n for n in range(min(begin, CONTEXT) + 1) if not _is_inside_word(old, begin - n, new, begin - n)), 0)
    after = next(
        (
            n
            for n in range(min(end, CONTEXT) + 1)
            if not _is_inside_word(old, len(old) - end + n, new, len(new) - end + n)
        ),
        0,
    )
    begin, end = begin - before, end - after
    ends = len(old) - end, len(new) - end
    words, other_words = (_TOKEN.findall(text[begin:stop]) for text, stop in zip((old, new), ends, strict=True))
    offsets, other_offsets = _list_offsets(words[:_MAX_WORDS], begin), _list_offsets(other_words[:_MAX_WORDS], begin)
    opcodes = SequenceMatcher(None, words[:_MAX_WORDS], other_words[:_MAX_WORDS], False).get_opcodes()
    found: list[_Change] = []
    for tag, first, last, other_first, other_last in opcodes:
        if tag == "equal":
            continue
        change = _Change(
            range(offsets[first], offsets[last]), range(other_offsets[other_first], other_offsets[other_last])
        )
        if found and old[found[-1].old.stop : change.old.start].isspace():
            previous = found.pop()
            change = _Change(range(previous.old.start, change.old.stop), range(previous.new.start, change.new.stop))
        found.append(change)
    if len(words) > _MAX_WORDS or len(other_words) > _MAX_WORDS:
        found.append(_Change(range(offsets[-1], ends[0]), range(other_offsets[-1], ends[1])))
    return found


def _is_inside_word(old: str, position: int, new: str, new_position: int) -> bool:
    """Return whether a position is inside a word of either text, so that a mark there would split the word."""
    return any(
        0 < at < len(text) and _is_word(text[at - 1]) and _is_word(text[at])
        for text, at in ((old, position), (new, new_position))
    )


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _list_offsets(words: Sequence[str], begin: int) -> list[int]:
    offsets = [begin]
    for word in words:
        offsets.append(offsets[-1] + len(word))
    return offsets


def _cut(text: str, start: int, changed: Sequence[range], escaped: Sequence[range], width: int) -> tuple[Excerpt, int]:
    """Return the part of ``text`` that begins at ``start`` and fits in ``width`` columns, and the position after it.

    Args:
        text: The text.
        start: The position at which the excerpt begins.
        changed: The ranges that get carets.
        escaped: The ranges whose characters are escaped unless they are ASCII.
        width: The number of columns.
    """
    prefix = f'{ELLIPSIS if start else ""}"'
    room = width - len(prefix) - 1
    shown, carets, used, at = "", "", 0, start
    while at < len(text):
        piece = escape_char(text[at], only_ascii=any(at in span for span in escaped))
        size = measure_columns(piece)
        is_last = at == len(text) - 1
        if used + size > room - (0 if is_last else len(ELLIPSIS)):
            # the rest may still fit, because it then needs no ellipsis
            rest = "".join(map(escape_char, text[at : at + room]))
            if len(text) - at > room or used + measure_columns(rest) > room:
                break
        shown += piece
        carets += ("^" if any(at in span for span in changed) else " ") * size
        used += size
        at += 1
    suffix = '"' + (ELLIPSIS if at < len(text) else "")
    line = (" " * len(prefix) + carets).rstrip()
    return Excerpt(prefix + shown + suffix, line), at if at < len(text) else len(text) + 1


def quote_pair(old: str, new: str) -> tuple[str, str]:
    """Quote two different strings as JSON. Escape differences that a reader might overlook."""
    lookalikes = [change for change in _find_changes(old, new) if _look_alike(old, new, change)]
    return _quote(old, [change.old for change in lookalikes]), _quote(new, [change.new for change in lookalikes])


def _quote(text: str, escaped: Sequence[range]) -> str:
    pieces = (escape_char(char, only_ascii=any(at in span for span in escaped)) for at, char in enumerate(text))
    return f'"{"".join(pieces)}"'


# a few of the confusable characters in https://www.unicode.org/reports/tr39/#Confusable_Detection
_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0406"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd"
    "\u2018\u2019\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2212",
    "aeopcyxijsABEKMHOPCTXIABEZHIKMNOPTYXov''\"\"------",
)


def _look_alike(old: str, new: str, change: _Change) -> bool:
    """Return whether a reader might overlook the difference in ``change``: a space, a mark, or a similar letter."""
    sides = (text[span.start : span.stop] for text, span in ((old, change.old), (new, change.new)))
    before, after = (unicodedata.normalize("NFKD", side).translate(_LOOKALIKES) for side in sides)
    # ignore combining marks, variation selectors, and characters without a width
    before, after = (
        "".join(c for c in side if unicodedata.category(c) not in _HARD_TO_SEE) for side in (before, after)
    )
    return before == after


_HARD_TO_SEE = ("Mn", "Me", "Cf")


def escape_char(char: str, *, only_ascii: bool = False) -> str:
    """Return ``char`` as it is written in a JSON string; characters that a terminal does not print are escaped.

    With ``only_ascii``, all characters beyond ASCII are escaped, too.
    """
    if char.isprintable() and char not in '"\\' and (char.isascii() or not only_ascii):
        return char
    return json.dumps(char)[1:-1]


def measure_columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
