"""The context of a pytest run: the defaults for its tapes, and facts about the tapes that were closed.

The plugin opens a context at the start of every run. To keep the start fast, this module imports almost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from multitrack.tape.outliving_threads import OutlivingThreads

if TYPE_CHECKING:
    from pathlib import Path

    from multitrack.errors import TapeViolation
    from multitrack.tape.file.cassette_cache import CassetteCache
    from multitrack.tape.recording_scope import RecordingScope, TapeResult
    from multitrack.tape.settings import Mode
    from multitrack.tape.tape import Tape


class RunContext:
    """The defaults for tapes opened during a run, and facts about the tapes that were closed.

    Attributes:
        mode: The mode of tapes that do not set one.
        rebinding: With ``--calls-rebind``, a function that takes the path of a cassette and returns a context
            manager. New requests are stored in the cassette inside this context manager, which keeps the cassette's
            earlier content for ``multitrack undo``. ``None`` without ``--calls-rebind``.
        root: The root of the project whose settings apply. ``None`` for the project that contains the current
            directory.
        command_line_options: Pairs of a flag on the command line and the options that it sets.
        scope: The test or fixture that is running, if known.
        tape_results: The results of closed tapes that are not in any report yet.
        played_positions: The positions of the interactions that were replayed, for each cassette of a closed tape.
        tapes_to_compare: Closed tapes whose live responses have yet to be compared with the recorded ones.
        late_violations: Violations that belong to a finished test or to no test. Each violation is stored with the
            node id of the test, or with the cassette if there is no test.
        threads: The threads that are still alive after their test has ended.
    """

    def __init__(
        self,
        mode: Mode = "replay",
        root: Path | None = None,
        command_line_options: Sequence[tuple[str, Mapping[str, Any]]] = (),
        cassettes: CassetteCache | None = None,
        *,
        rebinding: Callable[[Path], AbstractContextManager[None]] | None = None,
        uses_journals: bool = False,
    ) -> None:
        self.mode: Mode = mode
        self.rebinding = rebinding
        self.root = root
        self.command_line_options = command_line_options
        self.scope: RecordingScope | None = None
        self.tape_results: list[TapeResult] = []
        self.played_positions: dict[Path, set[int]] = {}
        self.tapes_to_compare: list[Tape] = []
        self.late_violations: list[tuple[str, TapeViolation]] = []
        self.threads = OutlivingThreads()
        self._cassettes = cassettes
        self._uses_journals = uses_journals
        self._patch_updates: dict[Callable[[], None], None] = {}

    @property
    def cassettes(self) -> CassetteCache:
        """The cache that keeps large cassettes in memory for the run's tapes."""
        if self._cassettes is None:
            from multitrack.tape.file.cassette_cache import CassetteCache

            self._cassettes = CassetteCache(uses_journals=self._uses_journals)
        return self._cassettes

    @property
    def has_results(self) -> bool:
        """True if a tape was closed, a violation occurred after its test had ended, or a test is still open."""
        return bool(self.played_positions or self.tape_results or self.late_violations or self.scope)

    def restrict_mode(self, mode: Mode) -> Mode:
        """Return the mode for a ``use_cassette`` block that would otherwise use ``mode``.

        The result is ``drift`` if ``mode`` would record, because a run with ``--calls-drift`` must not write
        cassettes. In all other cases, it is ``mode``.
        """
        return self.mode if self.mode == "drift" and mode.startswith("record") else mode

    def begin_test(self, scope: RecordingScope, *, uses_tape: bool) -> None:
        """Assign new tapes to ``scope`` from now on.

        If the test uses no tape, remove the patches that earlier tests left.
        """
        self.scope = scope
        self.threads.begin_test()
        if not uses_tape:
            self.update_patches()

    def end_test(self) -> None:
        """End the current test: open no more tapes for it, and block later requests from its threads."""
        if self.scope is not None:
            self.threads.end_test(self.scope)
            if self.threads:
                self.update_patches()
        self.scope = None

    def add_patch_update(self, update: Callable[[], None]) -> None:
        """Call ``update`` when a test without a tape begins, when a thread outlives its test, and after the run.

        ``update`` removes the patches that are not needed. Between two tests that both have a tape, the patches
        usually stay, because applying them again takes a fifth of a millisecond.
        """
        self._patch_updates[update] = None

    def update_patches(self) -> None:
        """Remove the patches that are not needed."""
        for update in list(self._patch_updates):
            update()

    def add_late_violation(self, name: str, violation: TapeViolation) -> None:
        """Store a ``violation`` that occurred after the end of the test ``name``. The violation fails the run."""
        self.late_violations.append((name, violation))

    def merge_journal(self, path: Path) -> None:
        """Merge the recordings in the journal of the cassette at ``path`` into the cassette.

        Raises:
            CassetteCorrupt: The cassette cannot be read.
            CassetteNotWritten: The operating system refused to write the cassette.
        """
        from multitrack.tape.file import storage

        storage.merge_journal(path, self.cassettes)

    def add_closed_tape(self, tape: Tape) -> None:
        """Store which interactions ``tape`` replayed, and the tape itself if its responses must be compared."""
        self.played_positions.setdefault(tape.resolved_path, set()).update(tape.played_positions)
        if tape.is_compared:
            self.tapes_to_compare.append(tape)

    @contextmanager
    def use_scope(self, scope: RecordingScope | None) -> Iterator[None]:
        """Make ``scope`` the owner of all tapes that are opened within the block."""
        previous, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = previous


_runs: list[RunContext] = []
_outside_of_runs = RunContext()


def open_runs() -> Sequence[RunContext]:
    """Return the contexts of the open runs, the innermost last."""
    return _runs


def current_run() -> RunContext:
    """Return the context of the innermost pytest run. Outside of pytest, return a context with the defaults."""
    return _runs[-1] if _runs else RunContext(cassettes=_outside_of_runs.cassettes)


@contextmanager
def run(
    mode: Mode,
    root: Path,
    command_line_options: Sequence[tuple[str, Mapping[str, Any]]] = (),
    *,
    rebinding: Callable[[Path], AbstractContextManager[None]] | None = None,
) -> Iterator[RunContext]:
    """Set the defaults for all tapes that are opened within the block.

    The defaults are ``mode``, the settings of the project in ``root``, and ``command_line_options``.
    """
    _runs.append(context := RunContext(mode, root, command_line_options, rebinding=rebinding, uses_journals=True))
    try:
        yield context
    finally:
        _runs.remove(context)
        context.update_patches()
