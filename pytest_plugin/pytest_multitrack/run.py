"""What is known of the tapes of a run, gathered from all its processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Run:
    """``tapes``: the tape of each test that was collected, by its node id. ``used``: which interactions, from 1, were
    played of each tape that was opened. ``late``: what tapes did that were closed behind the last report.
    ``deselected``: whether tests were left out."""

    tapes: dict[str, str] = field(default_factory=dict)
    used: dict[str, set[int]] = field(default_factory=dict)
    late: list[dict[str, Any]] = field(default_factory=list)
    deselected: bool = False

    def played(self, used: Mapping[Path, Collection[int]]) -> None:
        """These interactions of these tapes were played."""
        for path, positions in used.items():
            self.used.setdefault(str(path), set()).update(positions)

    def as_plain(self) -> dict[str, Any]:
        """Itself as values that cross processes."""
        used = {path: sorted(positions) for path, positions in self.used.items()}
        return {"tapes": self.tapes, "used": used, "late": self.late, "deselected": self.deselected}

    def add(self, plain: Mapping[str, Any]) -> None:
        """Add what another process knows, as `as_plain` gave it."""
        self.tapes.update(plain["tapes"])
        self.played({Path(path): positions for path, positions in plain["used"].items()})
        self.late += plain["late"]
        self.deselected = self.deselected or plain["deselected"]
