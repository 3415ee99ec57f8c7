"""Replace base64 strings with their length, media type and digest, because nobody can read base64."""

from __future__ import annotations

import hashlib
import re
from typing import Any

_BASE64 = re.compile(r"(?:data:(?P<type>[\w.+-]+/[\w.+-]+)[^,]{0,100};base64,)?(?P<data>[A-Za-z0-9+/_-]{160,}={0,2})")
# the first bytes of a file, in base64: https://en.wikipedia.org/wiki/List_of_file_signatures
_BEGINNINGS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp or audio/wav",
    "JVBERi0": "application/pdf",
    "SUQz": "audio/mpeg",
    "T2dnUw": "audio/ogg",
    "UEsDB": "application/zip",
}
_TYPE_KEYS = ("media_type", "mime_type", "mimeType", "format")


def summarize_base64(value: Any, media_type: str = "") -> Any:
    """Return a copy of a JSON document with a short description instead of each long base64 string.

    Args:
        value: The document.
        media_type: The media type that is stored next to ``value``. Empty if there is none.
    """
    if isinstance(value, dict):
        named = next((value[key] for key in _TYPE_KEYS if isinstance(value.get(key), str)), media_type)
        summarized = {key: summarize_base64(item, named) for key, item in value.items()}
        # keep the class: it shows that a body is a form, or a part of one
        return type(value)(summarized)
    if isinstance(value, list):
        return type(value)(summarize_base64(item, media_type) for item in value)
    if isinstance(value, str) and len(value) >= 160 and (match := _BASE64.fullmatch(value)):
        data = match["data"]
        kind = match["type"] or media_type or _guess_type(data)
        digest = hashlib.sha256(data.encode()).hexdigest()[:12]
        return f"<base64{f' {kind}' if kind else ''}, {len(data)} characters, sha256 {digest}>"
    return value


def _guess_type(data: str) -> str:
    return next((kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning)), "")
