"""Where traffic is caught: one file or folder per kind of client, each with a list of swaps.

A seam is swapped in when the first tape opens, into every library already imported and into each that is
imported later, and swapped out when the last tape closes. It works on classes, so that clients, sessions and
channels made earlier are caught, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from multitrack.tape.exchange import Router
from multitrack.tape.imports import ImportWatch
from multitrack.tape.patching import PatchSet

Current = Callable[[], Router | None]
"""Gives the tape that takes the next request, or None: then the request goes on untouched."""


# The module whose import a seam waits for, and the module here that holds `patches(module, current)`.
INTERCEPTORS: tuple[tuple[str, str], ...] = (
    ("httpx", "httpx_transport"),
    ("httpx2", "httpx_transport"),
    ("http.client", "http_client"),
    ("urllib3.connection", "http_client"),
    ("httplib2", "http_client"),
    ("aiohttp", "aiohttp.connector"),
    ("grpc", "grpc.channel"),
    ("grpc", "grpc.aio_channel"),
    ("grpc", "grpc.connectivity"),
    ("socket", "tripwire"),
    ("uvloop", "uvloop_tripwire"),
)

_watch = ImportWatch()
_lock = threading.RLock()
_patches = PatchSet()
_closers: list[Callable[[], None]] = []


def install(current: Current) -> None:
    """Patch every seam in."""
    for trigger, seam in INTERCEPTORS:
        _watch.when_imported(trigger, _installer(seam, current))


def restore() -> None:
    """Patch every seam out, the last first."""
    _watch.close()
    _patches.undo()
    with _lock:
        while _closers:
            _closers.pop()()


def on_restore(closer: Callable[[], None]) -> None:
    """Call ``closer`` once when the seams are swapped out, for a seam that left something in live objects."""
    with _lock:
        _closers.append(closer)


def _installer(seam: str, current: Current) -> Callable[[ModuleType], None]:
    def install_into(module: ModuleType) -> None:
        _patches.apply(import_module(f"{__name__}.{seam}").patches(module, current))

    return install_into
