"""Add strings to a list in a project's pyproject.toml, without changing any other line of the file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from multitrack.errors import MultitrackError

_HEADER = re.compile(r"^[ \t]*\[[ \t]*tool[ \t]*\.[ \t]*multitrack[ \t]*\][^\n]*(?:\n|\Z)", re.MULTILINE)
_ANY_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)
# comments, strings and brackets; a character that begins none of them is skipped
_TOKEN = re.compile(r"""#[^\n]*|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\[\]]""")


def add_to_list(pyproject: Path, text: str, key: str, values: Sequence[str]) -> str:
    """Return ``text``, the content of ``pyproject``, with ``values`` added to a list in ``[tool.multitrack]``.

    Args:
        pyproject: The file, for messages.
        text: Its content.
        key: The name of the list, which is created if necessary.
        values: The strings to add. Those in the list are not added again.

    Raises:
        MultitrackError: The file is not valid TOML, or its layout is unusual, so that the user must change it.
    """
    try:
        wanted = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MultitrackError(f"{pyproject}: not changed, because it is not valid TOML: {error}") from None
    table = wanted.setdefault("tool", {}).setdefault("multitrack", {})
    before = table.get(key, [])
    added = [value for value in dict.fromkeys(values) if value not in before]
    if not added:
        return text
    table[key] = [*before, *added]
    for changed in _list_candidates(text, key, added):
        if _is_same(changed, wanted):
            return changed
    by_hand = f"{key} = {_format_list(table[key])}"
    raise MultitrackError(f"{pyproject}: the setting cannot be added\n  add it to [tool.multitrack] by hand: {by_hand}")


def _is_same(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _list_candidates(text: str, key: str, added: Sequence[str]) -> Iterator[str]:
    """Yield texts that may have the added strings. The caller parses them, because the search does not parse TOML."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    line = f"{key} = {_format_list(added)}{line_end}"
    for header in _HEADER.finditer(text):
        start = header.end()
        following = _ANY_HEADER.search(text, start)
        # a line of a list may begin with a bracket, so the search for the key does not stop at the first one
        for assignment in re.finditer(rf"^[ \t]*{re.escape(key)}[ \t]*=[ \t]*\[", text[start:], re.MULTILINE):
            yield from _extend(text, start + assignment.end(), added, line_end)
        # after the last line of the table, before the empty lines and comments in front of the next header
        end = len(text) if following is None else following.start()
        lines = re.sub(r"(?:^[ \t]*(?:#[^\n]*)?\r?\n)+\Z", "", text[start:end], flags=re.MULTILINE)
        separator = "" if (text[:start] + lines).endswith("\n") else line_end
        yield text[:start] + lines + separator + line + text[start + len(lines) :]
        yield text[:start] + line + text[start:]
    separator = "" if not text else line_end if text.endswith("\n") else 2 * line_end
    yield f"{text}{separator}[tool.multitrack]{line_end}{line}"


def _extend(text: str, start: int, added: Sequence[str], line_end: str) -> Iterator[str]:
    """Yield ``text`` with strings added to the list whose first character is at ``start``."""
    depth, at, last = 1, start, start
    while depth:
        while text[at : at + 1] in (" ", "\t", "\r", "\n"):
            at += 1
        if at >= len(text):
            return
        token = _TOKEN.match(text, at)
        found = text[at] if token is None else token[0]
        depth += {"[": 1, "]": -1}.get(found, 0)
        at += len(found)
        if depth and not found.startswith("#"):
            last = at
    close = at - 1
    needs_comma = last > start and text[last - 1] != ","
    line_start = text.rfind("\n", 0, close) + 1
    if line_start > last and not text[line_start:close].strip():  # the closing bracket has a line of its own
        indent = re.match(r"[ \t]*", text[text.rfind("\n", 0, last) + 1 :])
        margin = "    " if indent is None or last == start else indent[0]
        lines = "".join(f"{margin}{_format_string(value)},{line_end}" for value in added)
        yield text[:last] + ("," if needs_comma else "") + text[last:line_start] + lines + text[line_start:]
    else:
        items = ", ".join(map(_format_string, added))
        yield text[:last] + (", " if needs_comma else " " if last > start else "") + items + text[last:]


def _format_list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_format_string, values))}]"


def _format_string(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
