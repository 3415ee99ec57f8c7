"""The stand-in for a missing credential, and how to recognize it in a request."""

from __future__ import annotations

from multitrack.tape.exchange import Request

STAND_IN_WORD = "multitrack-stand-in"
"""The stand-in for a missing key or token while a cassette is being replayed. It must never be sent."""

STAND_IN_REASON = (
    "its client was created without a credential and has a stand-in key, which only works during replay\n"
    "  set the provider's credential, in the environment or in the client's constructor, and run again"
)
"""Why a request with a stand-in is not sent, and what to do."""


def has_stand_in(request: Request) -> bool:
    """Return whether ``request`` contains a stand-in for a credential."""
    return STAND_IN_WORD in request.url or any(STAND_IN_WORD in value for _, value in request.headers)
