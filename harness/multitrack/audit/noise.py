"""Recognize values that change from run to run or from machine to machine: ids, times, paths and versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from multitrack.tape import jsontext

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
# The patterns are used twice: to recognize a value, and as a placeholder that the user can paste. A timestamp next to a
# letter, a digit or a hyphen does not count, because model names contain dates (gpt-4o-2024-08-06).
_START, _END = r"(?<![0-9A-Za-z-])", r"(?![0-9A-Za-z-])"
_DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z| ?[+-]\d\d:?\d\d)?)?"
PATTERNS: Mapping[str, str] = {
    "uuid": r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])",
    "timestamp": rf"{_START}{_DATE}{_END}",
    "date": (
        rf"(?:{_DAY},? )?(?:{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{1,2}} {_MONTH},? \d{{4}})"
        rf"(?:,? (?:at )?\d\d:\d\d(?::\d\d)?)?"
    ),
    "time": rf"{_START}\d\d:\d\d:\d\d(?:[.,]\d+)?{_END}",
    "number": rf"{_START}\d{{10,}}(?:\.\d+)?{_END}",
    "path": (
        r"(?:/private)?/(?:tmp|var/folders|home|Users|root|github/workspace|__w|builds)(?:/[^\s\"'<>:;,)\]}\\]+)+"
        r"|[A-Za-z]:\\(?:Users|Temp|a)\\[^\s\"'<>:;,)\]}]+"
    ),
    # at least four alternating runs of digits and letters; a word with a version number has fewer
    "random_id": (
        r"(?<![0-9A-Za-z])(?=[A-Za-z]*\d+[A-Za-z]+\d+[A-Za-z]|\d+[A-Za-z]+\d+[A-Za-z]+\d)"
        r"[0-9A-Za-z]{16,64}(?![0-9A-Za-z])"
    ),
}
"""The kinds of values that change from run to run, with the regular expressions that recognize them."""

DESCRIPTIONS: Mapping[str, str] = {
    "uuid": "a UUID",
    "timestamp": "a timestamp",
    "date": "a date",
    "time": "a time",
    "number": "a long number, such as a Unix time",
    "path": "a path of this machine",
    "random_id": "a random id",
    "answer": "an id from an earlier answer",
    "version": "the version of an installed package",
    "proven": "a value that differs between two runs",
}

_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in PATTERNS.items()))
_MIN_NUMBER = 1_000_000_000


@dataclass(frozen=True, slots=True)
class NoisePart:
    """A part of a string that probably changes in each run. The part's ``kind`` is a key of ``PATTERNS``."""

    kind: str
    value: str


def split_noise(text: str) -> Iterator[str | NoisePart]:
    """Yield the parts of ``text``: plain text, and the values that probably change in each run."""
    position = 0
    for match in _ANY.finditer(text):
        if match.start() > position:
            yield text[position : match.start()]
        yield NoisePart(match.lastgroup or "", match[0])
        position = match.end()
    if position < len(text):
        yield text[position:]


@lru_cache(maxsize=4096)
def mask_noise(text: str) -> str:
    """Return ``text`` with a fixed word in place of each value that probably changes in each run."""
    return "".join(f"\0{part.kind}\0" if isinstance(part, NoisePart) else part for part in split_noise(text))


def find_noise(recorded: object, sent: object) -> Sequence[tuple[NoisePart, NoisePart]] | None:
    """Find the noise that makes two strings or numbers differ: values that change in each run, such as ids.

    Returns pairs of a recorded and a live value. None if the strings or numbers also differ in anything else.
    """
    if isinstance(recorded, bool) or isinstance(sent, bool):
        return None
    if isinstance(recorded, int | float) and isinstance(sent, int | float):
        is_noise = min(recorded, sent) >= _MIN_NUMBER
        return [(NoisePart("number", str(recorded)), NoisePart("number", str(sent)))] if is_noise else None
    if not isinstance(recorded, str) or not isinstance(sent, str):
        return None
    before, after = list(split_noise(recorded)), list(split_noise(sent))
    if len(before) != len(after):
        return None
    found = []
    for one, other in zip(before, after, strict=True):
        if isinstance(one, NoisePart) and isinstance(other, NoisePart) and one.kind == other.kind:
            if one.value != other.value:
                found.append((one, other))
        elif one != other:
            return None
    return found


def format_placeholder(kind: str, pattern: str) -> str:
    """Return an entry for the ``placeholders`` setting that replaces strings matching ``pattern``."""
    # a TOML literal string has no escapes, but cannot contain a single quote
    value = f"'''{pattern}'''" if "'" in pattern else f"'{pattern}'"
    return f"{kind.upper()} = {value}"


def format_ignore(paths: Sequence[str]) -> str:
    """Return the ``ignore`` setting for JSON ``paths``, to be pasted into pyproject.toml."""
    return f"ignore = {jsontext.canonical(sorted(set(paths)))}"
