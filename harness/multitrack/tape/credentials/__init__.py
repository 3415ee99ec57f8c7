"""Stand-in credentials for replay, which then needs no real ones.

Each SDK that we have a client for registers its patches in ``multitrack/clients/<name>_credentials.py``. Each file in
this folder contains the patches for one framework.

A stand-in is used only if the SDK finds no credential itself, and only while a `stand_in` block is open. The
environment is never changed, because a key there would enable tests that are skipped if there is no key. A client that
was created with a stand-in may outlive the block. It works while a cassette replays. At any other time, its first
request raises the SDK's own error for the missing credential.
"""

from __future__ import annotations

import copy
import pkgutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from multitrack.tape import active
from multitrack.tape.imports import ImportWatch
from multitrack.tape.patching import Patch, PatchSet

NOTE = (
    "multitrack: this client was created without credentials, with a stand-in that only works during replay. "
    "Replay a cassette (@pytest.mark.cassette), or set the credential."
)
"""Added to the SDK's error, because its text describes a constructor although a request raises it."""

# The providers whose client is one of OpenAI's or a `google.genai` client.
_PYDANTIC_AI_PROVIDERS = (
    "alibaba",
    "azure",
    "cerebras",
    "crusoe",
    "deepseek",
    "fireworks",
    "google",
    "heroku",
    "meta",
    "moonshotai",
    "nebius",
    "openai",
    "openrouter",
    "ovhcloud",
    "sambanova",
    "together",
    "vercel",
    "zai",
)

# A module of a framework that triggers patches when it is imported, and the file here whose `patches(module)` returns
# them.
_FRAMEWORKS: tuple[tuple[str, str], ...] = (
    ("langchain_openai.chat_models.base", "langchain_clients"),
    ("langchain_openai.embeddings.base", "langchain_clients"),
    ("litellm.secret_managers.main", "litellm_keys"),
    *((f"pydantic_ai.providers.{name}", "pydantic_ai_providers") for name in _PYDANTIC_AI_PROVIDERS),
)

PatchFactory = Callable[[ModuleType], list[Patch]]
"""Returns the patches for a module that has been imported."""

_watch = ImportWatch()
_lock = threading.RLock()
_blocks: list[_StandInBlock] = []
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
        if _blocks:
            _watch.when_imported(trigger, _installer(patches))


class _StandInBlock:
    """An open `stand_in` block. Compared by identity, because the blocks of two threads close in any order."""

    def __init__(self, live: bool) -> None:
        self.live = live


@contextmanager
def stand_in(*, live: bool = False) -> Iterator[None]:
    """Create clients with a stand-in if they find no credential.

    Open this block while test modules are imported and while the cassette of a test replays. Blocks nest, may close in
    any order, and apply to all threads.

    Args:
        live: Whether requests of clients created in the block may be sent (``--record``, ``--live``). If true, Google's
            metadata server is asked before the stand-in is used: a client on a Google Cloud machine then gets the
            project of that machine. Asking takes three seconds if there is no such server. Default False.
    """
    block = _StandInBlock(live)
    _register_all()
    with _lock:
        _blocks.append(block)
        if len(_blocks) == 1:
            for trigger, patches in _registered:
                _watch.when_imported(trigger, _installer(patches))
    try:
        yield
    finally:
        with _lock:
            _blocks.remove(block)
            if not _blocks:
                _restore()


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
    clients = import_module("multitrack.clients")
    for found in pkgutil.iter_modules(clients.__path__):
        if found.name.endswith("_credentials"):
            import_module(f"{clients.__name__}.{found.name}")
    for trigger, name in _FRAMEWORKS:
        register(trigger, partial(_framework_patches, name))


def _framework_patches(name: str, module: ModuleType) -> list[Patch]:
    patches: list[Patch] = import_module(f"{__name__}.{name}").patches(module)
    return patches


def _installer(patches: PatchFactory) -> Callable[[ModuleType], None]:
    def install_into(module: ModuleType) -> None:
        _patches.apply(patches(module))

    return install_into


def _restore() -> None:
    _watch.close()
    _patches.undo()
