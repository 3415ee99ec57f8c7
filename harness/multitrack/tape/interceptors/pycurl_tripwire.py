"""The tripwire for pycurl, which opens connections without Python's sockets.

While the network is blocked, the tripwire refuses pycurl's requests. Otherwise, they are sent, because a tape neither
records nor refuses them.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from multitrack.hosts import is_loopback, split_host_and_port
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.network_block import current_block
from multitrack.tape.patching import Patch

_LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return patches that replace the classes of ``pycurl``, because their methods cannot be replaced."""
    del current_tape

    def check(curl: Any) -> None:
        if (block := current_block()) is None:
            return
        host, port = split_host_and_port(curl.getinfo(module.EFFECTIVE_URL))
        if host:  # pycurl itself reports that there is no URL
            block.check((host, *(_LOOPBACK_ADDRESSES if is_loopback(host) else ())), port)

    def guard(original: type) -> type:
        def wrap(name: str) -> Any:
            def perform(self: Any, *args: Any) -> Any:
                check(self)
                return getattr(original, name)(self, *args)

            return perform

        names = [name for name in ("perform", "perform_rb", "perform_rs") if hasattr(original, name)]
        return type("Curl", (original,), {name: wrap(name) for name in names})

    def guard_multi(original: Any) -> type:
        def add_handle(self: Any, curl: Any) -> Any:
            check(curl)
            return original.add_handle(self, curl)

        return type("CurlMulti", (original,), {"add_handle": add_handle})

    return [Patch(module, "Curl", guard), Patch(module, "CurlMulti", guard_multi)]
