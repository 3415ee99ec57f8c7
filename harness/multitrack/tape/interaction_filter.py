"""The interface for a project's functions that change requests and responses before recording and matching."""

from __future__ import annotations

from typing import Protocol

from multitrack.tape.exchange import Request, Response


class InteractionFilter(Protocol):
    """A project's functions that change requests and responses before they are recorded and matched."""

    def filter_request(self, request: Request, /) -> Request | None:
        """Return the changed ``request``. Return ``None`` to send the unchanged request without recording it."""

    def filter_response(self, response: Response, /) -> Response | None:
        """Return the changed ``response``, or ``None`` if it must not be recorded."""

    def filter_stored_response(self, response: Response, /) -> Response | None:
        """Change a ``response`` that another recorder stored, and return it. Return ``None`` to prevent its replay."""
