"""The violations of a tape: all misses and blocked live calls, even if the code under test caught the errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from multitrack.errors import TapeViolation
from multitrack.tape.call_site import find_user_frames

if TYPE_CHECKING:
    from multitrack.tape.settings import Settings


class ViolationHolder(Protocol):
    """A test or a fixture that fails if one of its tapes has a violation."""

    guard_settings: Settings | None
    """The settings for requests that threads of the test or fixture send after its end."""

    def hold(self, violation: TapeViolation) -> None:
        """Make the test or fixture fail because of ``violation``."""

    def forgive(self, violation: TapeViolation) -> None:
        """Forget ``violation``, so that it does not fail the test or fixture."""


class Violations:
    """The violations of one tape. Several threads can add violations at the same time."""

    def __init__(self, holder: ViolationHolder | None, lock: AbstractContextManager[object]) -> None:
        """Create a collection without violations.

        Args:
            holder: The test or fixture that fails because of violations. ``None`` outside of tests.
            lock: The tape's lock. It must be re-entrant.
        """
        self.held: list[TapeViolation] = []
        """The violations that fail the test, in order."""
        self._holder = holder
        self._lock = lock
        self._expected: list[TapeViolation] | None = None

    def add(self, violation: TapeViolation) -> None:
        """Fail the test, unless ``violation`` is expected or diverted."""
        with self._lock:
            if not violation.frames:
                violation.frames = find_user_frames()
            if _is_diverted.get():
                return
            if self._expected is not None:
                self._expected.append(violation)
                if self._holder is not None:
                    self._holder.forgive(violation)
                return
            self.held.append(violation)
            if self._holder is not None:
                self._holder.hold(violation)

    @contextmanager
    def expect(self) -> Iterator[list[TapeViolation]]:
        """Yield a list that collects the violations within the block. These violations do not fail the test."""
        expected: list[TapeViolation] = []
        with self._lock:
            previous, self._expected = self._expected, expected
        try:
            yield expected
        except TapeViolation as violation:
            if violation not in expected:
                raise
        finally:
            with self._lock:
                self._expected = previous


_is_diverted: ContextVar[bool] = ContextVar("multitrack_is_diverted", default=False)


@contextmanager
def divert_violations() -> Iterator[None]:
    """Within the block, a violation in the current context is still raised, but does not fail the tape's test."""
    token = _is_diverted.set(True)
    try:
        yield
    finally:
        _is_diverted.reset(token)
