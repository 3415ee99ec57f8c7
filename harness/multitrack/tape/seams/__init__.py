"""Where traffic is caught: one file per kind of client, each a list of swaps.

A seam is swapped in when the first tape opens, into every library already imported and into each that is
imported later, and swapped out when the last tape closes. It works on classes, so that clients, sessions and
channels made earlier are caught, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from multitrack.tape.exchange import Router
from multitrack.tape.imports import ImportWatch

Current = Callable[[], Router | None]
"""Gives the tape that takes the next request, or None: then the request goes on untouched."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Put ``make(original)`` in the place of the attribute ``name`` of ``owner``, its own or inherited."""

    owner: Any
    name: str
    make: Callable[[Any], Any]


# The module whose import a seam waits for, and the file here that holds `swaps(module, current)`.
SEAMS: tuple[tuple[str, str], ...] = (
    ("httpx", "httpx_transport"),
    ("httpx2", "httpx_transport"),
    ("http.client", "http_client"),
    ("urllib3.connection", "http_client"),
    ("httplib2", "http_client"),
    ("grpc", "grpc_channel"),
    ("socket", "tripwire"),
)

_INHERITED = object()

_watch = ImportWatch()
_lock = threading.RLock()
_swapped: list[tuple[Swap, Any, Any]] = []
_closers: list[Callable[[], None]] = []


def install(current: Current) -> None:
    """Swap every seam in."""
    for trigger, seam in SEAMS:
        _watch.when_imported(trigger, _installer(seam, current))


def restore() -> None:
    """Swap every seam out, the last first."""
    _watch.close()
    with _lock:
        while _swapped:
            swap, original, replacement = _swapped.pop()
            # what somebody else put over ours stays: it still calls ours, which lets go of a request
            # when no tape is playing
            if vars(swap.owner).get(swap.name) is not replacement:
                continue
            if original is _INHERITED:
                delattr(swap.owner, swap.name)
            else:
                setattr(swap.owner, swap.name, original)
        while _closers:
            _closers.pop()()


def on_restore(closer: Callable[[], None]) -> None:
    """Call ``closer`` once when the seams are swapped out, for a seam that left something in live objects."""
    with _lock:
        _closers.append(closer)


def _installer(seam: str, current: Current) -> Callable[[ModuleType], None]:
    def install_into(module: ModuleType) -> None:
        swaps: Sequence[Swap] = import_module(f"{__name__}.{seam}").swaps(module, current)
        with _lock:
            for swap in swaps:
                original = vars(swap.owner).get(swap.name, _INHERITED)
                replacement = swap.make(getattr(swap.owner, swap.name) if original is _INHERITED else original)
                setattr(swap.owner, swap.name, replacement)
                _swapped.append((swap, original, replacement))

    return install_into
