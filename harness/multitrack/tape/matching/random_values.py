"""Recognize values that change from run to run: values that clients generate, and values that look random."""

from __future__ import annotations

import re
from typing import Any

KNOWN_RANDOM_FIELDS = {
    # openai-agents sends one per run, unless the caller groups runs by a conversation or a session:
    # https://github.com/openai/openai-agents-python/blob/main/src/agents/run_internal/prompt_cache_key.py
    "prompt_cache_key": re.compile(r"agents-sdk:run:[0-9a-f]{32}"),
}
"""Top-level fields of a JSON body that are not compared if their value matches the pattern."""

_GENERATED_ID = re.compile(rb'"pyd_ai_[0-9a-f]{32}"')
# pydantic-ai generates an id of this form for a call without an id, such as a Gemini call:
# https://github.com/pydantic/pydantic-ai/blob/main/pydantic_ai_slim/pydantic_ai/_utils.py (generate_tool_call_id)

_MARKERS = {name: f'"{name}"'.encode() for name in KNOWN_RANDOM_FIELDS}


def number_generated_ids(body: bytes) -> bytes:
    """Replace each randomly generated id in ``body`` with a number, in order of appearance.

    Equal ids get equal numbers. If a tool result refers to a different call than before, the bodies therefore still
    differ.
    """
    if b'"pyd_ai_' not in body:
        return body
    numbers: dict[bytes, bytes] = {}
    return _GENERATED_ID.sub(lambda match: numbers.setdefault(match[0], b'"pyd_ai_%d"' % len(numbers)), body)


def may_have_random_fields(body: bytes) -> bool:
    """Return whether ``body`` could have one of ``KNOWN_RANDOM_FIELDS``. Otherwise, the body need not be parsed."""
    return any(marker in body for marker in _MARKERS.values())


def remove_random_fields(document: Any) -> Any:
    """Return ``document`` without the fields that a client is known to generate at random."""
    if not isinstance(document, dict):
        return document
    return {name: value for name, value in document.items() if not _is_known_random(name, value)}


def list_differing_random_fields(recorded: Any, sent: Any) -> list[str]:
    """Return the names of the known random fields that differ between two documents.

    ``remove_random_fields`` removes these fields.
    """
    if not isinstance(recorded, dict) or not isinstance(sent, dict):
        return []
    return [
        name
        for name in KNOWN_RANDOM_FIELDS
        if recorded.get(name) != sent.get(name)
        and any(name in document and _is_known_random(name, document[name]) for document in (recorded, sent))
    ]


def _is_known_random(name: str, value: Any) -> bool:
    pattern = KNOWN_RANDOM_FIELDS.get(name)
    return pattern is not None and isinstance(value, str) and pattern.fullmatch(value) is not None


# No letter, digit or hyphen is next to a shape, except that a token may follow a prefix such as `call_`. So the dates
# in model names (gpt-4o-2024-08-06) are not random.
_RANDOM_PARTS = re.compile(
    r"""
    (?<![0-9A-Za-z-]) (?:
        (?P<uuid> [0-9a-fA-F]{8} (?:-[0-9a-fA-F]{4}){3} -[0-9a-fA-F]{12})
      | (?P<datetime> \d{4}-\d\d-\d\d (?: [T\ ] \d\d:\d\d (?: :\d\d (?:[.,]\d+)? )? (?:Z|\ ?[+-]\d\d:?\d\d)? )? )
      | (?P<time> \d\d:\d\d:\d\d (?:[.,]\d+)? )
      | (?P<number> \d{10,} (?:\.\d+)? )
    ) (?![0-9A-Za-z-])
    | (?<![0-9A-Za-z]) (?P<token> [0-9A-Za-z]{16,} ) (?![0-9A-Za-z])
    """,
    re.VERBOSE,
)
_TOKEN_BORDER = re.compile(r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)")
_MIN_TOKEN_BORDERS = 3
# Unix timestamps have at least ten digits; so do most random integers
_MIN_RANDOM_NUMBER = 1_000_000_000


def looks_random(recorded: Any, sent: Any) -> bool:
    """Return whether two values probably differ because each run generates a new one.

    True if they differ only in UUIDs, long random tokens, timestamps and other long numbers. False if one of the
    documents does not have the value.

    Args:
        recorded: The value in the recorded document.
        sent: The value in the document that was sent.
    """
    if isinstance(recorded, bool) or isinstance(sent, bool):
        return False
    if isinstance(recorded, int | float) and isinstance(sent, int | float):
        return recorded != sent and min(recorded, sent) >= _MIN_RANDOM_NUMBER
    if not isinstance(recorded, str) or not isinstance(sent, str) or recorded == sent:
        return False
    return _RANDOM_PARTS.sub(_name_shape, recorded) == _RANDOM_PARTS.sub(_name_shape, sent)


def _name_shape(match: re.Match[str]) -> str:
    shape = match.lastgroup or ""
    if shape == "token" and len(_TOKEN_BORDER.findall(match[0])) < _MIN_TOKEN_BORDERS and not match[0].isdigit():
        return match[0]
    return f"\0{shape}\0"
