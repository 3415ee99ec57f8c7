"""Which Pydantic model stands behind each tool that the request now being sent model_context.

The clients set it around the SDK's call; the tape reads it, so that a changed tool schema can be told in
terms of the class and the field that changed, without the tape knowing any client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from pydantic import BaseModel

_offered: ContextVar[Mapping[str, type[BaseModel]]] = ContextVar("multitrack_offered")


@contextmanager
def offering_models(models: Mapping[str, type[BaseModel]]) -> Iterator[None]:
    """For the time of the block, requests offer ``models``, keyed by tool name."""
    token = _offered.set(models)
    try:
        yield
    finally:
        _offered.reset(token)


def current_models() -> Mapping[str, type[BaseModel]]:
    """The models behind the tools of the request being sent, by tool name; empty if nobody said."""
    return _offered.get({})
