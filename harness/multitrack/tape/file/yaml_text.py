"""Values as YAML, each on one line or as a literal block, spelled as PyYAML spells them.

PyYAML goes through a text character by character, twenty seconds for a body of 20 MB. Here it is asked about short
texts only, and once about each.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

# what stands on a line as it is: https://yaml.org/spec/1.1/#c-printable without what YAML 1.1 takes for line breaks
_ESCAPED = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffe]")
# within double quotes, PyYAML escapes what is beyond U+FFFF, too
_ESCAPED_IN_QUOTES = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_ESCAPES = {char: f"\\{name}" for char, name in yaml.emitter.Emitter.ESCAPE_REPLACEMENTS.items()}
_OFTEN_ESCAPED = '\\"\n\r\t'  # the backslash first: it stands in what the others become
_LONG = 1000
# a longer one is read only where a question mark stands before it
_LONGEST_KEY = 127
_LINE = re.compile(r"\n(?=[^\n])")


def format_line(value: Any, *, bracketed: bool = False) -> str:
    """``value`` on one line, ``bracketed`` where that stands within a list or mapping of one line."""
    match value:
        case str():
            return _text(value, bracketed)
        case list() | tuple():
            return f"[{', '.join(format_line(item, bracketed=True) for item in value)}]"
        case Mapping():
            return f"{{{', '.join(_pair(key, item) for key, item in value.items())}}}"
    return _by_pyyaml(value, bracketed=True)


def _pair(key: Any, item: Any) -> str:
    written = format_line(key, bracketed=True)
    mark = ("", "") if key != "" and len(written) <= _LONGEST_KEY else ("? ", " ")
    return f"{mark[0]}{written}{mark[1]}: {format_line(item, bracketed=True)}"


def _text(text: str, bracketed: bool) -> str:
    if _ESCAPED.search(text):
        for char in _OFTEN_ESCAPED:
            text = text.replace(char, _ESCAPES[char])
        return '"' + _ESCAPED_IN_QUOTES.sub(_escape, text) + '"'
    if len(text) > _LONG:
        return "'" + text.replace("'", "''") + "'"
    return _short(text, bracketed)


@lru_cache(maxsize=4096)
def _short(text: str, bracketed: bool) -> str:
    return _by_pyyaml(text, bracketed)


def _by_pyyaml(value: Any, bracketed: bool) -> str:
    written: str = yaml.dump(
        [value], Dumper=yaml.SafeDumper, default_flow_style=bracketed, allow_unicode=True, width=10**9
    )
    return written[1:-2] if bracketed else written[2:-1]


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def fits_block(text: str) -> bool:
    """Whether every tool and every editor leaves ``text`` as it is in a literal block."""
    # YAML 1.1 and 1.2 disagree on U+0085, U+2028 and U+2029; trailing spaces and tabs get lost in editors
    lines = text.split("\n")
    return (
        len(lines) > 1
        and not text.startswith((" ", "\n"))
        and all(line == line.rstrip() and line.isprintable() for line in lines)
    )


def format_block(text: str, indent: int) -> str:
    """``text``, which `fits_block`, as one, each line behind ``indent`` spaces."""
    kept = "+" if text.endswith("\n\n") else "" if text.endswith("\n") else "-"
    return f"|{kept}" + _LINE.sub("\n" + " " * indent, "\n" + text.removesuffix("\n"))


def format_binary(content: bytes, indent: int) -> str:
    """``content`` as base64, in a literal block, each line behind ``indent`` spaces."""
    return f"!!binary {format_block(base64.encodebytes(content).decode(), indent)}"
