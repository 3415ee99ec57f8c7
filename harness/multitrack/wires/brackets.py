"""Where JSON text that arrives in pieces closes its outermost object or array."""

from __future__ import annotations

import re

_OUTSIDE = re.compile(r'[{}\[\]"]')
_INSIDE = re.compile(r'["\\]')


class BracketCounter:
    """Follows one JSON value piece by piece; each character is looked at once."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str, start: int = 0) -> int | None:
        """The offset in ``text`` just behind the outermost closing bracket, None if it does not come."""
        position = start
        if self._escaped and position < len(text):
            position += 1
            self._escaped = False
        while found := (_INSIDE if self._in_string else _OUTSIDE).search(text, position):
            position = found.end()
            match found.group():
                case '"':
                    self._in_string = not self._in_string
                case "\\":
                    if position == len(text):
                        self._escaped = True
                    position += 1
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth == 0:
                        return position
        return None
