"""Gates in streamed answers: at each gate, the answer waits until a test opens the gate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from threading import Condition

TIMEOUT_SECONDS = 10.0
"""The time an answer waits at a gate. After that, the answer is cut off, so that a client does not wait forever."""

_POLL_SECONDS = 0.01


class StreamGates:
    """A set of named gates. Opening a gate releases one answer. Thread-safe."""

    def __init__(self) -> None:
        self._openings: Counter[str] = Counter()
        self._changed = Condition()

    def open(self, name: str) -> None:
        """Release the answer that is waiting at the gate. If there is none, the next answer does not wait."""
        with self._changed:
            self._openings[name] += 1
            self._changed.notify_all()

    def wait(self, name: str, is_abandoned: Callable[[], bool]) -> bool:
        """Wait until the gate is opened.

        Returns:
            True if the gate was opened. False after ``TIMEOUT_SECONDS``, or as soon as ``is_abandoned`` returns True.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        with self._changed:
            # Checked first, because an abandoned answer must not use up an opening that is meant for another answer.
            while not is_abandoned() and time.monotonic() < deadline:
                if self._openings[name]:
                    self._openings[name] -= 1
                    return True
                # Polled, because a client that disconnects does not notify this condition.
                self._changed.wait(_POLL_SECONDS)
            return False
