"""Find interactions whose request failed, either with an error response or without any response."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from multitrack import wires
from multitrack.hosts import join_host_and_port, split_host_and_port
from multitrack.tape.answer_wire import find_wire
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.recordings import Recording
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.temporary_errors import are_final, describe_temporary_error

_FIRST_ERROR = 400


def find_failed_interaction(
    interactions: Sequence[Interaction],
    earlier: Sequence[Interaction],
    make_key: Callable[[Interaction], MatchingKey] = lambda one: MatchingKey.from_request(one.request),
) -> str | None:
    """Describe the first interaction in which the request failed. ``None`` if there is none.

    A temporary failure is ignored if an equal request was sent later. A failure is also ignored if the test had
    recorded the same failure before.

    Args:
        interactions: The new recording of a test.
        earlier: The earlier recording of the test.
        make_key: Returns the matching key of an interaction.
    """
    final = [one for one, is_final in zip(interactions, are_final(interactions), strict=True) if is_final]
    failed = [one for one in final if _has_failed(one)]
    if not failed:
        return None
    known = {(make_key(one), _status(one)) for one in earlier if _has_failed(one)}
    found = [one for one in failed if (make_key(one), _status(one)) not in known]
    # no test expects a temporary error
    found.sort(key=lambda one: describe_temporary_error(one.response) is None)
    return _describe(found[0]) if found else None


def explain_refusal(recording: Recording, cassette: Cassette) -> str | None:
    """Return why a pending ``recording`` should not be accepted into ``cassette``. ``None`` if it can be accepted."""
    if recording.keeps_errors:
        return None
    earlier = [one for one in cassette.interactions if one.belongs_to(recording.test)]
    return find_failed_interaction(recording.interactions, earlier) or recording.unanswered or None


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
        wire = find_wire(interaction)
        message = wires.read_answer(response.body, wire).error if wire is not None else None
        found = f"{response.status} {response.reason}".rstrip()
    return f"{found}{f': {message}' if message else ''} ({request.method} {request.url})"
