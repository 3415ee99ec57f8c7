"""Stop an input that takes too long."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NoReturn

SECONDS_PER_INPUT = 5
"""The limit in seconds of processor time, so that a busy machine does not fail an input."""

SECONDS_OF_WAITING = 60
"""The limit in seconds of real time, after which an input that waits for something fails."""


class TookTooLong(BaseException):
    """An input took more than ``SECONDS_PER_INPUT``.

    This is not an ``Exception``, so that the code under test cannot handle it.
    """


def run_limited(target: Callable[[bytes], None], data: bytes) -> None:
    """Run ``target`` on ``data``.

    Raises:
        TookTooLong: The target took more than ``SECONDS_PER_INPUT``. Never raised on a system without timers.
    """

    def stop(*_: object) -> NoReturn:
        raise TookTooLong(
            f"an input of {len(data)} bytes takes more than {SECONDS_PER_INPUT} seconds of processor time"
        )

    if not hasattr(signal, "setitimer"):
        target(data)
        return
    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_PER_INPUT)
    try:
        target(data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
