"""A request whose caller went away without an answer when it was recorded: one that another overtook, or one under a
time limit of the application's own.

On replay its caller goes away again. One who stays gets a miss, instead of waiting for ever.
"""

from __future__ import annotations

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Response, Router

_PATIENCE = 10.0
"""Seconds that a caller may stay longer than the one before."""


def is_abandoned(response: Response) -> bool:
    """Whether ``response`` tells of a caller who went away before an answer came."""
    return response.ending == "unanswered" and response.failure is None


def patience(response: Response) -> float:
    """The seconds to wait for the caller to go away, as the one before did."""
    return sum(response.chunks.gaps) / 1000 + _PATIENCE


def miss(tape: Router | None) -> CassetteMiss:
    """What to raise to the caller who stayed; it is held against the test, too."""
    violation = CassetteMiss(
        "the tape has no answer to a request: when it was recorded, its caller went away before one came\n"
        "  record it again (pytest --record)"
    )
    if tape is not None:
        tape.add_violation(violation)
    return violation
