"""Recorded requests that the caller abandoned before a response arrived.

A caller abandons a request because a parallel request was faster, or because the application has its own time limit. On
replay, the caller is expected to abandon it again. A caller that keeps waiting gets a miss instead of waiting forever.
"""

from __future__ import annotations

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Response, Router

_GRACE_SECONDS = 10.0
"""On replay, a caller gets a miss when it has waited this many seconds longer than the recorded caller."""


def is_abandoned(response: Response) -> bool:
    """Return whether ``response`` records an abandoned request: the caller gave up before a response arrived."""
    return response.ending == "unanswered" and response.failure is None


def seconds_to_wait(response: Response) -> float:
    """Return how many seconds a caller waits for the replay of an abandoned request before the caller gets a miss."""
    return sum(response.chunks.gaps) / 1000 + _GRACE_SECONDS


def find_record_hint(tape: Router | None) -> str:
    """Return the command that records the test of ``tape``."""
    hint: str = getattr(tape, "record_hint", "pytest --record")
    return hint


def report_miss(tape: Router | None) -> CassetteMiss:
    """Report a miss to ``tape``, so that the test fails, and return the miss.

    Call this function when the caller keeps waiting.
    """
    violation = CassetteMiss(
        "no response was recorded for this request, because its caller stopped waiting during the recording; "
        "this time the caller waited longer\n"
        f"  to record a response: {find_record_hint(tape)}"
    )
    if tape is not None:
        tape.add_violation(violation)
    return violation
