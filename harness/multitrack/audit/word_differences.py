"""Find the words in which two strings differ."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from multitrack.audit.noise import mask_noise
from multitrack.word_changes import split_changes

_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u2212", "''\"\"------")


@dataclass(frozen=True, slots=True)
class WordChange:
    """A stretch of words that was replaced, added or removed.

    ``removed`` is empty if words were only added, and ``added`` is empty if words were only removed.
    """

    removed: str
    added: str


def find_word_changes(recorded: str, sent: str) -> list[WordChange]:
    """Return the stretches of words that differ. Values that change in each run are ignored."""
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
    """Return "whitespace" or "Unicode form" if this is the only difference between two strings.

    None if their words differ.
    """
    if recorded.split() == sent.split():
        return "whitespace"
    if _simplify(recorded) == _simplify(sent):
        return "Unicode form"
    return None


def _simplify(text: str) -> list[str]:
    return unicodedata.normalize("NFKC", text).translate(_QUOTES).split()
