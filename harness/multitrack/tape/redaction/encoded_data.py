"""Recognize long base64 data, such as an image. A part of such data can look like a secret by chance.

The URL-safe alphabet of base64 contains ``-``. Data in this alphabet often looks like an API key, because keys begin
with ``sk-`` or ``pa-``.
"""

from __future__ import annotations

import re

_LENGTH = 256
_MIN_DISTINCT = 52
"""Of 256 random characters of base64, about 63 are distinct. English text with ``+`` or ``_`` has fewer than 45."""

_MAX_SECRET = 2048
"""The longest secret, in characters, that contains nothing but characters of base64."""

_ENCODED = re.compile(rf"[A-Za-z0-9+/_-]{{{_LENGTH}}}")
_LONG_ENCODED = re.compile(rf"[A-Za-z0-9+/_-]{{{_MAX_SECRET + _LENGTH}}}")


def is_in_encoded_data(text: str, position: int) -> bool:
    """Return whether a secret at ``position`` would be inside a long run of encoded data.

    Text that is separated from the encoded data, for example by a space, a quotation mark or a dot, is not inside it.
    """
    before = position - _LENGTH
    if before >= 0 and _ENCODED.match(text, before, position) and _is_encoded(text[before:position]):
        return True
    if _LONG_ENCODED.match(text, position) is None:
        return False
    return _is_encoded(text[position + _MAX_SECRET : position + _MAX_SECRET + _LENGTH])


def _is_encoded(characters: str) -> bool:
    return len(set(characters)) >= _MIN_DISTINCT
