"""Block requests over TLS sockets that would bypass the tape.

TLS sockets need patches of their own, because they do not send through the methods of ``socket.socket``.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape.interceptors import CurrentTape, tripwire
from multitrack.tape.patching import Patch


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for ``ssl.SSLSocket.send``, which ``sendall`` calls, and for ``ssl.SSLSocket.write``."""

    def guard(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def send(sock: ssl.SSLSocket, data: Any, *args: Any) -> Any:
            if (tape := current_tape()) is not None and not tripwire.is_disabled():
                tripwire.check_sent_data(tape, sock, data)
            return original(sock, data, *args)

        return send

    # HTTPretty replaces the class with a fake that lacks these methods
    owner = module.SSLSocket
    return [Patch(owner, name, guard) for name in ("send", "write") if hasattr(owner, name)]
