"""A request that the code under test sent, and the recording that answered it."""

from __future__ import annotations

from dataclasses import dataclass

from multitrack.tape.exchange import Headers, Request


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """A request of the code under test, and the ``position`` (from 1) of the recording that answered it.

    ``sent`` is the request in the form that was compared. ``headers`` are all headers that the client sent.
    """

    sent: Request
    headers: Headers
    position: int
