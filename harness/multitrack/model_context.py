"""The Pydantic models of the tools of the request that is being sent.

The clients set them around the call of the SDK, and the tape reads them. This lets a miss explain a changed tool schema
by class and field, although the tape does not depend on any client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from pydantic import BaseModel

_models: ContextVar[Mapping[str, type[BaseModel]]] = ContextVar("multitrack_models")


@contextmanager
def offering_models(models: Mapping[str, type[BaseModel]]) -> Iterator[None]:
    """Declare that requests sent within the block offer ``models``, keyed by tool name."""
    token = _models.set(models)
    try:
        yield
    finally:
        _models.reset(token)


def current_models() -> Mapping[str, type[BaseModel]]:
    """Return the models of the tools of the request that is being sent, by tool name; empty if unknown."""
    return _models.get({})
