"""Stands in for the key of a `google.genai` client; one for Vertex takes Google's default credentials."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape.credentials import in_force, raise_missing, replaying
from multitrack.tape.patching import Patch

Init = Callable[..., None]


def patches(module: ModuleType) -> list[Patch]:
    """The constructor below the SDK's sync and async clients."""
    return [Patch(module.BaseApiClient, "__init__", _retrying)]


def _retrying(init: Init) -> Init:
    @wraps(init)
    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        try:
            init(self, *args, **given)
        except ValueError as error:
            if not in_force() or given.get("api_key") or self.vertexai:
                raise
            _stand_in(init, self, args, given, error)

    return __init__


def _stand_in(init: Init, client: Any, args: tuple[Any, ...], given: dict[str, Any], missing: ValueError) -> None:
    __tracebackhide__ = True
    try:
        init(client, *args, **{**given, "api_key": "multitrack-stand-in"})
    except ValueError:
        raise missing from None
    # of the frames of its traceback, the client would keep alive what they hold
    missing = missing.with_traceback(None)
    build_request = client._build_request

    @wraps(build_request)
    def build_replayed_request(*args: Any, **kwargs: Any) -> Any:
        if not replaying():
            raise_missing(missing)
        return build_request(*args, **kwargs)

    # on the client itself, which may live longer than the block that it was made in
    client._build_request = build_replayed_request
