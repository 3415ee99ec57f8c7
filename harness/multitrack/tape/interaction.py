"""An interaction: one recorded request with its response, scrubbed, as it stands on a tape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from multitrack.tape.exchange import Request, Response

if TYPE_CHECKING:
    from pydantic import BaseModel

Provenance = Literal["live", "local", "standin"]
"""Who answered: a provider, something on a loopback address, or Multitrack's own stand-in provider."""

STANDIN_HEADER = "x-multitrack-standin"


@dataclass(frozen=True, slots=True)
class Interaction:
    """``tests`` are the node ids of the tests whose recording this is.

    ``models`` are the import paths of the models that the request offered, by tool name; ``results`` tell, for each
    call of the answer, by a fingerprint what came of it when a test passed with it, None where none did.
    """

    request: Request
    response: Response
    tests: tuple[str, ...] = ()
    provenance: Provenance = "live"
    models: tuple[tuple[str, str], ...] = ()
    results: tuple[str, ...] | None = None
    offered_models: Mapping[str, type[BaseModel]] = field(default_factory=dict, compare=False, repr=False)
    """The models themselves, while a request of this process offers them; never on a tape."""

    def belongs_to(self, test: str | None) -> bool:
        """Whether ``test`` recorded it; for None, whether it was recorded outside any test."""
        return test in self.tests if test is not None else not self.tests
