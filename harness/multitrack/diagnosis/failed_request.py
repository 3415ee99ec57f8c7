"""Live requests that failed, so that there is nothing to record or to compare."""

from __future__ import annotations

from multitrack.diagnosis.call_results import parse_answer
from multitrack.hosts import join_host_and_port, split_host_and_port
from multitrack.tape.interaction import Interaction
from multitrack.tape.recorder import are_final, describe_temporary_error
from multitrack.tape.tape import Tape

_FIRST_ERROR = 400


def find_failed_request(tape: Tape) -> str | None:
    """Describe the first live request of ``tape`` that failed. `None` if there is none.

    A failure does not count if the cassette has the same failure for that request, or if an equal request succeeded
    later. With the setting ``keep_errors``, no failure counts.
    """
    if tape.mode in ("replay", "live") or tape.keeps_errors:
        return None
    live = tape.live_interactions
    final = [interaction for interaction, is_final in zip(live, are_final(live), strict=True) if is_final]
    failed = [one for one in final if _has_failed(one)]
    if not failed:
        return None
    known = {(tape.matching_key(one), _status(one)) for one in tape.previous_interactions if _has_failed(one)}
    found = [one for one in failed if (tape.matching_key(one), _status(one)) not in known]
    # a temporary error cannot be what the test expects
    found.sort(key=lambda one: describe_temporary_error(one.response) is None)
    return _describe(found[0]) if found else None


def _has_failed(interaction: Interaction) -> bool:
    response = interaction.response
    if response.ending == "unanswered":
        return response.failure is not None  # otherwise, the caller gave up
    return response.status >= _FIRST_ERROR or (response.header("grpc-status") or "0") != "0"


def _status(interaction: Interaction) -> tuple[int, str | None]:
    return interaction.response.status, interaction.response.header("grpc-status")


def _describe(interaction: Interaction) -> str:
    request, response = interaction.request, interaction.response
    if response.failure is not None and response.ending == "unanswered":
        found = "response" if response.failure.during in ("send", "read") else "connection"
        from_or_to = "from" if found == "response" else "to"
        reason = ": ".join(filter(None, (response.failure.error, response.failure.message)))
        return f"no {found} {from_or_to} {join_host_and_port(*split_host_and_port(request.url))} ({reason})"
    if status := response.header("grpc-status"):
        found, message = f"gRPC status {status}", response.header("grpc-message")
    else:
        answer = parse_answer(response.body)
        found, message = f"{response.status} {response.reason}".rstrip(), answer.error if answer is not None else None
    return f"{found}{f': {message}' if message else ''} ({request.method} {request.url})"
