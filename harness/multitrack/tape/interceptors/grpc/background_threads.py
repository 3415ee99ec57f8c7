"""Keep gRPC's background threads running while the interceptors are installed.

All channels of a process share these threads. gRPC stops the threads when the last channel is freed, and starts them
again for the next channel. If each test creates a client, stopping and starting the threads takes about as long as a
replayed call.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.interceptors.grpc import callables
from multitrack.tape.patching import Patch

Init = Callable[..., None]


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches that create an additional channel when the code under test creates its first one."""
    del module
    # freed together with the patches
    kept: list[Any] = []

    def wrap(original: Init) -> Init:
        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            if not kept and (tape := current_tape()) is not None and tape.mode == "replay":
                kept.append(callables.create_core_channel())

        return __init__

    if not _can_fork_with_threads():
        return []
    kinds = callables.channels()
    return [Patch(kinds.plain, "__init__", wrap), Patch(kinds.asyncio, "__init__", wrap)]


def _can_fork_with_threads() -> bool:
    """Return whether a forked process can use gRPC although the threads run in this process.

    It can, unless ``GRPC_ENABLE_FORK_SUPPORT`` turns off gRPC's support for forks:
    https://github.com/grpc/grpc/blob/master/doc/fork_support.md
    """
    value = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "true")
    return value.strip().lower() in ("1", "true", "yes", "t", "y")
