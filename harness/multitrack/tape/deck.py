"""The deck: which tape is playing.

Global and not a ContextVar: a plain thread carries no context, and its requests must meet the tape, too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from multitrack.tape import seams
from multitrack.tape.exchange import Router

R = TypeVar("R", bound=Router)

_lock = threading.Lock()
_playing: list[Router] = []


def current() -> Router | None:
    """The tape that takes the next request, the innermost where several are open; None if none is."""
    try:
        return _playing[-1]
    except IndexError:
        return None


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
