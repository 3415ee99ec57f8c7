"""Give xAI clients without an API key a stand-in key."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.credentials.stand_in_key import StandInKey
from multitrack.tape.patching import Patch

Init = Callable[..., None]


def patches(client: ModuleType) -> list[Patch]:
    """Return the patch of the constructor that the SDK's clients inherit.

    Returns no patch if the module is a project's own fake of the SDK.
    """
    base = getattr(client, "BaseClient", None)
    return [Patch(base, "__init__", _add_key)] if "__init__" in getattr(base, "__dict__", ()) else []


def _add_key(init: Init) -> Init:
    @wraps(init)
    def __init__(self: Any, api_key: str | None = None, *args: Any, **given: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        try:
            init(self, api_key, *args, **given)
        except ValueError as error:
            # an empty key that the user passed also raises an error, which stays unchanged
            if api_key is not None or not credentials.is_active() or "XAI_API_KEY" not in str(error):
                raise
            missing = error
        else:
            return
        # The SDK sends the key in an interceptor or in a plugin of a secure channel. Both format the key, so the
        # stand-in can raise its error at that point.
        init(self, StandInKey.replacing(missing), *args, **given)

    return __init__


credentials.register("xai_sdk.client", patches)
