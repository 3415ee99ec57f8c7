"""Compare the texts of two requests. Values that change in each run are ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from multitrack.audit.noise import NoisePart, split_noise
from multitrack.audit.word_differences import WordChange, describe_form
from multitrack.tape import jsontext
from multitrack.word_changes import split_changes

CLIPPED = 80
"""The number of characters that are shown of a string."""

UNSTABLE = "\0proven\0"
"""The mark of a part that differs between two runs."""


def mask_unstable(previous: str, sent: str) -> str:
    """Return ``sent`` with a mark in place of each part that is not in ``previous``, the text of the previous run."""
    parts = split_changes(previous, sent)
    return "".join({"same": part.text, "added": UNSTABLE}.get(part.kind, "") for part in parts)


def split_tokens(text: str) -> list[str]:
    for char in "\"'<>=,;()[]{}:":
        text = text.replace(char, " ")
    return text.split()


def is_only_noise(text: str) -> bool:
    """Return whether ``text`` is a generated value, perhaps with a prefix such as ``call_``."""
    rest = "".join(part for part in split_noise(text) if isinstance(part, str))
    return len(rest) <= 24 and not any(char.isspace() for char in rest.strip())


def find_common_noise(recorded: str, sent: str) -> tuple[str, ...]:
    """Return the kinds of values, such as ``uuid``, that change in each run and differ between two texts.

    Returns an empty tuple if the texts do not have the same number of values of each kind.
    """
    before, after = ([part for part in split_noise(text) if isinstance(part, NoisePart)] for text in (recorded, sent))
    if Counter(part.kind for part in before) != Counter(part.kind for part in after):
        return ()
    return tuple(sorted({part.kind for part in after} if before != after else ()))


def describe_text_form(recorded: str, sent: str) -> str | None:
    if (form := describe_form(recorded, sent)) is not None:
        return form
    try:
        same = jsontext.canonical(jsontext.parse(recorded)) == jsontext.canonical(jsontext.parse(sent))
    except ValueError:
        return None
    return "whitespace and key order in JSON" if same and recorded[:1] in "{[" else None


def read_text_block(recorded: Any, sent: Any) -> tuple[str, str] | None:
    """Return both texts if one value is a string and the other is a list with one text block. None otherwise."""
    if isinstance(recorded, str) == isinstance(sent, str):
        return None
    texts = [value if isinstance(value, str) else _read_only_text(value) for value in (recorded, sent)]
    return (texts[0], texts[1]) if texts[0] is not None and texts[1] is not None else None


def _read_only_text(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        text = value[0].get("text")
        return text if isinstance(text, str) else None
    return None


def format_word_changes(changes: Sequence[WordChange]) -> str:
    first, *rest = changes
    removed, added = (_quote(text) for text in (first.removed, first.added))
    if first.removed and first.added:
        shown = f"{removed} -> {added}"
    else:
        shown = f"{added} was added" if first.added else f"{removed} was removed"
    return shown + (f" and {len(rest)} more" if rest else "")


def _quote(text: str) -> str:
    text = mask_words(text.replace(UNSTABLE, "…"))
    return jsontext.canonical(text if len(text) <= CLIPPED else text[: CLIPPED - 1] + "…")


def mask_words(text: str) -> str:
    """Replace each mark in ``text`` with a word such as <uuid>. Marks stand for values that change in each run."""
    pieces = text.split("\0")
    return "".join(piece if position % 2 == 0 else f"<{piece}>" for position, piece in enumerate(pieces))
