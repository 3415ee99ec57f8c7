"""Stand-ins for what a client lacks during a replay: the key of an OpenAI client, or the key, the endpoint and the API
version of an Azure client.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.credentials.stand_in_key import StandInKey
from multitrack.tape.normalize import endpoint_defaults
from multitrack.tape.patching import Patch

Init = Callable[..., None]
Arguments = dict[str, Any]
Complete = Callable[[Arguments, Exception, Exception], Arguments | None]
"""Takes the arguments, the error that they caused, and the first error. Returns the arguments to try next, or None."""

_AZURE_KEYS = ("api_key", "azure_ad_token", "azure_ad_token_provider")
# the other arguments that an Azure client requires
_AZURE_DEFAULTS = {"api_version": endpoint_defaults.API_VERSION, "azure_endpoint": endpoint_defaults.ENDPOINT}


def patches(openai: ModuleType) -> list[Patch]:
    """Return patches for the constructors of the SDK's four clients. Empty if ``openai`` is a fake SDK."""
    key_error = getattr(openai, "OpenAIError", None)
    if not isinstance(key_error, type):
        return []

    def add_key(given: Arguments, error: Exception, first: Exception) -> Arguments | None:
        if given.get("api_key") or not isinstance(error, key_error):
            return None
        return {**given, "api_key": StandInKey.replacing(first)}

    def add_azure_arguments(given: Arguments, error: Exception, first: Exception) -> Arguments | None:
        # the message names the argument that is missing
        missing = {
            name: value
            for name, value in _AZURE_DEFAULTS.items()
            if f"`{name}`" in str(error) and given.get(name) is None
        }
        keys = {name: given[name] for name in _AZURE_KEYS if given.get(name)}
        if not missing and (keys or not isinstance(error, key_error)):
            return None
        # If another argument is missing, the stand-in replaces even the user's key: only a stand-in can raise the error
        # at the first request.
        rest = {name: value for name, value in given.items() if name not in _AZURE_KEYS}
        return {**rest, **missing, "azure_ad_token": StandInKey.replacing(first)}

    completions = {
        "OpenAI": add_key,
        "AsyncOpenAI": add_key,
        "AzureOpenAI": add_azure_arguments,
        "AsyncAzureOpenAI": add_azure_arguments,
    }
    return [
        Patch(client, "__init__", _retry_with(complete))
        for name, complete in completions.items()
        if "__init__" in getattr(client := getattr(openai, name, None), "__dict__", ())
    ]


def _retry_with(complete: Complete) -> Callable[[Init], Init]:
    def wrap(init: Init) -> Init:
        @wraps(init)
        def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
            __tracebackhide__ = True
            first: Exception | None = None
            while True:
                try:
                    return init(self, *args, **given)
                except Exception as error:
                    first = first or error
                    completed = complete(given, error, first) if credentials.is_active() else None
                    if completed is None and first is error:
                        raise
                    if completed is None:
                        raise first from None
                    given = completed

        return __init__

    return wrap


credentials.register("openai", patches)
