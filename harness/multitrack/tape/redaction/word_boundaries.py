r"""Where a word begins in a text that may be JSON, or part of a URL.

A plain ``\b`` is wrong in both: in the JSON text ``"\nsk-…"`` the key follows a letter, that of the escape.
"""

from __future__ import annotations

import re

REDACTED = "__redacted__"
"""What stands where a secret stood. Plain letters: it goes through URLs, JSON and YAML unchanged."""

_HEX = "[0-9a-fA-F]"

WORD_START = (
    rf"(?:(?<![\w\\%])|(?<={REDACTED})"
    rf"|(?<=\\[nrtbf])|(?<=\\u{_HEX}{{4}})|(?<=\\)(?![nrtbfu])"
    rf"|(?<=%{_HEX}{{2}})|(?<=%)(?!{_HEX}{{2}}))"
)
"""A regular expression that takes no characters; never true inside of an escape."""


WORD_END = rf"(?:\b|(?={REDACTED}))"
"""Where a word ends: a secret that followed it is no part of it."""


def starting(word: str) -> str:
    """A regular expression for ``word`` where a word begins.

    It begins with ``word`` itself and looks back from its end: the search for a literal is ten times as fast as
    the trial of a condition at every character.
    """
    end = re.escape(word)
    before = [
        rf"(?<=\\[nrtbf]{end})",
        rf"(?<=\\u{_HEX}{{4}}{end})",
        rf"(?<=%{_HEX}{{2}}{end})",
        rf"(?<=\\\\{end})",
        f"(?<={REDACTED}{end})",
    ]
    if word[0] not in "nrtbfu":
        before.append(rf"(?<=\\{end})")
    if not re.match(_HEX * 2, word):
        before.append(f"(?<=%{end})")
    return rf"{end}(?:(?<![\w\\%]{end})|{'|'.join(before)})"
