"""The data about the cassettes of a run, merged from all pytest-xdist processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class RunSummary:
    """The results about cassettes, either from one process or from the whole run.

    Args:
        cassettes: A mapping from the node id of each collected test to the path of its cassette.
        played_positions: A mapping from cassette paths to the positions of the replayed interactions, counted from 1.
        late_results: The results of tapes that were closed after the last test report, as plain data.
        late_violations: The name and the message of each violation that occurred after its test, or that belongs to
            no test.
        has_deselected: Whether tests were deselected.
        misses: The requests without a recording, as the plain data of ``multitrack.run_facts.ChangedRequest``.
        audited: The requests that differ from their recordings according to an audit, also as the plain data of
            ``ChangedRequest``.
        snapshots: The snapshots that differ from the received calls, as the plain data of
            ``multitrack.run_facts.ChangedSnapshot``.
    """

    cassettes: dict[str, str] = field(default_factory=dict)
    played_positions: dict[str, set[int]] = field(default_factory=dict)
    late_results: list[dict[str, Any]] = field(default_factory=list)
    late_violations: list[list[str]] = field(default_factory=list)
    has_deselected: bool = False
    misses: list[dict[str, Any]] = field(default_factory=list)
    audited: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)

    def forget_failures(self, test: str) -> None:
        """Remove the misses and changed snapshots of ``test``, because a rerun of the test passed."""
        for facts in (self.misses, self.snapshots):
            facts[:] = [fact for fact in facts if fact["test"] != test]

    def add_played(self, played: Mapping[Path, Collection[int]]) -> None:
        """Add the positions of interactions that were replayed, by the path of their cassette."""
        for path, positions in played.items():
            self.played_positions.setdefault(str(path), set()).update(positions)

    def to_plain(self) -> dict[str, Any]:
        """Return the summary as plain data that pytest-xdist can send to the controller."""
        played = {path: sorted(positions) for path, positions in self.played_positions.items()}
        return {
            "cassettes": self.cassettes,
            "played_positions": played,
            "late_results": self.late_results,
            "late_violations": self.late_violations,
            "has_deselected": self.has_deselected,
            "misses": self.misses,
            "audited": self.audited,
            "snapshots": self.snapshots,
        }

    def merge_plain(self, plain: Mapping[str, Any]) -> None:
        """Merge the summary of another process, as returned by ``to_plain``."""
        self.cassettes.update(plain["cassettes"])
        self.add_played({Path(path): positions for path, positions in plain["played_positions"].items()})
        self.late_results += plain["late_results"]
        self.late_violations += plain["late_violations"]
        self.misses += plain["misses"]
        self.audited += plain["audited"]
        self.snapshots += plain["snapshots"]
        self.has_deselected = self.has_deselected or plain["has_deselected"]
