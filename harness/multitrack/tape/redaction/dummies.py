"""Recognize placeholders for secrets, such as ``your-api-key`` or ``${TOKEN}``."""

from __future__ import annotations

import re

from multitrack.tape.redaction.randomness import looks_random

_WORD_LIST = (
    "a access account add admin an another any anything api apikey app auth azure anthropic bar basic baz bearer "
    "change changeme client comes default demo dev dummy empty enter env example fake foo for from gemini goes google "
    "here id in insert invalid is key keys live lm local localhost masked me mock my needed no none not null of ollama "
    "openai or our pass passwd password placeholder private put pwd real redacted removed replace required sample "
    "secret set sk some string studio test testing tests the this to todo token unused use used user username valid "
    "value var without with your"
)
_WORDS = frozenset(_WORD_LIST.split())
_PART = re.compile(r"[^\W_]+")
_REPEATED = re.compile(r"(?:(.)\1*|(?:0?123456789?)+0?|abc(?:def(?:ghi)?)?)\d?", re.IGNORECASE)
_TEMPLATE = re.compile(
    r"\$\w+|\$?\{\{?[^{}]*\}\}?|\$\([^()]*\)|%\w+%|<[^<>]*>|\[[^\[\]]*\]|@\w+@|(?:\$?\{[^{}]*\})+", re.DOTALL
)


def is_dummy(value: str) -> bool:
    """Return whether ``value`` is a placeholder for a secret.

    A placeholder is a template, a repeated character, or consists of words, such as ``your-api-key``.
    """
    if not value or value.startswith("__redacted__") or "placeholder" in value.lower():
        return True
    parts = _PART.findall(value.lower())
    if all(part in _WORDS or _REPEATED.fullmatch(part) for part in parts):
        return True
    return _TEMPLATE.fullmatch(value) is not None and not looks_random(value)
