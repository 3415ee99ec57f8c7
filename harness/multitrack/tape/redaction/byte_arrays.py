"""Find secrets in arrays of byte values.

Such arrays are the ``bytes`` of each token in log probabilities, a ``Buffer`` of Node.js in JSON, and
``list(b"...")`` in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from multitrack.tape.redaction.text_changes import TextChange, find_changes

_SPACE = r"(?:\s|\\+[nrt])*"
# no secret has fewer than 8 characters
_ARRAY = re.compile(rf"(\[{_SPACE})\d{{1,3}}(,{_SPACE})\d{{1,3}}(?:,{_SPACE}\d{{1,3}}){{6,}}(?={_SPACE}\])")
_NUMBER = re.compile(r"\d+")


def find_in_byte_arrays(text: str, redact: Callable[[str], str]) -> list[TextChange]:
    """Redact text that is written as byte values. Return a change for each array that ``redact`` changes."""
    if "[" not in text:
        return []

    def replace(match: re.Match[str]) -> str:
        values = [int(number) for number in _NUMBER.findall(match[0])]
        if max(values) > 255:
            return match[0]
        characters = bytes(values).decode("utf-8", "surrogateescape")
        redacted = redact(characters)
        if redacted == characters:
            return match[0]
        return match[1] + match[2].join(map(str, redacted.encode("utf-8", "surrogateescape")))

    return find_changes(_ARRAY, replace, text)
