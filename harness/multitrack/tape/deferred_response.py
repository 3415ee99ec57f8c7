"""Responses that are computed only if they are read. A replay reads few of the responses in a large cassette."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from multitrack.tape.exchange import Response


class DeferredResponse(Response):
    """A response that is computed when one of its parts is read for the first time."""

    __slots__ = ("_compute",)

    _compute: Callable[[], Response]

    @classmethod
    def create(cls, compute: Callable[[], Response]) -> Response:
        """Return a response that calls ``compute`` when one of its parts is read for the first time."""
        response = object.__new__(cls)
        object.__setattr__(response, "_compute", compute)
        return response

    def __getattr__(self, name: str) -> Any:
        # only called for an attribute without a value
        if name not in _FIELDS:
            raise AttributeError(name)
        response = self._compute()
        for field in _FIELDS:
            object.__setattr__(self, field, getattr(response, field))
        # release what the computation needed; another thread may still call the function
        object.__setattr__(self, "_compute", lambda: response)
        return getattr(response, name)

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` is an equal response. Either response may be deferred."""
        return Response(**{field: getattr(self, field) for field in _FIELDS}) == other

    def __hash__(self) -> int:
        """Return the same hash as for an equal ``Response`` that is not deferred."""
        return hash(Response(**{field: getattr(self, field) for field in _FIELDS}))


_FIELDS = tuple(field.name for field in fields(Response))
