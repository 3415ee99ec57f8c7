"""Load the certificates of certificate authorities (CAs) lazily while a cassette is being replayed.

When a client is created, it loads the authorities that it trusts: ``OpenAI()`` spends 20 of its 24 ms on this. A
replay never connects, so it needs no authorities. While a ``deferring`` block is open, an SSL context for clients
therefore does not load the file. It only remembers which file to load, and loads it before its first handshake, or
before its certificates are read. By then, the block may have ended.

A context trusts the same authorities as without this module:

- The first load of a file in a process is never deferred, so a missing or damaged file raises an error immediately.
  Later loads are deferred if the file has not changed since the first one.
- OpenSSL's default file is always deferred, because OpenSSL ignores errors in this file.
- If a file changes or disappears before its deferred load, the earlier content is loaded.
- The variables ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are read at the usual time.
- Each context loads its own certificates. Contexts share nothing.
- Loading is deferred only for a plain ``ssl.SSLContext`` for clients. Contexts for servers, and subclasses such as
  truststore's or a project's own, load immediately.

One use is not supported: if a deferred context is assigned to the ``context`` of a socket that is already wrapped,
the context has no authorities, and the handshake fails. Python documents that attribute for servers.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from multitrack.tape.block_patches import BlockPatches
from multitrack.tape.patching import Patch

if TYPE_CHECKING:
    import ssl

    DeferredLoad = Callable[[ssl.SSLContext], None]
    """Loads certificates into a context. The context is an argument, because the function must not keep it alive."""

Load = Callable[..., None]

# the content of these files stays in memory; a process rarely uses more than two
_MAX_BUNDLES = 8

_blocks: BlockPatches[object] = BlockPatches()
_lock = threading.RLock()
_bundles: dict[tuple[str, bool], _Bundle] = {}
"""The bundles, by path and by whether the file was loaded as OpenSSL's default."""
_deferred: WeakKeyDictionary[ssl.SSLContext, list[DeferredLoad]] = WeakKeyDictionary()


class _Bundle(NamedTuple):
    """The content of a certificate file, and the version of the file (see ``_read_version``)."""

    version: tuple[int, ...]
    content: bytes


@contextmanager
def deferring(*, keep_patches: bool = False) -> Iterator[None]:
    """Within the block, an SSL context loads its certificate authorities only when it needs them.

    Args:
        keep_patches: Whether to leave ``ssl`` patched after the block, until a test without a tape begins. Outside a
            block, the patches have no effect.
    """
    with _blocks.open_block(object(), keep_patches=keep_patches):
        yield


def _patches(module: ModuleType) -> list[Patch]:
    del module
    owner = _plain_class()
    return [
        Patch(owner, "load_verify_locations", _defer_locations),
        Patch(owner, "set_default_verify_paths", _defer_default_paths),
    ]


_blocks.register("ssl", _patches)


def _defer_locations(original: Load) -> Load:
    @wraps(original)
    def load_verify_locations(self: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        if type(cafile) is not str or not isinstance(capath, str | None) or cadata is not None or not _may_defer(self):
            return original(self, cafile, capath, cadata)
        path, folder = _make_absolute(cafile), capath and _make_absolute(capath)
        if (bundle := _find_bundle(path)) is None:
            original(self, cafile, capath)
            _remember(path)
            return None
        return _defer(self, lambda context: _load_file(original, context, path, bundle, folder))

    return load_verify_locations


def _defer_default_paths(original: Load) -> Load:
    @wraps(original)
    def set_default_verify_paths(self: ssl.SSLContext) -> None:
        import ssl

        if not _may_defer(self):
            return original(self)
        defaults = ssl.get_default_verify_paths()
        path = _make_absolute(os.environ.get(defaults.openssl_cafile_env, defaults.openssl_cafile))
        # may be several folders, separated as in PATH
        folders = os.environ.get(defaults.openssl_capath_env, defaults.openssl_capath)
        # also deferred the first time, because OpenSSL ignores errors in the default file
        if (bundle := _find_bundle(path, is_default=True) or _remember(path, is_default=True)) is None:
            return original(self)
        return _defer(self, lambda context: _load_defaults(context, path, bundle, folders))

    return set_default_verify_paths


def _make_absolute(path: str) -> str:
    # blockbuster forbids `os.path.abspath` in an event loop, but clients are also created there
    return path if os.path.isabs(path) else os.path.abspath(path)


def _may_defer(context: ssl.SSLContext) -> bool:
    import ssl

    is_plain = type(context) is _plain_class() or type(context) is _deferred_class()
    return bool(_blocks.blocks) and is_plain and context.protocol == ssl.PROTOCOL_TLS_CLIENT


def _find_bundle(path: str, *, is_default: bool = False) -> _Bundle | None:
    """Return the remembered bundle at ``path`` if the file has not changed since."""
    bundle = _bundles.get((path, is_default))
    return bundle if bundle is not None and bundle.version == _read_version(path) else None


def _remember(path: str, *, is_default: bool = False) -> _Bundle | None:
    """Store the content of the file at ``path``, and return it. ``None`` if the file cannot be read.

    With ``is_default``, the file is loaded as OpenSSL's default file, whose errors OpenSSL ignores. Its content can
    be invalid, so it is used only for later loads of the default file. A load by path does not use this content,
    because it must raise an error for an invalid file.
    """
    if (version := _read_version(path)) is None:
        return None
    with suppress(OSError), open(path, "rb") as file:
        bundle = _Bundle(version, file.read())
        if version != _read_version(path):
            return None
        with _lock:
            _bundles.pop((path, is_default), None)
            _bundles[path, is_default] = bundle
            while len(_bundles) > _MAX_BUNDLES:
                del _bundles[next(iter(_bundles))]
        return bundle
    return None


def _read_version(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except Exception:  # a null character in the path; or blockbuster, which forbids file access in an event loop
        return None
    if not stat.S_ISREG(found.st_mode):  # a pipe can be read only once
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev


def _load_file(load: Load, context: ssl.SSLContext, path: str, bundle: _Bundle, folder: str | None) -> None:
    if _read_version(path) == bundle.version:
        load(context, path, folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        copy = os.path.join(temporary, "bundle.pem")
        with open(copy, "wb") as file:
            file.write(bundle.content)
        load(context, copy, folder)


def _load_defaults(context: ssl.SSLContext, path: str, bundle: _Bundle, folders: str) -> None:
    # call the C base class's method, because other libraries may have patched the method of the class itself
    load: Load = super(_plain_class(), context).load_verify_locations
    if folders:
        load(None, folders)
    # like OpenSSL, ignore a damaged default file
    with suppress(OSError):
        _load_file(lambda _, *locations: load(*locations), context, path, bundle, None)


def _defer(context: ssl.SSLContext, load: DeferredLoad) -> None:
    with _lock:
        _deferred.setdefault(context, []).append(load)
        context.__class__ = _deferred_class()


def _load_deferred(context: ssl.SSLContext) -> None:
    """Load everything that ``context`` has deferred. After an error, the next call tries again."""
    with _lock:
        loads = _deferred.get(context, [])
        while loads:
            loads[0](context)
            del loads[0]
        _deferred.pop(context, None)
        context.__class__ = _plain_class()


@cache
def _plain_class() -> type[ssl.SSLContext]:
    import ssl

    # truststore may have replaced the class with a subclass
    return next(cls for cls in ssl.SSLContext.__mro__ if cls.__module__ == "ssl")


@cache
def _deferred_class() -> type[ssl.SSLContext]:
    """Return the class for SSL contexts with deferred loads. Methods that use the certificates load them first."""
    plain: Any = _plain_class()

    def load_first(name: str) -> Callable[..., Any]:
        method = getattr(plain, name)

        @wraps(method)
        def load_and_call(self: ssl.SSLContext, *args: Any, **kwargs: Any) -> Any:
            _load_deferred(self)
            return getattr(self, name)(*args, **kwargs)

        return load_and_call

    used = ("_wrap_socket", "_wrap_bio", "get_ca_certs", "cert_store_stats")
    names = {"__module__": plain.__module__, "__qualname__": plain.__qualname__, "__slots__": ()}
    deferred: type[ssl.SSLContext] = type(
        plain.__name__, (plain,), {**names, **{name: load_first(name) for name in used}}
    )
    return deferred


def _replace_lock_after_fork() -> None:
    global _lock
    # in the parent process, a thread may have held the lock; that thread does not exist in the new process
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_lock_after_fork)
