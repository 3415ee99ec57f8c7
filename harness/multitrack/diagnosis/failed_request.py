"""Find live requests that failed. The response to a failed request can be neither recorded nor compared."""

from __future__ import annotations

from multitrack.tape.failed_interactions import find_failed_interaction
from multitrack.tape.tape import Tape


def find_failed_request(tape: Tape) -> str | None:
    """Describe the first live request of ``tape`` that failed. ``None`` if there is none.

    A failure does not count if the cassette has the same failure for that request, or if an equal request succeeded
    later. With the ``keep_errors`` setting, no failure counts.
    """
    if tape.mode in ("replay", "live") or tape.keeps_errors:
        return None
    return find_failed_interaction(tape.live_interactions, tape.previous_interactions, tape.matching_key)
