"""The Pydantic models of the tools in the request that is being sent.

The clients set them around the SDK's call, and the tape reads them. So a miss can name the class and the field that
changed in a tool's schema, although the tape does not depend on any client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from pydantic import BaseModel

_offered: ContextVar[Mapping[str, type[BaseModel]]] = ContextVar("multitrack_offered")


@contextmanager
def offering_models(models: Mapping[str, type[BaseModel]]) -> Iterator[None]:
    """Set the models of the offered tools, by tool name, for the requests sent within the block."""
    token = _offered.set(models)
    try:
        yield
    finally:
        _offered.reset(token)


def current_models() -> Mapping[str, type[BaseModel]]:
    """Return the models of the tools in the request that is being sent, by tool name; empty if they are unknown."""
    return _offered.get({})
