"""Find the end of a JSON object or array that arrives in pieces."""

from __future__ import annotations

import re

_OUTSIDE_STRING = re.compile(r'[{}\[\]"]')
_INSIDE_STRING = re.compile(r'["\\]')


class BracketCounter:
    """A bracket counter that finds the end of a JSON value.

    The value can arrive in pieces. The counter reads each character only once.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str, start: int = 0) -> int | None:
        """Return the offset in ``text`` just after the outermost closing bracket.

        None if the bracket has not arrived yet.
        """
        position = start
        if self._escaped and position < len(text):
            position += 1
            self._escaped = False
        while found := (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(text, position):
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
