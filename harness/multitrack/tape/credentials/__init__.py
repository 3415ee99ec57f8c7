"""Stand-in credentials, so that replay needs no real ones. One file for each family of SDKs lists its patches.

A stand-in is used only if the SDK finds no credential itself, and only while a `stand_in` block is open. The
environment is never written, because a key there would enable tests that are skipped without one. A client that was
created with a stand-in may outlive the block. It works while a cassette replays. At any other time, its first request
raises the SDK's own error for the missing credential.
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
    "multitrack: this client was created without credentials, with a stand-in that only works during replay. "
    "Replay a cassette (@pytest.mark.cassette), or set the credential."
)
"""Added to the SDK's error, which describes a constructor although now a request raises it."""

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

# A module that triggers the patches of a family when it is imported, and the file here whose `patches(module)`
# returns them.
FAMILIES: tuple[tuple[str, str], ...] = (
    ("openai", "openai_clients"),
    ("google.auth", "google_default"),
    ("google.auth.transport.grpc", "google_default"),
    ("google.api_core.grpc_helpers", "google_default"),
    ("google.api_core.grpc_helpers_async", "google_default"),
    ("google.genai._api_client", "genai_clients"),
    ("langchain_openai.chat_models.base", "langchain_clients"),
    ("langchain_openai.embeddings.base", "langchain_clients"),
    ("litellm.secret_managers.main", "litellm_keys"),
    *((f"pydantic_ai.providers.{name}", "pydantic_ai_providers") for name in _PYDANTIC_AI_PROVIDERS),
)

_watch = ImportWatch()
_lock = threading.RLock()
_blocks: list[_StandInBlock] = []
_patches = PatchSet()
_suspended: ContextVar[bool] = ContextVar("multitrack_credentials_suspended", default=False)


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
            metadata server is asked before the stand-in is used, so that a client on a Google Cloud machine gets the
            project of that machine. Asking takes three seconds if there is no such server. Default False.
    """
    block = _StandInBlock(live)
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


def is_active() -> bool:
    """Return whether a client created now, in this context, gets a stand-in for a missing credential."""
    return bool(_blocks) and not _suspended.get()


def may_go_live() -> bool:
    """Return whether requests of clients created now may be sent."""
    return any(block.live for block in _blocks)


def is_replaying() -> bool:
    """Return whether a cassette answers the next request, so that a stand-in is good enough."""
    return getattr(active.current_tape(), "mode", None) == "replay"


def raise_missing(missing: Exception) -> NoReturn:
    """Raise the SDK's error for a missing credential, when a request is made that a stand-in cannot serve."""
    # a copy, because an error that is raised twice shows both tracebacks
    error = copy.copy(missing)
    error.add_note(NOTE)
    raise error


@contextmanager
def suspend() -> Iterator[None]:
    """Use no stand-ins inside the block, in this context only, so that an SDK looks for real credentials."""
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
