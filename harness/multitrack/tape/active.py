"""The deck: which tape is playing.

Global and not a ContextVar: a plain thread carries no context, and its requests must meet the tape, too.
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
    """What holds for a tape that says nothing else: its ``mode``; the ``root`` folder of the project whose settings
    it has, None for that in which the process stands; the settings ``given`` on the command line, each with its flag;
    and the ``owner`` that it plays for, if one is known. ``used`` has, for each tape that was closed, which of its
    interactions were played; ``closed`` are those of which a report is still to tell."""

    mode: Mode = "replay"
    root: Path | None = None
    command_line_options: Sequence[tuple[str, Mapping[str, Any]]] = ()
    scope: RecordingScope | None = None
    tape_results: list[TapeResult] = field(default_factory=list)
    played_positions: dict[Path, set[int]] = field(default_factory=dict)
    tapes_to_compare: list[Tape] = field(default_factory=list)
    """Tapes that were closed, and are still to be compared with what came live."""

    def add_closed_tape(self, tape: Tape) -> None:
        """The ``tape`` was closed."""
        self.played_positions.setdefault(tape.path.resolve(), set()).update(tape.played_positions)
        if tape.mode == "drift":
            self.tapes_to_compare.append(tape)

    @contextmanager
    def use_scope(self, scope: RecordingScope | None) -> Iterator[None]:
        """For the time of the block, tapes play for ``owner``."""
        before, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = before


_lock = threading.Lock()
_playing: list[Router] = []
_runs: list[RunContext] = []


def current_tape() -> Router | None:
    """The tape that takes the next request, the innermost where several are open; None if none is."""
    try:
        return _playing[-1]
    except IndexError:
        return None


def run_context() -> RunContext:
    """What holds for a tape that says nothing else: what pytest's flags say while pytest runs, else ``replay``."""
    return _runs[-1] if _runs else RunContext()


@contextmanager
def run(mode: Mode, root: Path, given: Sequence[tuple[str, Mapping[str, Any]]] = ()) -> Iterator[RunContext]:
    """For the time of the block, tapes that say nothing else have ``mode``, and the settings of the project in
    ``root`` with those ``given`` on top."""
    _runs.append(asked := RunContext(mode, root, given))
    try:
        yield asked
    finally:
        # by identity: runs within a run may be equal
        _runs[:] = [other for other in _runs if other is not asked]


@contextmanager
def activate(tape: R) -> Iterator[R]:
    """For the time of the block, requests of any thread go to ``tape``."""
    with _lock:
        _playing.append(tape)
    try:
        with _lock:
            if len(_playing) == 1:
                interceptors.install(current_tape)
        yield tape
    finally:
        with _lock:
            # by identity and not by position: nested tapes of two threads may close in either order
            _playing[:] = [other for other in _playing if other is not tape]
            if not _playing:
                interceptors.restore()


def _forked() -> None:
    global _lock
    _lock = threading.Lock()
    _playing[:] = [ForkedTape(tape) for tape in _playing]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
