"""Recording scopes. A tape is opened for a scope: for a test, or for a fixture with a wider scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from multitrack.errors import TapeViolation
    from multitrack.tape.recording_writer import ResultFingerprinter, SavedRecording
    from multitrack.tape.settings import Settings
    from multitrack.tape.tape import Tape


class TapeResult(NamedTuple):
    """A closed tape, and its saved recording, if there is one."""

    scope: RecordingScope | None
    """The test or fixture that the tape was opened for, if known."""
    tape: Tape
    passed: bool
    """True if the test, the fixture or the block passed."""
    saved: SavedRecording | None = None
    """The saved recording; ``None`` if nothing was recorded."""


class _ClosedBlock(NamedTuple):
    tape: Tape
    failure: str | None
    saved: SavedRecording | None


class RecordingScope:
    """A test or a fixture, with the tapes that are opened for it.

    A tape that ``use_cassette`` opens is saved when the test or fixture ends, not at the end of the block, because
    the plugin does not know earlier whether the test or fixture passed.
    """

    def __init__(
        self,
        name: Callable[[], str],
        *,
        record_hint: Callable[[], str],
        rerun_hint: Callable[[], str],
        fingerprint_results: ResultFingerprinter = lambda _: None,
        rebind_hint: Callable[[], str | None] = lambda: None,
        is_test: bool = True,
    ) -> None:
        """Create the scope.

        Args:
            name: Returns the node id of the test, or the name of the fixture. The name is stored with the
                interactions.
            record_hint: Returns the command that records the test or fixture, for messages.
            rerun_hint: Returns the command that runs the test again. The command also updates the test's snapshots,
                if there are any.
            fingerprint_results: Returns the fingerprints of a response's validated calls.
            rebind_hint: Returns the command that keeps the recorded answers if only the wording of the requests
                changed. Returns None if there is no such command.
            is_test: Whether the scope is a test and not a fixture.
        """
        self._get_name = name
        self._get_record_hint = record_hint
        self._get_rerun_hint = rerun_hint
        self.fingerprint_results = fingerprint_results
        self.rebind_hint = rebind_hint
        self.is_test = is_test
        self.guard_settings: Settings | None = None
        """The settings for requests from threads that outlive the scope. ``None`` if no tape was opened for it."""
        self.violations: list[TapeViolation] = []
        """The violations of all tapes that were opened for this scope, in order, without the forgiven ones."""
        self._raised_violations = 0
        self._tapes: list[Tape] = []
        self._closed_blocks: list[_ClosedBlock] = []
        self._failed_fixtures: list[RecordingScope] = []

    # the properties below are computed only when a tape or a message needs them, because most tests in a run may have
    # no tape

    @cached_property
    def name(self) -> str:
        """The node id of the test, or the name of the fixture."""
        return self._get_name()

    @cached_property
    def record_hint(self) -> str:
        """The command that records the test or fixture."""
        return self._get_record_hint()

    @cached_property
    def rerun_hint(self) -> str:
        """The command that runs the test again, and updates its snapshots if it has any."""
        return self._get_rerun_hint()

    def hold(self, violation: TapeViolation) -> None:
        """Fail the test or fixture with ``violation``, even if the code under test catches it."""
        if not any(one is violation for one in self.violations):
            self.violations.append(violation)

    def forgive(self, violation: TapeViolation) -> None:
        """Forget an expected ``violation``, so that the test does not fail."""
        self.violations[:] = [one for one in self.violations if one is not violation]

    def take_new_violations(self) -> Sequence[TapeViolation]:
        """Return the violations that were added since this method was last called."""
        new = self.violations[self._raised_violations :]
        self._raised_violations = len(self.violations)
        return new

    def add_tape(self, tape: Tape) -> None:
        """Add a ``tape`` that was opened for this scope."""
        self._tapes.append(tape)

    def remove_tape(self, tape: Tape) -> None:
        """Remove ``tape``, because another tape replaced it before any request was sent."""
        self._tapes = [one for one in self._tapes if one is not tape]

    @property
    def tapes(self) -> Sequence[Tape]:
        """The tapes that were opened for this scope, in order."""
        return self._tapes

    def forget_tapes(self) -> None:
        """Forget the tapes, after all results of the scope have been reported.

        A scope and its tapes refer to each other. Without this method, only the garbage collector could free them, so
        it would run more often and take longer.
        """
        self._tapes = []
        self._failed_fixtures = []

    def has_tape(self, tape: object) -> bool:
        """Return whether ``tape`` was opened for this scope."""
        return any(one is tape for one in self._tapes)

    def add_closed_block(self, tape: Tape, failure: str | None) -> None:
        """Add the tape of a finished ``with`` block. If the block failed, ``failure`` is the reason.

        A tape that was not opened for this scope is saved immediately.
        """
        saved = None if self.has_tape(tape) else tape.save(failure=failure)
        self._closed_blocks.append(_ClosedBlock(tape, failure, saved))

    @property
    def has_closed_blocks(self) -> bool:
        """True if ``save_blocks`` will return results."""
        return bool(self._closed_blocks)

    def add_failed_fixture(self, fixture: RecordingScope) -> None:
        """Remember that this test failed because ``fixture`` failed."""
        self._failed_fixtures.append(fixture)

    @property
    def tapes_with_fixtures(self) -> Sequence[Tape]:
        """The tapes of this scope, and the tapes of failed fixtures that made this scope fail."""
        return [tape for scope in (*self._failed_fixtures, self) for tape in scope._tapes]

    @property
    def recorded_paths(self) -> Sequence[Path]:
        """The cassettes that the tapes in ``tapes_with_fixtures`` recorded to."""
        return list(dict.fromkeys(tape.path for tape in self.tapes_with_fixtures if tape.has_recordings))

    def save_blocks(self, *, failure: str | None) -> Iterator[TapeResult]:
        """Save the recordings of the closed ``use_cassette`` blocks, and yield the result for each block's tape.

        The recordings stay pending if the scope failed, or if a block that uses the same cassette failed.
        """
        blocks, self._closed_blocks = self._closed_blocks, []
        blocks_by_path: dict[Path, list[_ClosedBlock]] = {}
        for block in blocks:
            if self.has_tape(block.tape):
                blocks_by_path.setdefault(block.tape.path.resolve(), []).append(block)
            else:
                yield TapeResult(self, block.tape, not (failure or block.failure), block.saved)
        for blocks in blocks_by_path.values():
            *earlier, last = (block.tape for block in blocks)
            reason = failure or next((block.failure for block in blocks if block.failure), None)
            saved = last.save(failure=reason, earlier=earlier)
            yield from (TapeResult(self, tape, reason is None) for tape in earlier)
            yield TapeResult(self, last, reason is None, saved)


def redact_with_tapes(text: str, tapes: Sequence[Tape]) -> str:
    """Return ``text`` without the secrets and private names that any of ``tapes`` knows.

    The test's own tape comes last in ``tapes``, and its pseudonyms take precedence: the tapes of fixtures may have
    different pseudonyms for the same names.
    """
    for tape in reversed(tapes):
        text = tape.redact(text)
    return text
