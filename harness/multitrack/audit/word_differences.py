"""The words in which two strings differ."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile

from multitrack.audit.noise import mask_noise

_TOKEN = re.compile(r"\0\w+\0|\w+|\s+|[^\w\s]")
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2212", "''\"\"------")
# comparing more words takes tenths of a second if many of them are equal
_MAX_WORDS = 3000


@dataclass(frozen=True, slots=True)
class WordChange:
    """A stretch of words that was replaced. One side is empty if the words were only added or removed."""

    removed: str
    added: str


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part of a string: ``same``, ``removed`` or ``added``."""

    kind: str
    text: str


def split_changes(recorded: str, sent: str) -> list[TextPart]:
    """Split two strings into the parts that are the same, were removed or were added, in order."""
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


def find_word_changes(recorded: str, sent: str) -> list[WordChange]:
    """Return the stretches of words that differ, without the values that change in each run."""
    changes: list[WordChange] = []
    removed = ""
    parts = split_changes(mask_noise(recorded), mask_noise(sent))
    for position, part in enumerate(parts):
        following = parts[position + 1].kind if position + 1 < len(parts) else ""
        if part.kind == "removed":
            if following == "added":
                removed = part.text
            else:
                changes.append(WordChange(part.text.strip(), ""))
        elif part.kind == "added":
            changes.append(WordChange(removed.strip(), part.text.strip()))
            removed = ""
    return [change for change in changes if change.removed or change.added] or [WordChange("", "")]


def describe_form(recorded: str, sent: str) -> str | None:
    """Return "whitespace" or "Unicode form" if two strings differ only in that. None if their words differ."""
    if recorded.split() == sent.split():
        return "whitespace"
    if _simplify(recorded) == _simplify(sent):
        return "Unicode form"
    return None


def _simplify(text: str) -> list[str]:
    return unicodedata.normalize("NFKC", text).translate(_QUOTES).split()
