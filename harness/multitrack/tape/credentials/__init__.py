"""Stand-in credentials, so that a replay needs no real credentials.

To use a stand-in, an SDK or a framework is patched. The patches for an SDK are registered in
``multitrack/clients/<package>_credentials.py``, and those for a framework in ``<package>_credentials.py`` in this
folder. When the package is imported, the plugin imports these files (``module_level_clients``).

A stand-in is used if a ``stand_in`` block is open and the SDK finds no real credential. Stand-ins are never added to
the environment, because some tests are skipped only if they find no key there.

A client that was created with a stand-in can outlive the block. The client works while a cassette is being replayed.
At any other time, its first request raises the SDK's own error for the missing credential.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import NoReturn

from multitrack.tape import active
from multitrack.tape.block_patches import BlockPatches, PatchFactory
from multitrack.tape.module_level_clients import find_credential_modules

NOTE = (
    "multitrack: this client was created without credentials and has stand-in credentials, which only work during "
    "replay. "
    "Replay a cassette (@pytest.mark.cassette), or set the credential."
)
"""The note added to the SDK's error, whose text describes a constructor although a request raised it."""

_blocks: BlockPatches[_StandInBlock] = BlockPatches()
_suspended: ContextVar[bool] = ContextVar("multitrack_credentials_suspended", default=False)


def register(trigger: str, patches: PatchFactory) -> None:
    """Register patches that make an SDK's clients work without credentials while a cassette is being replayed.

    Args:
        trigger: The module whose import triggers the patches.
        patches: A function that returns the patches. It is called with the module, and can import what the patches
            need. The patched functions should use a stand-in only while ``is_active`` returns True.
    """
    _blocks.register(trigger, patches)


class _StandInBlock:
    """An open ``stand_in`` block."""

    def __init__(self, live: bool) -> None:
        self.live = live


@contextmanager
def stand_in(*, live: bool = False, keep_patches: bool = False) -> Iterator[None]:
    """Within the block, create clients with a stand-in credential if they find no real one.

    Open this block while test modules are imported and while a test's cassette is being replayed. Blocks can be
    nested, can close in any order, and apply to all threads.

    Args:
        live: Whether clients that are created in the block can send requests to the network (``--record``,
            ``--live``). If true, Google's metadata server is asked before the stand-in is used: a client on a Google
            Cloud machine then gets that machine's project. Asking takes three seconds if there is no such server.
            Default False.
        keep_patches: Whether to leave the patches applied after the block, until a test without a tape begins.
            Outside a block, the patches have no effect. Default False.
    """
    _register_all()
    with _blocks.open_block(_StandInBlock(live), keep_patches=keep_patches):
        yield


def is_active() -> bool:
    """Return whether a client created now, in this context, gets a stand-in for a missing credential."""
    return bool(_blocks.blocks) and not _suspended.get()


def may_go_live() -> bool:
    """Return whether a client that is created now is allowed to send requests to the network."""
    return any(block.live for block in _blocks.blocks)


def is_replaying() -> bool:
    """Return whether a cassette will answer the next request, so that a stand-in credential is enough."""
    return getattr(active.current_tape(), "mode", None) == "replay"


def raise_missing(missing: Exception) -> NoReturn:
    """Raise the SDK's error for a missing credential, because a stand-in credential must not be sent."""
    # a copy, because an error that is raised twice shows both tracebacks
    error = copy.copy(missing)
    error.add_note(NOTE)
    raise error


@contextmanager
def suspend() -> Iterator[None]:
    """Within the block, disable stand-ins in the current context, so that an SDK looks for real credentials."""
    token = _suspended.set(True)
    try:
        yield
    finally:
        _suspended.reset(token)


@cache
def _register_all() -> None:
    for name in find_credential_modules().values():
        import_module(name)
