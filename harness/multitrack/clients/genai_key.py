"""Stand-in for the API key of a ``google.genai`` client.

A client for Vertex AI needs no stand-in here, because it uses Google's default credentials.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.credentials.stand_in_key import StandInKey
from multitrack.tape.patching import Patch

Init = Callable[..., None]


def patches(module: ModuleType) -> list[Patch]:
    """Patch the constructor of the class that the SDK's sync and async clients share."""
    return [Patch(module.BaseApiClient, "__init__", _retry_with_stand_in)]


def _retry_with_stand_in(init: Init) -> Init:
    @wraps(init)
    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        try:
            init(self, *args, **given)
        except ValueError as error:
            if not credentials.is_active() or given.get("api_key") or self.vertexai:
                raise
            _init_with_stand_in(init, self, args, given, error)
        else:
            # a framework read the environment itself, and passed the stand-in
            if isinstance(given.get("api_key"), StandInKey):
                _refuse_live_requests(self, given["api_key"].missing)

    return __init__


def _init_with_stand_in(
    init: Init, client: Any, args: tuple[Any, ...], given: dict[str, Any], missing: ValueError
) -> None:
    __tracebackhide__ = True
    key = StandInKey.replacing(missing)
    try:
        init(client, *args, **{**given, "api_key": key})
    except ValueError:
        raise missing from None
    _refuse_live_requests(client, key.missing)


def _refuse_live_requests(client: Any, missing: Exception) -> None:
    build_request = client._build_request

    @wraps(build_request)
    def build_request_for_replay(*args: Any, **kwargs: Any) -> Any:
        if not credentials.is_replaying():
            credentials.raise_missing(missing)
        return build_request(*args, **kwargs)

    # set on the client itself, because the client may outlive the block in which it was created
    client._build_request = build_request_for_replay
