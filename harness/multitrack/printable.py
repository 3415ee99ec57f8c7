"""Escape control characters, which a terminal would execute, such as those in a tool's name or in a cassette.

Everything that Multitrack prints goes through one of these functions.
"""

from __future__ import annotations

import re

# Control characters; characters that change the direction of text; invisible characters, except the joiners that emoji
# and Persian need; Unicode line breaks; halves of surrogate pairs. See https://trojansource.codes
_CONTROLS = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_TEXT = re.compile(f"[{_CONTROLS}]")
_IN_LINE = re.compile(f"[\n{_CONTROLS}]")
# https://en.wikipedia.org/wiki/ANSI_escape_code#SGR: a colour or a style, which pytest and its plugins print
_IN_COLOURED_TEXT = re.compile(rf"\x1b\[[0-9;]*m|[{_CONTROLS}]")
_SHORT = {"\n": r"\n", "\r": r"\r"}


def escape_controls(text: str) -> str:
    r"""Return ``text`` with escapes such as ``\x1b`` instead of the characters that a terminal obeys.

    Line breaks (``\n``) and tabs stay.
    """
    return _IN_TEXT.sub(_escape, text)


def escape_line(text: str) -> str:
    r"""Return ``text`` on one line.

    Control characters are escaped as in ``escape_controls``, and a line break becomes ``\n``.
    """
    return _IN_LINE.sub(_escape, text)


def escape_coloured(text: str) -> str:
    """Escape control characters in text that another program formatted, but keep its colours."""
    return _IN_COLOURED_TEXT.sub(lambda found: found[0] if len(found[0]) > 1 else _escape(found), text)


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
