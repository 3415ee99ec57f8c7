"""The tripwire for TLS sockets, which do not send through the methods of ``socket.socket``."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape.interceptors import CurrentTape, tripwire
from multitrack.tape.patching import Patch


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patch for ``ssl.SSLSocket.send``, which ``sendall`` also calls."""

    def guard(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def send(sock: ssl.SSLSocket, data: Any, *args: Any) -> Any:
            if (tape := current_tape()) is not None and not tripwire.is_disabled():
                tripwire.check_sent_data(tape, sock, data)
            return original(sock, data, *args)

        return send

    return [Patch(module.SSLSocket, "send", guard), Patch(module.SSLSocket, "write", guard)]
