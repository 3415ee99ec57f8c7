"""The Pydantic models behind the tools in the request that is being sent.

Multitrack's clients set the Pydantic models while they call the SDK. The tape reads them, so that the message of a
miss can show the class and the field behind a changed tool schema. The tape itself depends on no client.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token

from pydantic import BaseModel

Models = Mapping[str, type[BaseModel]]

_models: ContextVar[Models] = ContextVar("multitrack_models")


class OfferedModels:
    """A context manager for requests that offer Pydantic models as tools.

    It tells the tape which Pydantic model belongs to each tool name.
    """

    # not a generator with `contextmanager`: that takes three times as long, and every call to `create` enters this
    # block

    __slots__ = ("_models", "_token")

    _token: Token[Models]

    def __init__(self, models: Models) -> None:
        self._models = models

    def __enter__(self) -> None:
        self._token = _models.set(self._models)

    def __exit__(self, *error: object) -> None:
        _models.reset(self._token)


def current_models() -> Models:
    """Return the models behind the tools in the request that is being sent. The keys are the names of the tools.

    Empty if the models are unknown.
    """
    return _models.get({})
