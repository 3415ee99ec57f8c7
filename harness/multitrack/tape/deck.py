"""The deck: which tape is playing.

Global and not a ContextVar: a plain thread carries no context, and its requests must meet the tape, too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from multitrack.tape import seams
from multitrack.tape.exchange import Router

if TYPE_CHECKING:
    from multitrack.tape.settings import Mode

R = TypeVar("R", bound=Router)

_lock = threading.Lock()
_playing: list[Router] = []
_asked: list[Mode] = []


def current() -> Router | None:
    """The tape that takes the next request, the innermost where several are open; None if none is."""
    try:
        return _playing[-1]
    except IndexError:
        return None


def asked() -> Mode:
    """The mode of a tape that nobody gave one: what pytest's flags say while pytest runs, else ``replay``."""
    return _asked[-1] if _asked else "replay"


@contextmanager
def asking(mode: Mode) -> Iterator[None]:
    """For the time of the block, tapes that nobody gave a mode have ``mode``."""
    _asked.append(mode)
    try:
        yield
    finally:
        _asked.pop()


@contextmanager
def playing(tape: R) -> Iterator[R]:
    """For the time of the block, requests of any thread go to ``tape``."""
    with _lock:
        _playing.append(tape)
    try:
        with _lock:
            if len(_playing) == 1:
                seams.install(current)
        yield tape
    finally:
        with _lock:
            # by identity and not by position: nested tapes of two threads may close in either order
            _playing[:] = [other for other in _playing if other is not tape]
            if not _playing:
                seams.restore()
