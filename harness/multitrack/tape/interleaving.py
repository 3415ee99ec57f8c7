"""Interleaving: the order of requests and responses in a call that streams both.

In a cassette, the requests and the responses are separate lists, each in order. A header of the response shows how
the lists combine. The header contains, for each response and for the end of the call, the number of requests sent
before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from multitrack.tape.exchange import Ending, Headers, Response

HEADER = "x-multitrack-turns"

CLOSED = math.inf
"""The request count after the client has closed its side: greater than any number of messages."""

_CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Interleaving:
    """The order of requests and responses in a call: how many requests had been sent before each response."""

    request_counts: tuple[float, ...] = (CLOSED,)
    """One count for each response. The last count also applies to all later responses and to the end. The default,
    which is not stored, describes most clients: they send everything first.
    """

    @classmethod
    def from_counts(cls, request_counts: Sequence[float]) -> Interleaving:
        """Return the interleaving for ``request_counts``, which has one count for each response and one for the end."""
        counts = list(request_counts)
        while len(counts) > 1 and counts[-1] == counts[-2]:
            counts.pop()
        return cls(tuple(counts))

    @classmethod
    def from_response(cls, response: Response) -> Interleaving:
        """Return the interleaving of a recorded ``response``. Raises ValueError if its header is malformed."""
        header = response.header(HEADER)
        if header is None:
            # the header is stored when a call ends, so a call that was still open when the tape was closed has none
            return cls() if response.ending in ("complete", "broken") else cls((0,))
        return cls(tuple(CLOSED if word == _CLOSED else int(word) for word in header.split()) or (CLOSED,))

    def to_headers(self, ending: Ending) -> Headers:
        """Return the headers in which a cassette stores the interleaving. ``ending`` says how the response ended."""
        if self == Interleaving() and ending in ("complete", "broken"):
            return ()
        return ((HEADER, " ".join(_CLOSED if count == CLOSED else str(count) for count in self.request_counts)),)

    def requests_before(self, position: int) -> float:
        """Return how many requests had been sent before the response at ``position``.

        Positions count from 0. The position of the end of the call is the number of responses.
        """
        return self.request_counts[min(position, len(self.request_counts) - 1)]

    @property
    def is_closed(self) -> bool:
        """Whether the client sent all its messages before the call ended."""
        return self.request_counts[-1] == CLOSED
