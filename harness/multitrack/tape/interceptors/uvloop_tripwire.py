"""The tripwire on uvloop, whose loop connects below Python's sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.hosts import is_loopback
from multitrack.tape.interceptors import Current, tripwire
from multitrack.tape.patching import Patch


def patches(module: ModuleType, current: Current) -> list[Patch]:
    """The guard on the way to connect that takes a host and not a socket."""

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        async def create_connection(
            loop: Any, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            tape = current()
            if tape is not None and host and not tripwire.is_opened() and not is_loopback(_text(host)):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                *_, (address, number, *_) = found[0]
                if (violation := tripwire.refusal(tape, (_text(host), address), number)) is not None:
                    raise violation
            return await original(loop, protocol_factory, host, port, **options)

        return create_connection

    return [Patch(module.Loop, "create_connection", guarded)]


def _text(host: str | bytes) -> str:
    return host if isinstance(host, str) else host.decode("idna")
