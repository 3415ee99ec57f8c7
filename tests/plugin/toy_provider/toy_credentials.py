"""A stand-in for the key of the SDK. In the package, it would be ``multitrack/clients/toy_credentials.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.credentials.stand_in_key import StandInKey
from multitrack.tape.patching import Patch


def patches(toysdk: ModuleType) -> list[Patch]:
    def add_key(init: Callable[..., None]) -> Callable[..., None]:
        @wraps(init)
        def create_with_stand_in(self: Any, url: str, key: str | None = None) -> None:
            try:
                init(self, url, key)
            except toysdk.ToyError as missing:
                if not credentials.is_active():
                    raise
                init(self, url, StandInKey.replacing(missing))

        return create_with_stand_in

    return [Patch(toysdk.ToyClient, "__init__", add_key)]


credentials.register("toysdk", patches)
