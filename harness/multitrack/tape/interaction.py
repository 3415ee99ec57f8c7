"""An interaction: a request and its response, as stored in a cassette, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from multitrack.tape.exchange import Request, Response

if TYPE_CHECKING:
    from pydantic import BaseModel

Provenance = Literal["live", "local", "standin", "corpus"]
"""The origin of a response: a provider, a server on a loopback address, Multitrack's own stand-in provider, or a
published collection of real answers."""

STANDIN_HEADER = "x-multitrack-standin"


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request and its response."""

    request: Request
    response: Response
    tests: tuple[str, ...] = ()
    """The node ids of the tests that recorded it."""
    provenance: Provenance = "live"
    models: tuple[tuple[str, str], ...] = ()
    """The names of the offered tools, each with the import path of its model."""
    results: tuple[str, ...] | None = None
    """A fingerprint of each tool call's validated result, from a test that passed. ``None`` if no test passed."""
    source: str = ""
    """The id of the response in the collection that it comes from. Empty unless ``provenance`` is ``corpus``."""
    rebound: bool = False
    """True if the request was replaced after the recording, because its wording changed. The response was kept."""
    offered_models: Mapping[str, type[BaseModel]] = field(default_factory=dict, compare=False, repr=False)
    """The models of the offered tools, by tool name. Only known in the process that sent the request; never stored."""

    stored_response: Response | None = field(default=None, compare=False, repr=False)
    """The response as another recorder stored it, with all headers and possibly with secrets.

    It is replayed, but never written, compared or shown. ``None`` for Multitrack's own recordings.
    """

    stored_request: Request | None = field(default=None, compare=False, repr=False)
    """The request as another recorder stored it, possibly with secrets.

    It is never written, compared or shown. ``None`` for Multitrack's own recordings.
    """

    @property
    def replayed_response(self) -> Response:
        """The response that the client receives on replay."""
        return self.stored_response or self.response

    def belongs_to(self, test: str | None) -> bool:
        """Return whether ``test`` recorded this interaction. ``None`` stands for a recording outside of any test."""
        return test in self.tests if test is not None else not self.tests
