"""Block requests that would bypass the tape through asyncio's TLS streams.

The tripwire for sockets cannot recognize these requests, because the streams encrypt them first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape.interceptors import CurrentTape, tripwire
from multitrack.tape.patching import Patch


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for the two methods of asyncio's TLS transport that send data."""

    def guard(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def write(transport: Any, data: Any) -> Any:
            if (tape := current_tape()) is not None and not tripwire.is_disabled():
                sock = transport.get_extra_info("socket")
                if sock is not None:
                    tripwire.check_sent_data(tape, sock, data)
            return original(transport, data)

        return write

    # private, but there is no other place where the data is not yet encrypted and the peer is known
    owner = getattr(module, "_SSLProtocolTransport", None)
    return [Patch(owner, name, guard) for name in ("write", "writelines") if hasattr(owner, name)]
