"""Keep track of the open tapes, and find the tape for a request.

The list of open tapes is global and not a context variable, because requests from a plain thread must reach the tape,
and such a thread inherits no context. A context variable is used only if several ``use_cassette`` blocks are open
side by side, in tasks or threads.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from multitrack.tape import interceptors, network_block, run_context
from multitrack.tape.ambiguous import AmbiguousRouter
from multitrack.tape.exchange import Router
from multitrack.tape.forked import ForkedTape
from multitrack.tape.outliving_thread_router import OutlivingThreadRouter

R = TypeVar("R", bound=Router)


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
_of_context: ContextVar[_Activation | None] = ContextVar("multitrack_activation", default=None)


def current_tape() -> Router | None:
    """Return the tape that receives the next request: the innermost open tape. ``None`` if no tape is open.

    If several blocks are open side by side, return the tape of the innermost block that the current task or thread
    opened. If neither opened a block, return an ``AmbiguousRouter``.
    """
    activations = _activations[:]
    if not activations:
        return None
    if len(activations) == 1 or all(inner.parent is outer for outer, inner in pairwise(activations)):
        return activations[-1].tape
    found = _find_own(activations) or _find_enclosing(activations, (threading.get_ident(),))
    return AmbiguousRouter([activation.tape for activation in activations]) if found is None else found.tape


def _find_own(activations: Sequence[_Activation]) -> _Activation | None:
    """Return the innermost of ``activations`` that was opened in the current context or in an ancestor of this context.

    ``None`` if there is none.
    """
    own = _of_context.get()
    while own is not None and own not in activations:
        own = own.parent
    return own


def _find_enclosing(activations: Sequence[_Activation], threads: Sequence[int | None]) -> _Activation | None:
    """Return the innermost of ``activations`` that surrounds the running code.

    An activation surrounds the code in each of these cases:

    - It is the activation of the current context.
    - The current task opened it.
    - One of ``threads`` opened it outside of any task.

    An activation that another task opened does not surround the code, although it is open at the same time.
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
    if tape is None and (block := network_block.current_block()) is not None:
        return network_block.BlockedRouter(block)
    context = run_context.current_run()
    if (origin := context.threads.find_origin()) is None:
        return tape
    during = context.scope.name if context.scope is not None else None
    return OutlivingThreadRouter(*origin, tape, during, context.add_late_violation)


@contextmanager
def activate(tape: R, *, keep_interceptors: bool = False) -> Iterator[R]:
    """Within the block, route all requests to ``tape``, including requests from threads.

    Args:
        tape: The tape.
        keep_interceptors: Whether to leave the interceptors installed after the block, until a test without a tape
            begins. While no tape is open, installed interceptors pass requests on unchanged.
    """
    with _lock:
        thread = threading.get_ident()
        parent = _find_enclosing(_activations, (thread, threading.main_thread().ident))
        activation = _Activation(tape, parent, thread, _current_task())
        _activations.append(activation)
    previous = _of_context.get()
    _of_context.set(activation)
    run_context.current_run().add_patch_update(_update_interceptors)
    try:
        _update_interceptors()
        yield tape
    finally:
        # do not reset it with a token, because a fixture may be torn down in a different context than it was set up in
        if _of_context.get() is activation:
            _of_context.set(previous)
        with _lock:
            # by identity and not by position: blocks in two threads may close in either order
            _activations[:] = [other for other in _activations if other is not activation]
        if not keep_interceptors:
            _update_interceptors()
        elif not _activations:
            interceptors.clear_state()


@contextmanager
def block_network(block: network_block.NetworkBlock) -> Iterator[None]:
    """Within the ``with`` statement, refuse all connections that the network block does not allow."""
    try:
        with network_block.install(block):
            _update_interceptors()
            yield
    finally:
        _update_interceptors()


def _update_interceptors() -> None:
    """Install the interceptors while they are needed, and remove them otherwise.

    The interceptors are needed while a tape is open, a thread has outlived its test, or the network is blocked.
    """
    global _has_interceptors
    with _lock:
        needed = bool(_activations) or any(context.threads for context in run_context.open_runs())
        needed = needed or network_block.current_block() is not None
        # between two tests, a fixture may have patched the same attributes: our patches must be the outermost again
        if _has_interceptors and (not needed or (len(_activations) == 1 and not interceptors.are_outermost())):
            interceptors.restore()
            _has_interceptors = False
        if needed and not _has_interceptors:
            interceptors.install(_find_router)
        _has_interceptors = needed


def _replace_tapes_after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _activations[:] = [
        _Activation(ForkedTape(activation.tape), None, activation.thread, None) for activation in _activations[-1:]
    ]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_tapes_after_fork)
