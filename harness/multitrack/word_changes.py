"""Compare two strings by word: find the words that are the same, were removed or were added."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile

# a word between two null characters is the mark for a masked value, see ``multitrack.audit.noise``
_TOKEN = re.compile(r"\0\w+\0|\w+|\s+|[^\w\s]")
# comparing more words takes tenths of a second if many of them are equal
_MAX_WORDS = 3000


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part of a compared string, marked ``same``, ``removed`` or ``added``."""

    kind: str
    text: str


def split_changes(recorded: str, sent: str) -> list[TextPart]:
    """Compare two strings. Return their parts in order, each marked as unchanged, removed or added."""
    before, after = _TOKEN.findall(recorded), _TOKEN.findall(sent)
    begin = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    rest = list(zip(reversed(before[begin:]), reversed(after[begin:]), strict=False))
    end = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], rest))
    old, new = before[begin : len(before) - end], after[begin : len(after) - end]
    parts: list[TextPart] = []

    def add(kind: str, words: Sequence[str]) -> None:
        if words:
            parts.append(TextPart(kind, "".join(words)))

    add("same", before[:begin])
    if len(old) > _MAX_WORDS or len(new) > _MAX_WORDS:
        add("removed", old)
        add("added", new)
    else:
        # if spaces were compared like words, 700 replaced words would take ten seconds
        for tag, first, last, new_first, new_last in SequenceMatcher(str.isspace, old, new, False).get_opcodes():
            if tag == "equal":
                add("same", old[first:last])
            else:
                add("removed", old[first:last])
                add("added", new[new_first:new_last])
    add("same", before[len(before) - end :] if end else ())
    return _join_across_spaces(parts)


def _join_across_spaces(parts: Sequence[TextPart]) -> list[TextPart]:
    """Join changes separated only by whitespace, so that a replaced sentence is one change and not one per word."""
    joined: list[TextPart] = []
    removed = added = ""
    for position, part in enumerate(parts):
        if part.kind == "removed":
            removed += part.text
        elif part.kind == "added":
            added += part.text
        elif part.text.isspace() and 0 < position < len(parts) - 1:
            removed += part.text
            added += part.text
        else:
            joined += _make_change(removed, added)
            removed = added = ""
            joined.append(part)
    return joined + _make_change(removed, added)


def _make_change(removed: str, added: str) -> list[TextPart]:
    return [TextPart(kind, text) for kind, text in (("removed", removed), ("added", added)) if text]
