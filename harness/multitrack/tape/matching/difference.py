"""Where two JSON documents differ: the paths, with both values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from multitrack.tape import jsontext
from multitrack.tape.redaction.word_boundaries import REDACTED

# so many pairs of items are compared in some tenths of a second, where many of them are equal; numbers of a vector are
_ALIGNED = 1_000_000

Path = tuple[str | int, ...]


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()
"""The value at a path that one of the documents does not have; null is a value."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``path`` leads to the place, by keys and positions in the document that has it."""

    path: Path
    recorded: Any
    sent: Any

    def __str__(self) -> str:
        """The path in the form ``$.messages[1].content``."""
        return "$" + "".join(_step(step) for step in self.path)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isidentifier() else f"[{jsontext.canonical(step)}]"


def differences(recorded: Any, sent: Any, path: Path = ()) -> Iterator[Difference]:
    """The smallest places in which ``sent`` differs from ``recorded``; in arrays, an item inserted or left out is
    one difference and does not shift those behind it. A hole on the tape equals any text."""
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for key in [*recorded, *(key for key in sent if key not in recorded)]:
            yield from _pair(recorded.get(key, ABSENT), sent.get(key, ABSENT), (*path, key))
    elif isinstance(recorded, list) and isinstance(sent, list):
        before = [jsontext.canonical(item) for item in recorded]
        after = [jsontext.canonical(item) for item in sent]
        for begin, end, new_begin, new_end in _changed(before, after):
            for offset in range(max(end - begin, new_end - new_begin)):
                old, new = begin + offset, new_begin + offset
                yield from _pair(
                    recorded[old] if old < end else ABSENT,
                    sent[new] if new < new_end else ABSENT,
                    (*path, new if new < new_end else old),
                )
    elif not _equal(recorded, sent):
        yield Difference(path, recorded, sent)


def _changed(before: list[str], after: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Where ``after`` has other items than ``before``: begin and end in both."""
    begin = _common(before, after)
    rest = _common(before[begin:][::-1], after[begin:][::-1])
    old, new = before[begin : len(before) - rest], after[begin : len(after) - rest]
    if len(old) * len(new) > _ALIGNED:
        yield begin, len(before) - rest, begin, len(after) - rest
        return
    for tag, *places in SequenceMatcher(None, old, new, False).get_opcodes():
        if tag != "equal":
            first, last, new_first, new_last = (begin + place for place in places)
            yield first, last, new_first, new_last


def _common(one: list[str], other: list[str]) -> int:
    """How many items ``one`` and ``other`` begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((count for count, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))


def _pair(recorded: Any, sent: Any, path: Path) -> Iterator[Difference]:
    if ABSENT in (recorded, sent):
        yield Difference(path, recorded, sent)
    else:
        yield from differences(recorded, sent, path)


def _equal(recorded: Any, sent: Any) -> bool:
    if isinstance(recorded, str) and isinstance(sent, str) and REDACTED in recorded:
        return all(piece in sent for piece in recorded.split(REDACTED))
    # 1 is 1.0, but True is not 1
    same_kind = type(recorded) is type(sent) or {type(recorded), type(sent)} == {int, float}
    return same_kind and bool(recorded == sent)
