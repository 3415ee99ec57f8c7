"""Format the two values of a difference in at most 80 columns, so that the reader sees what changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from multitrack.tape import jsontext
from multitrack.tape.matching.difference import ABSENT, Difference
from multitrack.text_difference import CONTEXT, escape_char, excerpt_difference, measure_columns, quote_pair

WIDTH = 80
RECORDED, SENT = "recorded:", "sent:"


def format_difference(difference: Difference, indent: int) -> Iterator[str]:
    """Yield the lines that show the two values of ``difference``. The caller indents them by ``indent`` columns.

    Short values are printed completely. For two long strings, only the part around the first difference is printed,
    with carets below the words that changed.
    """
    before, after = difference.recorded, difference.sent
    room = WIDTH - indent - len(RECORDED) - 1
    if isinstance(before, str) and isinstance(after, str) and not _all_fit(before, after, room):
        old, new, has_more = excerpt_difference(before, after, room)
        # under each other, so that the reader can compare them
        for label, excerpt in (RECORDED, old), (SENT, new):
            yield f"{label:{len(RECORDED)}} {excerpt.text}"
            if excerpt.carets:
                yield f"{'':{len(RECORDED)}} {excerpt.carets}"
        if has_more:
            yield "and more differences later in this text"
        return
    if isinstance(before, str) and isinstance(after, str):
        values = quote_pair(before, after)
    else:
        values = format_value(before, room), format_value(after, room)
    yield f"{RECORDED} {values[0]}"
    yield f"{SENT} {values[1]}"


def _all_fit(before: str, after: str, room: int) -> bool:
    return all(len(text) <= room and measure_columns(_format_whole(text)) <= room for text in (before, after))


def format_value(value: Any, width: int = WIDTH - CONTEXT) -> str:
    """Return ``value`` as JSON, truncated to ``width`` columns."""
    if value is ABSENT:
        return repr(value)
    text = _format_whole(value)
    if measure_columns(text) <= width:
        return text
    while measure_columns(text) >= width:
        text = text[: len(text) - max(1, (measure_columns(text) - width) // 2)]
    return text + "…"


def _format_whole(value: Any) -> str:
    text = jsontext.canonical(value)
    return text if text.isprintable() else "".join(char if char in '"\\' else escape_char(char) for char in text)
