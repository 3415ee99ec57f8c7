"""For whom tapes play within pytest: a test, or a fixture of wider scope, while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multitrack.tape.tape import ResultFingerprinter, SavedRecording, Tape


@dataclass(frozen=True, slots=True)
class TapeResult:
    """A ``tape`` that plays no more for ``owner``, None where nobody is known: whether what it was for ``passed``, and
    what became of the recording, if there is one."""

    scope: RecordingScope | None
    tape: Tape
    passed: bool
    saved: SavedRecording | None = None


@dataclass(frozen=True, slots=True)
class _Block:
    tape: Tape
    failure: str | None
    saved: SavedRecording | None


class RecordingScope:
    """Who tapes are played for. ``name`` stands with what is recorded for it, ``record_hint`` says how that is done;
    ``results`` tells what came of an answer; ``is_test`` is false of a fixture.

    A tape that a block plays for it, by `use_cassette`, is saved when it is over and not with the block: whether what
    was recorded is right is known by then.
    """

    def __init__(
        self,
        name: str,
        *,
        record_hint: str,
        fingerprint_results: ResultFingerprinter = lambda _: None,
        is_test: bool = True,
    ) -> None:
        self.name = name
        self.record_hint = record_hint
        self.fingerprint_results = fingerprint_results
        self.is_test = is_test
        self._tapes: list[Tape] = []
        self._left: list[_Block] = []
        self._failed: list[RecordingScope] = []

    def add_tape(self, tape: Tape) -> None:
        """``tape`` plays for it."""
        self._tapes.append(tape)

    @property
    def tapes(self) -> Sequence[Tape]:
        """Those that were opened for it, in order."""
        return self._tapes

    def has_tape(self, tape: object) -> bool:
        """Whether ``tape`` plays for it."""
        return any(one is tape for one in self._tapes)

    def add_closed_block(self, tape: Tape, failure: str | None) -> None:
        """The block that ``tape`` played for is over, by the ``failure`` if there was one. If it does not play for
        the owner, it is saved with the block."""
        saved = None if self.has_tape(tape) else tape.save(failure=failure)
        self._left.append(_Block(tape, failure, saved))

    @property
    def has_closed_blocks(self) -> bool:
        """Whether blocks are over whose tapes `close` is still to tell of."""
        return bool(self._left)

    def add_failed_fixture(self, fixture: RecordingScope) -> None:
        """It failed since ``fixture`` did."""
        self._failed.append(fixture)

    @property
    def recorded_paths(self) -> Sequence[Path]:
        """The tapes on which anything was recorded for it, or for a fixture that it failed by."""
        tapes = [tape for owner in (*self._failed, self) for tape in owner._tapes]
        return list(dict.fromkeys(tape.path for tape in tapes if tape.has_recordings))

    def save_blocks(self, *, failure: str | None) -> Iterator[TapeResult]:
        """Save what blocks recorded, as pending where the ``failure`` of it or of one of them tells so; gives what
        became of each."""
        left, self._left = self._left, []
        own: dict[Path, list[_Block]] = {}
        for block in left:
            if self.has_tape(block.tape):
                own.setdefault(block.tape.path.resolve(), []).append(block)
            else:
                yield TapeResult(self, block.tape, not (failure or block.failure), block.saved)
        for blocks in own.values():
            *earlier, last = (block.tape for block in blocks)
            wrong = failure or next((block.failure for block in blocks if block.failure), None)
            saved = last.save(failure=wrong, earlier=earlier)
            yield from (TapeResult(self, tape, wrong is None) for tape in earlier)
            yield TapeResult(self, last, wrong is None, saved)


def redact_with_tapes(text: str, tapes: Sequence[Tape]) -> str:
    """``text`` without any secret or private name that one of ``tapes`` was shown: by the last first, since those of
    fixtures, which stand before a test's own, have words of their own for its names."""
    for tape in reversed(tapes):
        text = tape.redact(text)
    return text
