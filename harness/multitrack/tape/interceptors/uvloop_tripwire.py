"""The tripwire for uvloop, whose event loop opens connections without Python's sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.hosts import is_loopback
from multitrack.tape.interceptors import CurrentTape, tripwire
from multitrack.tape.network_block import NetworkBlock, current_block
from multitrack.tape.patching import Patch


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patch for the ``create_connection`` of uvloop's event loop, which connects without a Python socket."""

    def guard(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        async def create_connection(
            loop: Any, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            if (block := current_block()) is not None and host:
                await _check_block(block, loop, _decode_host(host), port)
            tape = current_tape()
            if tape is not None and host and not tripwire.is_disabled() and not is_loopback(_decode_host(host)):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                *_, (address, number, *_) = found[0]
                if (violation := tripwire.check_connection(tape, (_decode_host(host), address), number)) is not None:
                    raise violation
            return await original(loop, protocol_factory, host, port, **options)

        return create_connection

    def guard_unix(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        async def create_unix_connection(loop: Any, protocol_factory: Any, path: Any = None, **options: Any) -> Any:
            if (block := current_block()) is not None and path:
                block.check((os.fsdecode(path),), None)
            return await original(loop, protocol_factory, path, **options)

        return create_unix_connection

    return [
        Patch(module.Loop, "create_connection", guard),
        Patch(module.Loop, "create_unix_connection", guard_unix),
    ]


async def _check_block(block: NetworkBlock, loop: Any, host: str, port: Any) -> None:
    if block.allows((host,), port):
        return
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise block.build_error(host, port) from error
    for *_, (address, number, *_) in found:
        block.check((host, address), number)


def _decode_host(host: str | bytes) -> str:
    return host if isinstance(host, str) else host.decode("idna")
