"""The active tape, and the context of the run.

Both are global and not context variables, because a plain thread inherits no context, and its requests must reach the
tape, too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from multitrack.tape import interceptors
from multitrack.tape.exchange import Router
from multitrack.tape.forked import ForkedTape

if TYPE_CHECKING:
    from multitrack.tape.recording_scope import RecordingScope, TapeResult
    from multitrack.tape.settings import Mode
    from multitrack.tape.tape import Tape

R = TypeVar("R", bound=Router)


@dataclass(slots=True)
class RunContext:
    """The defaults for tapes opened during a run, and what is known of the tapes that were closed."""

    mode: Mode = "replay"
    root: Path | None = None
    """The root of the project whose settings apply. `None` for the project of the current directory."""
    command_line_options: Sequence[tuple[str, Mapping[str, Any]]] = ()
    """The options set on the command line, each group with the name of its flag."""
    scope: RecordingScope | None = None
    """The test or fixture that is running, if known."""
    tape_results: list[TapeResult] = field(default_factory=list)
    """Closed tapes that no report has mentioned yet."""
    played_positions: dict[Path, set[int]] = field(default_factory=dict)
    """The positions of the interactions that were replayed, for each cassette of a closed tape."""
    tapes_to_compare: list[Tape] = field(default_factory=list)
    """Closed tapes whose live responses are still to be compared with the recorded ones."""

    def add_closed_tape(self, tape: Tape) -> None:
        """Remember which interactions ``tape`` replayed, and whether it is to be compared."""
        self.played_positions.setdefault(tape.path.resolve(), set()).update(tape.played_positions)
        if tape.mode == "drift":
            self.tapes_to_compare.append(tape)

    @contextmanager
    def use_scope(self, scope: RecordingScope | None) -> Iterator[None]:
        """Open tapes for ``scope`` within the block."""
        previous, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = previous


_lock = threading.Lock()
_active_tapes: list[Router] = []
_runs: list[RunContext] = []


def current_tape() -> Router | None:
    """Return the tape that receives the next request: the innermost open one. `None` if no tape is open."""
    try:
        return _active_tapes[-1]
    except IndexError:
        return None


def run_context() -> RunContext:
    """Return the context of the pytest run, or one with the defaults outside of pytest."""
    return _runs[-1] if _runs else RunContext()


@contextmanager
def run(
    mode: Mode, root: Path, command_line_options: Sequence[tuple[str, Mapping[str, Any]]] = ()
) -> Iterator[RunContext]:
    """Make ``mode``, the settings of the project in ``root`` and ``command_line_options`` the defaults of all tapes
    that are opened within the block."""
    _runs.append(context := RunContext(mode, root, command_line_options))
    try:
        yield context
    finally:
        # by identity: runs within a run may be equal
        _runs[:] = [other for other in _runs if other is not context]


@contextmanager
def activate(tape: R) -> Iterator[R]:
    """Send the requests of all threads to ``tape`` within the block."""
    with _lock:
        _active_tapes.append(tape)
    try:
        with _lock:
            if len(_active_tapes) == 1:
                interceptors.install(current_tape)
        yield tape
    finally:
        with _lock:
            # by identity and not by position: nested tapes of two threads may close in either order
            _active_tapes[:] = [other for other in _active_tapes if other is not tape]
            if not _active_tapes:
                interceptors.restore()


def _replace_tapes_after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _active_tapes[:] = [ForkedTape(tape) for tape in _active_tapes]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_tapes_after_fork)
