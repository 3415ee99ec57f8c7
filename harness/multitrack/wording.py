"""Wording that the messages of several layers share."""

from __future__ import annotations

from collections.abc import Collection


def count_noun(number: int, noun: str) -> str:
    """Return ``number`` with its noun: "1 call", "2 calls"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def enumerate_positions(positions: Collection[int], noun: str = "interaction") -> str:
    """Return the noun and the ``positions``: "interaction 1", "interactions 1, 2"."""
    return f"{noun}{'' if len(positions) == 1 else 's'} {', '.join(map(str, positions))}"
