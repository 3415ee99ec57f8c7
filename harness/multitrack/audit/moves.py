"""Recognize fields that were renamed or moved: a removed and an added field with the same value or a similar name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from multitrack.audit.alignment import AlignedDifference
from multitrack.tape import jsontext
from multitrack.tape.matching.difference import ABSENT, Path

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
# shorter strings, numbers and flags may be equal by chance
_MIN_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Move:
    """A field that has a new name or a new place.

    Args:
        removed: The difference at the old path.
        added: The difference at the new path, or at a parent of the new path.
        path: The new path.
        value: The new value, which may differ from the old one if the names are nearly equal.
    """

    removed: AlignedDifference
    added: AlignedDifference
    path: Path
    value: Any

    @property
    def has_same_value(self) -> bool:
        """True if the value itself did not change."""
        return _canonical(self.removed.recorded) == _canonical(self.value)


def find_moves(differences: Sequence[AlignedDifference]) -> list[Move]:
    """Return the moved fields among the ``differences`` of one request. Each difference is part of at most one move."""
    removed = [one for one in differences if one.sent is ABSENT and _is_field(one.recorded_path) and not one.inner]
    added = [one for one in differences if one.recorded is ABSENT and _is_field(one.sent_path) and not one.inner]
    moves: list[Move] = []
    for old in removed:
        candidates = (move for new in added for move in _list_moves(old, new))
        best = min(candidates, key=lambda move: (not move.has_same_value, len(move.path)), default=None)
        if best is not None:
            moves.append(best)
            added.remove(best.added)
    return moves


def _is_field(path: Path) -> bool:
    return bool(path) and isinstance(path[-1], str)


def _list_moves(old: AlignedDifference, new: AlignedDifference) -> Iterator[Move]:
    name = str(old.recorded_path[-1])
    is_sibling = old.recorded_path[:-1] == new.sent_path[:-1]
    for path, value in _walk(new.sent_path, new.sent):
        if not isinstance(path[-1], str):
            continue
        is_same = _canonical(value) == _canonical(old.recorded)
        words, other_words = _split_name(name), _split_name(path[-1])
        is_like = len(words & other_words) * 2 >= max(len(words), len(other_words))
        has_moved = is_same and (_is_distinctive(value) or (is_like and (is_sibling or words == other_words)))
        is_respelled = is_sibling and path == new.sent_path and _simplify(name) == _simplify(path[-1])
        if has_moved or is_respelled:
            yield Move(old, new, path, value)


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    yield path, value
    # an object with several fields is more than a wrapper
    if isinstance(value, dict) and len(value) == 1:
        for key, item in value.items():
            yield from _walk((*path, key), item)


def _is_distinctive(value: Any) -> bool:
    return bool(value) and (isinstance(value, dict | list) or (isinstance(value, str) and len(value) >= _MIN_LENGTH))


def _split_name(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}


def _simplify(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _canonical(value: Any) -> str:
    return jsontext.canonical(value)
