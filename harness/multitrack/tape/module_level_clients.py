"""Prepare the import of conftests and test modules, which can create clients at module level.

The plugin uses this module at the start of every run, so the module imports almost nothing. The stand-ins for an SDK
are imported only when that SDK is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType

from multitrack.tape.imports import ImportWatch

_CREDENTIALS = "multitrack.tape.credentials"
_SUFFIX = "_credentials"


@cache
def find_credential_modules() -> Mapping[str, str]:
    """Return a dictionary from the top-level package of an SDK or framework to the module with its stand-in
    credentials.
    """
    root = sys.modules["multitrack"].__path__[0]
    return {
        name.removesuffix(f"{_SUFFIX}.py"): f"multitrack.{package}.{name.removesuffix('.py')}"
        for package in ("clients", "tape.credentials")
        for name in sorted(_list_files(os.path.join(root, *package.split("."))))
        if name.endswith(f"{_SUFFIX}.py")
    }


def _list_files(folder: str) -> list[str]:
    """Return the names of the modules in ``folder``, which may be in a zip file."""
    try:
        return os.listdir(folder)
    except NotADirectoryError:
        from pkgutil import iter_modules  # imported only here, because it takes time

        return [f"{module.name}.py" for module in iter_modules([folder])]


@contextmanager
def preparing_imports(is_live: Callable[[], bool]) -> Iterator[None]:
    """Within the block, allow imported modules to create clients without credentials.

    In a replay, these clients also load their certificate authorities lazily (see ``ca_bundles``).

    Args:
        is_live: Returns whether the run can send requests to a provider. Called when an SDK or ``ssl`` is imported.
    """
    watch = ImportWatch()
    with ExitStack() as stack:
        stack.callback(watch.close)

        def provide_stand_ins(credentials: ModuleType) -> None:
            stack.enter_context(credentials.stand_in(live=is_live()))

        def defer_bundles(_: ModuleType) -> None:
            if not is_live():
                from multitrack.tape import ca_bundles

                stack.enter_context(ca_bundles.deferring())

        watch.when_imported("ssl", defer_bundles)
        # a project that registers stand-ins for its own SDK also imports this module
        watch.when_imported(_CREDENTIALS, provide_stand_ins)
        packages = find_credential_modules()
        if _has_imported(packages):
            _import_credentials()
        else:
            for package in packages:
                watch.before_import(package, _import_credentials)
        yield


def _has_imported(packages: Collection[str]) -> bool:
    """Return whether a module in one of ``packages`` was imported."""
    # Python may import a namespace package such as ``google.cloud`` when it starts; such a package has no file
    return any(
        name.partition(".")[0] in packages and getattr(module, "__file__", None) is not None
        for name, module in list(sys.modules.items())
    )


def _import_credentials() -> None:
    import_module(_CREDENTIALS)
