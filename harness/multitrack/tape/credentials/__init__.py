"""Stand-in credentials for replay, which then needs no real ones.

Each SDK that we have a client for registers its patches in ``multitrack/clients/<package>_credentials.py``, and each
framework in this folder. ``<package>`` is the top-level package of the SDK or framework: importing that package makes
the plugin import all these files (`module_level_clients`).

A stand-in is used only if the SDK finds no credential itself, and only while a `stand_in` block is open. The
environment is never changed, because a key there would enable tests that are skipped if there is no key. A client that
was created with a stand-in may outlive the block. It works while a cassette replays. At any other time, its first
request raises the SDK's own error for the missing credential.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from multitrack.tape import active, run_context
from multitrack.tape.imports import ImportWatch
from multitrack.tape.module_level_clients import find_credential_modules
from multitrack.tape.patching import Patch, PatchSet

NOTE = (
    "multitrack: this client was created without credentials, with a stand-in that only works during replay. "
    "Replay a cassette (@pytest.mark.cassette), or set the credential."
)
"""Added to the SDK's error, because its text describes a constructor although a request raises it."""

PatchFactory = Callable[[ModuleType], list[Patch]]
"""Returns the patches for a module that has been imported."""

_watch = ImportWatch()
_lock = threading.RLock()
_blocks: list[_StandInBlock] = []
_is_watching = False
_patches = PatchSet()
_registered: list[tuple[str, PatchFactory]] = []
_suspended: ContextVar[bool] = ContextVar("multitrack_credentials_suspended", default=False)


def register(trigger: str, patches: PatchFactory) -> None:
    """Let clients of an SDK be constructed without credentials while a cassette replays.

    Args:
        trigger: The module whose import triggers the patches.
        patches: Returns the patches. It is called with the module, and may import what the patches need. The patched
            functions should use a stand-in only while `is_active` returns True.
    """
    with _lock:
        _registered.append((trigger, patches))
        if _is_watching:
            _watch.when_imported(trigger, _installer(patches))


class _StandInBlock:
    """An open `stand_in` block. Compared by identity, because the blocks of two threads close in any order."""

    def __init__(self, live: bool) -> None:
        self.live = live


@contextmanager
def stand_in(*, live: bool = False, keep_patches: bool = False) -> Iterator[None]:
    """Create clients with a stand-in if they find no credential.

    Open this block while test modules are imported and while the cassette of a test replays. Blocks nest, may close in
    any order, and apply to all threads.

    Args:
        live: Whether requests of clients created in the block may be sent (``--record``, ``--live``). If true, Google's
            metadata server is asked before the stand-in is used: a client on a Google Cloud machine then gets the
            project of that machine. Asking takes three seconds if there is no such server. Default False.
        keep_patches: Whether to leave the patches applied after the block, until a test without a tape begins. They do
            nothing while no block is open. Default False.
    """
    block = _StandInBlock(live)
    _register_all()
    with _lock:
        _blocks.append(block)
        if not _is_watching:
            _watch_imports()
    run_context.current_run().add_patch_update(_remove_unused_patches)
    try:
        yield
    finally:
        with _lock:
            _blocks.remove(block)
        if not keep_patches:
            _remove_unused_patches()


def is_active() -> bool:
    """Return whether a client created now, in this context, gets a stand-in for a missing credential."""
    return bool(_blocks) and not _suspended.get()


def may_go_live() -> bool:
    """Return whether requests of clients created now may be sent."""
    return any(block.live for block in _blocks)


def is_replaying() -> bool:
    """Return whether a cassette answers the next request. A stand-in is then good enough."""
    return getattr(active.current_tape(), "mode", None) == "replay"


def raise_missing(missing: Exception) -> NoReturn:
    """Raise the SDK's error for a missing credential, because a stand-in is not enough for the current request."""
    # a copy, because an error that is raised twice shows both tracebacks
    error = copy.copy(missing)
    error.add_note(NOTE)
    raise error


@contextmanager
def suspend() -> Iterator[None]:
    """Disable stand-ins inside the block, in this context only, so that an SDK looks for real credentials."""
    token = _suspended.set(True)
    try:
        yield
    finally:
        _suspended.reset(token)


@cache
def _register_all() -> None:
    for name in find_credential_modules().values():
        import_module(name)


def _watch_imports() -> None:
    global _is_watching
    _is_watching = True
    for trigger, patches in _registered:
        _watch.when_imported(trigger, _installer(patches))


def _installer(patches: PatchFactory) -> Callable[[ModuleType], None]:
    def install_into(module: ModuleType) -> None:
        _patches.apply(patches(module))

    return install_into


def _remove_unused_patches() -> None:
    global _is_watching
    with _lock:
        if not _blocks:
            _watch.close()
            _patches.undo()
            _is_watching = False
