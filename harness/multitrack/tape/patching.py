"""Attributes of other people's classes and modules, swapped for ours and put back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_INHERITED = object()


@dataclass(frozen=True, slots=True)
class Patch:
    """Put ``make(original)`` in the place of the attribute ``name`` of ``owner``, its own or inherited."""

    owner: Any
    name: str
    wrap: Callable[[Any], Any]


class PatchSet:
    """What is swapped in at present. Threads share it."""

    def __init__(self) -> None:
        self._swapped: list[tuple[Patch, Any, Any]] = []
        self._lock = threading.RLock()

    def apply(self, swaps: Iterable[Patch]) -> None:
        """Patch ``swaps`` in, in their order."""
        with self._lock:
            for swap in swaps:
                original = vars(swap.owner).get(swap.name, _INHERITED)
                replacement = swap.wrap(getattr(swap.owner, swap.name) if original is _INHERITED else original)
                setattr(swap.owner, swap.name, replacement)
                self._swapped.append((swap, original, replacement))

    def undo(self) -> None:
        """Patch all out, the last first."""
        with self._lock:
            while self._swapped:
                swap, original, replacement = self._swapped.pop()
                # what somebody else put over ours stays: it still calls ours, which does nothing by then
                if vars(swap.owner).get(swap.name) is not replacement:
                    continue
                if original is _INHERITED:
                    delattr(swap.owner, swap.name)
                else:
                    setattr(swap.owner, swap.name, original)
