"""Fail a test because of its violations, even if the code under test caught them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from multitrack.errors import TapeViolation
    from multitrack.tape.recording_scope import RecordingScope


class ViolationGuard:
    """A guard that watches the phases of ``test`` for violations. The test need not have a tape of its own.

    ``violation`` is the ``TapeViolation`` that failed the most recent phase, or None.
    """

    def __init__(self, test: RecordingScope) -> None:
        self.violation: TapeViolation | None = None
        self.test = test

    def collect_violation(self, error: BaseException | None) -> TapeViolation | None:
        """Set ``violation`` to the first violation in the phase that ended with ``error``, and return it.

        The violation is raised instead of ``error``, which is usually its consequence. ``error`` becomes the
        ``__cause__`` of the violation.
        """
        new = self.test.take_new_violations()
        if new:
            self.violation = new[0]
        elif error is None:
            self.violation = None
        else:
            from multitrack.errors import TapeViolation

            self.violation = error if isinstance(error, TapeViolation) else None
        if self.violation is not None and error is not None and self.violation is not error:
            self.violation.__cause__ = error
        return self.violation

    @contextmanager
    def phase(self) -> Iterator[None]:
        """Run a phase of the test in the block. Then raise its first violation, even if it was caught."""
        try:
            yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise
        except BaseException as error:
            violation = self.collect_violation(error)
            if violation is None or violation is error:
                raise
            raise violation from error
        if violation := self.collect_violation(None):
            raise violation
