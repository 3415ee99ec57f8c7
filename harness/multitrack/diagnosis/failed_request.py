"""Live requests that failed, so that there is nothing to record or to compare."""

from __future__ import annotations

<<<<<<< HEAD
from multitrack.tape.failed_interactions import find_failed_interaction
=======
from multitrack.diagnosis.call_results import parse_answer
from multitrack.hosts import join_host_and_port, split_host_and_port
from multitrack.tape.interaction import Interaction
>>>>>>> 35fab7b (Split the tape into sessions, one replay lookup and a facade)
from multitrack.tape.tape import Tape
from multitrack.tape.temporary_errors import are_final, describe_temporary_error


def find_failed_request(tape: Tape) -> str | None:
    """Describe the first live request of ``tape`` that failed. `None` if there is none.

    A failure does not count if the cassette has the same failure for that request, or if an equal request succeeded
    later. With the setting ``keep_errors``, no failure counts.
    """
    if tape.mode in ("replay", "live") or tape.keeps_errors:
        return None
    return find_failed_interaction(tape.live_interactions, tape.previous_interactions, tape.matching_key)
