"""Recognize temporary errors, which neither make a cassette invalid nor count as drift."""

from __future__ import annotations

from collections.abc import Sequence

from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.matching_key import MatchingKey

# the statuses in https://grpc.io/docs/guides/status-codes/ that do not depend on the content of the request
_TEMPORARY_GRPC = {"2", "4", "7", "8", "13", "14", "16"}


def find_temporary_error(interactions: Sequence[Interaction]) -> str | None:
    """Describe the first temporary error that was not followed by an equal request.

    Returns ``None`` if there is no such error.
    """
    for interaction, is_final in zip(interactions, are_final(interactions), strict=True):
        if is_final and (verb_phrase := describe_temporary_error(interaction.response)):
            request = interaction.request
            return f"{request.method} {request.url} {verb_phrase} (to store this response, set keep_errors=True)"
    return None


def are_final(interactions: Sequence[Interaction]) -> list[bool]:
    """Return, for each of ``interactions``, whether its response is final.

    A temporary error is not final if an equal request was sent after it.
    """
    temporary = [describe_temporary_error(interaction.response) is not None for interaction in interactions]
    if not any(temporary):
        return [True] * len(interactions)
    keys = [MatchingKey.from_request(interaction.request) for interaction in interactions]
    last = {key: position for position, key in enumerate(keys)}
    return [not temporary[position] or last[key] == position for position, key in enumerate(keys)]


def describe_temporary_error(response: Response) -> str | None:
    """Return a verb phrase for a 401, 403, 429 or 5xx response or a failed connection, such as "got no response".

    Returns ``None`` for any other response.
    """
    if response.ending == "unanswered":
        return f"got no response: {response.failure.error}" if response.failure else None
    if response.status in (401, 403, 429) or response.status >= 500:
        return f"was answered with {response.status}"
    status = response.header("grpc-status")
    return f"was answered with gRPC status {status}" if status in _TEMPORARY_GRPC else None
