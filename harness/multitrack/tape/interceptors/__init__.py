"""The code that catches traffic: one file or folder per client library.

``install`` patches the client libraries when the first tape opens. A library that is not imported yet is patched after
its import. ``restore`` removes the patches. Interceptors patch classes instead of objects, so that clients, sessions
and channels created earlier are caught, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Protocol, cast

from multitrack.tape.exchange import Router
from multitrack.tape.imports import ImportWatch
from multitrack.tape.patching import Patch, PatchSet

CurrentTape = Callable[[], Router | None]
"""A function that returns the tape for the next request. If it returns None, the request is sent unchanged."""


class Interceptor(Protocol):
    """The interface of the modules in ``INTERCEPTORS``."""

    def patches(self, module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
        """Return the patches for one client library.

        Args:
            module: The imported client library.
            current_tape: Returns the tape for a request. The patches call it for each request.
        """


# Each module whose import triggers an interceptor, with the module of that interceptor in this package.
INTERCEPTORS: tuple[tuple[str, str], ...] = (
    ("httpx", "httpx_transport"),
    ("httpx2", "httpx_transport"),
    ("respx.mocks", "respx_mocker"),
    ("http.client", "http_client"),
    ("urllib3.connection", "http_client"),
    ("urllib3.connection", "urllib3_future"),
    ("urllib3._async.connection", "urllib3_future"),
    ("urllib3_future.connection", "urllib3_future"),
    ("urllib3_future._async.connection", "urllib3_future"),
    ("httplib2", "http_client"),
    ("aiohttp", "aiohttp.connector"),
    ("grpc", "grpc.channel"),
    ("grpc", "grpc.aio_channel"),
    ("grpc", "grpc.connectivity"),
    ("grpc", "grpc.background_threads"),
    ("socket", "tripwire"),
    ("ssl", "tls_tripwire"),
    ("asyncio.sslproto", "asyncio_tls_tripwire"),
    ("uvloop", "uvloop_tripwire"),
    ("pycurl", "pycurl_tripwire"),
    ("tornado.iostream", "tornado_stream"),
)

_watch = ImportWatch()
_lock = threading.RLock()
_patches = PatchSet()
_cleanups: list[Callable[[], None]] = []


def install(current_tape: CurrentTape) -> None:
    """Apply the patches of every interceptor."""
    for trigger, name in INTERCEPTORS:
        _watch.when_imported(trigger, _create_installer(name, current_tape))


def restore() -> None:
    """Undo all patches, the most recent first."""
    _watch.close()
    _patches.undo()
    clear_state()
    _cleanups.clear()


def clear_state() -> None:
    """Clear the state that interceptors keep about the traffic of one test."""
    with _lock:
        for cleanup in _cleanups:
            cleanup()


def are_outermost() -> bool:
    """Return whether all patches are still in place. False if other code has replaced a patched attribute."""
    return _patches.are_outermost()


def on_last_tape_closed(cleanup: Callable[[], None]) -> None:
    """Call ``cleanup`` each time the last open tape closes. Interceptors use this to clear their own state."""
    with _lock:
        _cleanups.append(cleanup)


def _create_installer(name: str, current_tape: CurrentTape) -> Callable[[ModuleType], None]:
    def install_into(module: ModuleType) -> None:
        interceptor = cast(Interceptor, import_module(f"{__name__}.{name}"))
        _patches.apply(interceptor.patches(module, current_tape))

    return install_into
