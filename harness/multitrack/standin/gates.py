"""Gates in answers: a streamed answer waits before one until a test lets it go on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from threading import Condition

PATIENCE = 10.0
"""The seconds after which a gate that nobody opens ends the answer, so that a client does not wait for ever."""

_GLANCE = 0.01


class Gates:
    """Gates by name. Each opening lets one answer through, whichever comes first. Safe to use from many threads."""

    def __init__(self) -> None:
        self._openings: Counter[str] = Counter()
        self._changed = Condition()

    def open(self, name: str) -> None:
        """Let one answer through, now or when it comes to the gate."""
        with self._changed:
            self._openings[name] += 1
            self._changed.notify_all()

    def passed(self, name: str, left: Callable[[], bool]) -> bool:
        """Wait at a gate. False if nobody opened it in time, or ``left`` said first that nobody reads any more."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            # asked first, since an opening that is meant for somebody else must not go to one who left
            while not left() and time.monotonic() < deadline:
                if self._openings[name]:
                    self._openings[name] -= 1
                    return True
                # leaving notifies nobody here
                self._changed.wait(_GLANCE)
            return False
