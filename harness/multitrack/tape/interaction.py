"""An interaction: one recorded request with its response, scrubbed, as it stands on a tape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multitrack.tape.exchange import Request, Response

Provenance = Literal["live", "local", "standin"]
"""Who answered: a provider, something on a loopback address, or Multitrack's own stand-in provider."""

STANDIN_HEADER = "x-multitrack-standin"


@dataclass(frozen=True, slots=True)
class Interaction:
    """``tests`` are the node ids of the tests whose recording this is."""

    request: Request
    response: Response
    tests: tuple[str, ...] = ()
    provenance: Provenance = "live"

    def is_of(self, test: str | None) -> bool:
        """Whether ``test`` recorded it; for None, whether it was recorded outside any test."""
        return test in self.tests if test is not None else not self.tests
