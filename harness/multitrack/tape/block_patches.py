"""Apply patches to libraries only while a block is open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Generic, TypeVar

from multitrack.tape import run_context
from multitrack.tape.imports import ImportWatch
from multitrack.tape.patching import Patch, PatchSet

PatchFactory = Callable[[ModuleType], list[Patch]]
"""Returns the patches for a module that has been imported."""

B = TypeVar("B")


class BlockPatches(Generic[B]):
    """Patches that are applied while at least one block is open.

    If a library is imported within a block, it is patched when it is imported.

    Blocks can be nested, can close in any order, and apply to all threads.

    Attributes:
        blocks: The arguments of ``open_block`` for the blocks that are still open, in order.
    """

    def __init__(self) -> None:
        self.blocks: list[B] = []
        self._registered: list[tuple[str, PatchFactory]] = []
        self._is_watching = False
        self._watch = ImportWatch()
        self._patches = PatchSet()
        self._lock = threading.RLock()

    def register(self, trigger: str, patches: PatchFactory) -> None:
        """When the ``trigger`` module is imported, call ``patches`` with the module, and apply the returned patches."""
        with self._lock:
            self._registered.append((trigger, patches))
            if self._is_watching:
                self._watch_import(trigger, patches)

    @contextmanager
    def open_block(self, block: B, *, keep_patches: bool) -> Iterator[None]:
        """Open a block.

        Args:
            block: An object that identifies this block. Blocks are compared by identity.
            keep_patches: Whether to leave the patches applied after the block, until a test without a tape begins.
                The patches must have no effect while no block is open.
        """
        with self._lock:
            self.blocks.append(block)
            if not self._is_watching:
                self._is_watching = True
                for trigger, patches in self._registered:
                    self._watch_import(trigger, patches)
        for run in run_context.open_runs()[-1:]:
            run.add_patch_update(self._remove_unused)
        try:
            yield
        finally:
            with self._lock:
                self.blocks[:] = [other for other in self.blocks if other is not block]
            if not keep_patches:
                self._remove_unused()

    def _watch_import(self, trigger: str, patches: PatchFactory) -> None:
        self._watch.when_imported(trigger, lambda module: self._patches.apply(patches(module)))

    def _remove_unused(self) -> None:
        with self._lock:
            if not self.blocks:
                self._watch.close()
                self._patches.undo()
                self._is_watching = False
