"""Replace attributes of other libraries' classes and modules, and restore them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

_INHERITED = object()


class Patch(NamedTuple):
    """A patch that replaces the ``name`` attribute of ``owner`` with ``wrap(original)``.

    The attribute can be inherited from a base class of ``owner``.
    """

    owner: Any
    name: str
    wrap: Callable[[Any], Any]


class PatchSet:
    """The patches that are currently applied. A ``PatchSet`` is thread-safe."""

    def __init__(self) -> None:
        self._applied: list[tuple[Patch, Any, Any]] = []
        self._expected: list[tuple[Mapping[str, Any], str, Any]] = []
        self._lock = threading.RLock()

    def apply(self, patches: Iterable[Patch]) -> None:
        """Apply ``patches`` in order."""
        with self._lock:
            for patch in patches:
                original = vars(patch.owner).get(patch.name, _INHERITED)
                replacement = patch.wrap(getattr(patch.owner, patch.name) if original is _INHERITED else original)
                setattr(patch.owner, patch.name, replacement)
                self._applied.append((patch, original, replacement))
                self._expected.append((vars(patch.owner), patch.name, replacement))

    def are_outermost(self) -> bool:
        """Return whether all patches are still in place. Other code may have replaced a patched attribute."""
        with self._lock:
            # runs before each test with a tape, so it makes no function call for each patch
            try:
                for attributes, name, replacement in self._expected:
                    if attributes[name] is not replacement:
                        return False
            except KeyError:
                return False
            return True

    def undo(self) -> None:
        """Undo all patches, in reverse order."""
        with self._lock:
            self._expected.clear()
            while self._applied:
                patch, original, replacement = self._applied.pop()
                # other code has patched our patch: keep its patch, which still calls ours; ours now only calls the
                # original
                if vars(patch.owner).get(patch.name) is not replacement:
                    continue
                if original is _INHERITED:
                    delattr(patch.owner, patch.name)
                else:
                    setattr(patch.owner, patch.name, original)
