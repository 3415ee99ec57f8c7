"""Stands in for the key of an OpenAI client, and for an Azure client's key, endpoint and API version."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape.credentials import in_force, raise_missing, replaying
from multitrack.tape.matching import azure_places
from multitrack.tape.patching import Patch

Init = Callable[..., None]
Arguments = dict[str, Any]
StandIn = Callable[[Arguments, Exception, Exception], Arguments | None]
"""From the arguments so far, the error they met and the first error: what to try next, or None to give up."""

_AZURE_KEYS = ("api_key", "azure_ad_token", "azure_ad_token_provider")
# what an Azure client may miss beside its key
_AZURE_PLACES = {"api_version": azure_places.VERSION, "azure_endpoint": azure_places.ENDPOINT}


class StandInKey(str):
    """A key that can be put into a header while a tape replays, and else raises the SDK's own error.

    Every release of the SDK from 1.40 on writes ``f"Bearer {key}"`` when it builds a request, outside its
    retries, and hands the key on to copies of a client as it is. So nothing is sent, and no private name of
    the SDK is touched.
    """

    missing: Exception

    @classmethod
    def instead_of(cls, missing: Exception) -> StandInKey:
        """A key for the client whose constructor raised ``missing``."""
        key = cls("multitrack-stand-in")
        # the frames of its traceback would keep alive what the constructor's callers hold
        key.missing = missing.with_traceback(None)
        return key

    def __format__(self, spec: str) -> str:
        if not replaying():
            raise_missing(self.missing)
        return super().__format__(spec)


def patches(openai: ModuleType) -> list[Patch]:
    """The constructors of the SDK's four clients; none where a fake of the project's own bears the name."""
    key_error = getattr(openai, "OpenAIError", None)
    if not isinstance(key_error, type):
        return []

    def key(given: Arguments, error: Exception, first: Exception) -> Arguments | None:
        if given.get("api_key") or not isinstance(error, key_error):
            return None
        return {**given, "api_key": StandInKey.instead_of(first)}

    def azure(given: Arguments, error: Exception, first: Exception) -> Arguments | None:
        # the message names the argument that would supply what is missing
        places = {
            name: place
            for name, place in _AZURE_PLACES.items()
            if f"`{name}`" in str(error) and given.get(name) is None
        }
        keys = {name: given[name] for name in _AZURE_KEYS if given.get(name)}
        if not places and (keys or not isinstance(error, key_error)):
            return None
        # also where the user gave a key and a place is missing: nothing else would raise at the first request
        rest = {name: value for name, value in given.items() if name not in _AZURE_KEYS}
        return {**rest, **places, "azure_ad_token": StandInKey.instead_of(first)}

    stand_ins = {"OpenAI": key, "AsyncOpenAI": key, "AzureOpenAI": azure, "AsyncAzureOpenAI": azure}
    return [
        Patch(client, "__init__", _retrying(stand_in))
        for name, stand_in in stand_ins.items()
        if "__init__" in getattr(client := getattr(openai, name, None), "__dict__", ())
    ]


def _retrying(stand_in: StandIn) -> Callable[[Init], Init]:
    def make(init: Init) -> Init:
        @wraps(init)
        def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
            __tracebackhide__ = True
            first: Exception | None = None
            while True:
                try:
                    return init(self, *args, **given)
                except Exception as error:
                    first = first or error
                    completed = stand_in(given, error, first) if in_force() else None
                    if completed is None and first is error:
                        raise
                    if completed is None:
                        raise first from None
                    given = completed

        return __init__

    return make
