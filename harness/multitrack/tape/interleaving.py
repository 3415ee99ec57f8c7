"""Interleaving: who spoke when, in a call whose requests and responses stream.

On a tape stand the messages of either side in their order. How the two orders go together is told by a header of
the answer: for each response, and at last for the end of the call, how many requests had been sent by then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from multitrack.tape.exchange import Ending, Headers, Response

HEADER = "x-multitrack-turns"

CLOSED = math.inf
"""More requests than any number of them: the client had said that there are no more."""

_CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Interleaving:
    """``sent`` is how many requests had been sent before each response; the last number holds for all that follow,
    and for the end. Most clients send all first, and that is not written."""

    sent: tuple[float, ...] = (CLOSED,)

    @classmethod
    def from_counts(cls, sent: Sequence[float]) -> Interleaving:
        """Of a call for whose responses, and end, so many requests had been sent."""
        numbers = list(sent)
        while len(numbers) > 1 and numbers[-1] == numbers[-2]:
            numbers.pop()
        return cls(tuple(numbers))

    @classmethod
    def from_response(cls, response: Response) -> Interleaving:
        """Those of a recorded answer. Raises ValueError where the tape has no such numbers."""
        told = response.header(HEADER)
        if told is None:
            # a call that was still open when the tape ended could not tell
            return cls() if response.ending in ("complete", "broken") else cls((0,))
        return cls(tuple(CLOSED if word == _CLOSED else int(word) for word in told.split()) or (CLOSED,))

    def to_headers(self, ending: Ending) -> Headers:
        """What tells them on a tape, of an answer that came to this ``ending``."""
        if self == Interleaving() and ending in ("complete", "broken"):
            return ()
        return ((HEADER, " ".join(_CLOSED if number == CLOSED else str(number) for number in self.sent)),)

    def requests_before(self, position: int) -> float:
        """How many requests were sent before the response at ``position``, counted from 0; the end stands behind the
        last response."""
        return self.sent[min(position, len(self.sent) - 1)]

    @property
    def is_closed(self) -> bool:
        """Whether the client had sent all it had to send."""
        return self.sent[-1] == CLOSED
