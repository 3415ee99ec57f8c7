"""Stand-ins for credentials, so that replay needs none: one file per family of SDKs, each a list of swaps.

A stand-in takes the place of a credential only where the SDK's own look-up fails, and only while a `stand_in`
block is open; the environment is never written, since a key in it would switch on tests that are skipped
without one. A client made with a stand-in may live on: while a tape replays it works as any other, and at any
other time its first request raises the error that the SDK raises for the missing credential.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from multitrack.tape import active
from multitrack.tape.imports import ImportWatch
from multitrack.tape.patching import PatchSet

NOTE = (
    "multitrack: this client was made without credentials, with a stand-in that serves replay only. "
    "Play a cassette (@pytest.mark.cassette), or set the credential."
)
"""Added to the SDK's error, which speaks of a constructor and now comes from a request."""

# The module whose import a family waits for, and the file here that holds `patches(module)`.
FAMILIES: tuple[tuple[str, str], ...] = (
    ("openai", "openai"),
    ("google.auth", "google"),
    ("google.api_core.grpc_helpers", "google"),
    ("google.api_core.grpc_helpers_async", "google"),
    ("google.genai._api_client", "google_genai"),
)

_watch = ImportWatch()
_lock = threading.RLock()
_blocks: list[_Block] = []
_patches = PatchSet()
_suspended: ContextVar[bool] = ContextVar("multitrack_credentials_suspended", default=False)


class _Block:
    """An open `stand_in`; equal to itself only, since blocks of two threads close in any order."""

    def __init__(self, live: bool) -> None:
        self.live = live


@contextmanager
def stand_in(*, live: bool = False) -> Iterator[None]:
    """For the time of the block, a client that finds no credential is made with a stand-in.

    To be open while test modules are imported and while a cassette test replays. ``live`` says that requests
    of clients made in the block are meant to leave (``--record``, ``--live``): then the metadata server of a
    machine at Google is asked before it is stood in for, which costs three seconds where there is none, and
    without which a client made there would have the stand-in's project. Blocks nest and may close in any
    order; they hold for all threads.
    """
    block = _Block(live)
    with _lock:
        _blocks.append(block)
        if len(_blocks) == 1:
            for trigger, family in FAMILIES:
                _watch.when_imported(trigger, _installer(family))
    try:
        yield
    finally:
        with _lock:
            _blocks.remove(block)
            if not _blocks:
                _restore()


def in_force() -> bool:
    """Whether a missing credential is stood in for, here and now."""
    return bool(_blocks) and not _suspended.get()


def may_go_live() -> bool:
    """Whether requests of clients made here and now are meant to leave."""
    return any(block.live for block in _blocks)


def replaying() -> bool:
    """Whether the next request is answered by a tape and cannot leave, so that a stand-in will do."""
    return getattr(active.current_tape(), "mode", None) == "replay"


def raise_missing(missing: Exception) -> NoReturn:
    """Raise what the SDK said of a missing credential, at a request that the stand-in cannot serve."""
    # a copy, since one error raised twice shows the tracebacks of both
    error = copy.copy(missing)
    error.add_note(NOTE)
    raise error


@contextmanager
def suspended() -> Iterator[None]:
    """For the time of the block, and in this context only, no stand-in is made: an SDK looks for itself."""
    token = _suspended.set(True)
    try:
        yield
    finally:
        _suspended.reset(token)


def _installer(family: str) -> Callable[[ModuleType], None]:
    def install_into(module: ModuleType) -> None:
        _patches.apply(import_module(f"{__name__}.{family}").patches(module))

    return install_into


def _restore() -> None:
    _watch.close()
    _patches.undo()
