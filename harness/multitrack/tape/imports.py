"""Call a function when a module is imported, or immediately if the module is already imported.

This way, interceptors patch a library when the test imports it, and Multitrack never imports a heavy library itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

Callback = Callable[[ModuleType], None]


class ImportWatch(MetaPathFinder):
    """An import hook for ``sys.meta_path`` that calls functions when certain modules are imported."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}
        self._preparations: dict[str, Callable[[], None]] = {}
        self._finding: set[str] = set()

    def when_imported(self, name: str, callback: Callback) -> None:
        """Call ``callback`` with the module ``name`` after its import, or immediately if it is already imported."""
        module = sys.modules.get(name)
        # a mock that replaces the module has no `__spec__`, and nothing to patch; a module still being executed lacks
        # the names to patch, and its callback runs when the import is complete
        if isinstance(module, ModuleType) and not getattr(module.__spec__, "_initializing", False):
            callback(module)
            return
        self._callbacks.setdefault(name, []).append(callback)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def before_import(self, name: str, prepare: Callable[[], None]) -> None:
        """Call ``prepare`` once, before the top-level package ``name`` or a module in it is imported.

        ``prepare`` can itself call ``before_import``.
        """
        self._preparations[name] = prepare
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def close(self) -> None:
        """Forget all callbacks and leave ``sys.meta_path``."""
        self._callbacks.clear()
        self._preparations.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec with a loader that also runs the callbacks. None if there are no callbacks."""
        del path, target
        if fullname in self._finding:
            return None
        # Python may import a namespace package such as ``google`` when it starts
        prepare = self._preparations.pop(fullname.partition(".")[0], None)
        if prepare is not None:
            prepare()
        elif fullname not in self._callbacks:
            return None
        self._finding.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            self._finding.discard(fullname)
        if spec is None or spec.loader is None or fullname not in self._callbacks:
            return spec
        spec.loader = _NotifyingLoader(spec.loader, self._notify)
        return spec

    def _notify(self, module: ModuleType) -> None:
        for callback in self._callbacks.pop(module.__name__, ()):
            callback(module)


class _NotifyingLoader(Loader):
    def __init__(self, loader: Loader, notify: Callback) -> None:
        self._loader = loader
        self._notify = notify

    def __getattr__(self, name: str) -> object:
        # only the real loader has resources, source and the like
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._notify(module)
