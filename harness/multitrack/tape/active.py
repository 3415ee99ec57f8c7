"""The active tapes, and the context of the run.

Both are global: a plain thread inherits no context, yet its requests must reach the tape. The context variable only
matters if several blocks of `use_cassette` are open side by side, in tasks or threads.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from multitrack.errors import TapeViolation
from multitrack.tape import interceptors
from multitrack.tape.ambiguous import AmbiguousRouter
from multitrack.tape.exchange import Router
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.forked import ForkedTape
from multitrack.tape.outliving_threads import OutlivingThreads

if TYPE_CHECKING:
    from multitrack.tape.recording_scope import RecordingScope, TapeResult
    from multitrack.tape.settings import Mode
    from multitrack.tape.tape import Tape

R = TypeVar("R", bound=Router)


@dataclass(slots=True)
class RunContext:
    """The defaults for tapes opened during a run, and facts about the tapes that were closed."""

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
    """Closed tapes whose live responses have yet to be compared with the recorded ones."""
    late_violations: list[tuple[str, TapeViolation]] = field(default_factory=list)
    """Violations of a finished test or of no test, each with the node id of the test or with the cassette.
    """
    threads: OutlivingThreads = field(default_factory=OutlivingThreads)
    cassettes: CassetteCache = field(default_factory=CassetteCache)
    """Keeps large cassettes in memory for the tapes of the run."""

    def restrict_mode(self, mode: Mode) -> Mode:
        """Return the mode for a block that asks for ``mode``.

        It is ``drift`` if ``mode`` would record, because a run with ``--calls-drift`` must not write cassettes. In all
        other cases, it is ``mode``.
        """
        return self.mode if self.mode == "drift" and mode.startswith("record") else mode

    def begin_test(self, scope: RecordingScope) -> None:
        """Open tapes for ``scope`` from now on."""
        self.scope = scope
        self.threads.begin_test()
        _update_interceptors()

    def end_test(self) -> None:
        """Open no more tapes for the current test, and block later requests from its threads."""
        if self.scope is not None:
            self.threads.end_test(self.scope)
        self.scope = None
        _update_interceptors()

    def add_late_violation(self, name: str, violation: TapeViolation) -> None:
        """Keep a ``violation`` that happened after the end of its test, ``name``. It fails the run."""
        self.late_violations.append((name, violation))

    def add_closed_tape(self, tape: Tape) -> None:
        """Remember which interactions ``tape`` replayed, and whether to compare it."""
        self.played_positions.setdefault(tape.path.resolve(), set()).update(tape.played_positions)
        if tape.is_compared:
            self.tapes_to_compare.append(tape)

    @contextmanager
    def use_scope(self, scope: RecordingScope | None) -> Iterator[None]:
        """Open tapes for ``scope`` within the block."""
        previous, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = previous


@dataclass(frozen=True, slots=True, eq=False)
class _Activation:
    """An open tape, the activation that it is nested in, and the thread and the asyncio task that opened it."""

    tape: Router
    parent: _Activation | None
    thread: int
    task: object | None


_lock = threading.Lock()
_activations: list[_Activation] = []
_has_interceptors = False
_runs: list[RunContext] = []
_cassettes_outside_runs = CassetteCache()
_of_context: ContextVar[_Activation | None] = ContextVar("multitrack_activation", default=None)


def current_tape() -> Router | None:
    """Return the tape that receives the next request: the innermost open one. `None` if no tape is open.

    If several blocks are open side by side, return the tape of the innermost block that the current task or thread
    opened. If neither opened a block, return an `AmbiguousRouter`.
    """
    activations = _activations[:]
    if not activations:
        return None
    if len(activations) == 1 or all(inner.parent is outer for outer, inner in pairwise(activations)):
        return activations[-1].tape
    found = _find_own(activations) or _find_enclosing(activations, (threading.get_ident(),))
    return AmbiguousRouter([activation.tape for activation in activations]) if found is None else found.tape


def _find_own(activations: Sequence[_Activation]) -> _Activation | None:
    """Return the innermost of ``activations`` that was opened in the current context or in one that it was copied from.

    `None` if there is none.
    """
    own = _of_context.get()
    while own is not None and own not in activations:
        own = own.parent
    return own


def _find_enclosing(activations: Sequence[_Activation], threads: Sequence[int | None]) -> _Activation | None:
    """Return the innermost of ``activations`` that surrounds the running code.

    An activation surrounds the code if it was opened by the same task, in one of ``threads`` outside of any task, or in
    this context. An activation that another task opened does not surround the code; it is merely open at the same time.
    """
    own, task = _of_context.get(), _current_task()
    return next(
        (
            activation
            for activation in reversed(activations)
            if activation is own
            or (activation.task is task and task is not None)
            or (activation.task is None and activation.thread in threads)
        ),
        None,
    )


def _current_task() -> object | None:
    asyncio = sys.modules.get("asyncio")
    try:
        return None if asyncio is None else asyncio.current_task()
    except RuntimeError:  # no event loop is running in this thread
        return None


def _find_router() -> Router | None:
    """Return the tape for a request from the current thread, or the router for a thread that outlived its test."""
    tape = current_tape()
    context = _runs[-1] if _runs else None
    if context is None or not context.threads:
        return tape
    during = context.scope.name if context.scope is not None else None
    return context.threads.find_router(tape, during, context.add_late_violation) or tape


def run_context() -> RunContext:
    """Return the context of the pytest run, or one with the defaults outside of pytest."""
    return _runs[-1] if _runs else RunContext(cassettes=_cassettes_outside_runs)


@contextmanager
def run(
    mode: Mode, root: Path, command_line_options: Sequence[tuple[str, Mapping[str, Any]]] = ()
) -> Iterator[RunContext]:
    """Set the defaults of all tapes that are opened within the block.

    The defaults are ``mode``, the settings of the project in ``root``, and ``command_line_options``.
    """
    _runs.append(context := RunContext(mode, root, command_line_options))
    try:
        yield context
    finally:
        # by identity: runs within a run may be equal
        _runs[:] = [other for other in _runs if other is not context]


@contextmanager
def activate(tape: R) -> Iterator[R]:
    """Send requests to ``tape`` within the block, including requests from threads."""
    with _lock:
        thread = threading.get_ident()
        parent = _find_enclosing(_activations, (thread, threading.main_thread().ident))
        activation = _Activation(tape, parent, thread, _current_task())
        _activations.append(activation)
    previous = _of_context.get()
    _of_context.set(activation)
    try:
        _update_interceptors()
        yield tape
    finally:
        # not by a token: a fixture may be torn down in a different context than it was set up in
        if _of_context.get() is activation:
            _of_context.set(previous)
        with _lock:
            # by identity and not by position: blocks of two threads may close in either order
            _activations[:] = [other for other in _activations if other is not activation]
        _update_interceptors()


def _update_interceptors() -> None:
    """Install the interceptors while a tape is open or a thread has outlived its test; remove them otherwise."""
    global _has_interceptors
    with _lock:
        needed = bool(_activations) or any(context.threads for context in _runs)
        if needed and not _has_interceptors:
            interceptors.install(_find_router)
        elif _has_interceptors and not needed:
            interceptors.restore()
        _has_interceptors = needed


def _replace_tapes_after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _activations[:] = [
        _Activation(ForkedTape(activation.tape), None, activation.thread, None) for activation in _activations[-1:]
    ]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_tapes_after_fork)
