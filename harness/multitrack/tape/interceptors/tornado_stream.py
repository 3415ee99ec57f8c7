"""End the connection of Tornado's client if the tripwire blocks it.

Tornado connects in a separate task, which handles an error only if it is an ``Exception``. A violation is a
``BaseException``, so without this module, the client would wait until its timeout, or forever if it has no timeout.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.errors import TapeViolation
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.patching import Patch


def patches(module: ModuleType, _: CurrentTape) -> list[Patch]:
    """Return the patch for ``tornado.iostream``.

    The patch makes tornado's client raise a tape violation in the caller that waits for the response.
    """

    def end_if_blocked(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def connect(stream: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(stream, *args, **kwargs)
            except TapeViolation as violation:
                connecting = stream._connect_future
                stream.close(exc_info=violation)
                return connecting

        return connect

    return [Patch(module.IOStream, "connect", end_if_blocked)]
