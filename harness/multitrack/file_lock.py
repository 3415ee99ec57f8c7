"""Locks between processes that write the same file.

The lock for a file is another file, in the system's temporary folder. The lock file is removed when the lock is
released. On Windows, filelock implements the locks. On other systems, filelock is not used, because it would leave
its lock files behind.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import time

_DAY = 24 * 60 * 60
_MOST_REMOVED = 1000


def lock_name(path: Path) -> str:
    """Return the name of the lock for the file at ``path``."""
    return hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()[:32]


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lock ``name`` within the block. If another process or thread holds the lock, wait for it first.

    ``lock_name`` returns the name of the lock for a file.
    """
    with _hold(_find_lock(name), wait=True):
        yield


@contextmanager
def try_lock(name: str) -> Iterator[bool]:
    """Try to hold the lock ``name`` within the block. Do not wait if another process or thread holds it.

    Yields True if the block holds the lock. ``lock_name`` returns the name of the lock for a file.
    """
    with _hold(_find_lock(name), wait=False) as is_held:
        yield is_held


def remove_abandoned_locks() -> None:
    """Remove the lock files that killed processes left behind.

    Earlier versions of Multitrack never removed their lock files. Remove these files, too.
    """
    with suppress(OSError), os.scandir(_find_lock("").parent) as entries:
        # earlier versions left a lock for each cassette, so there may be many
        for entry in islice(entries, _MOST_REMOVED):
            # a process running an earlier version may be waiting for a recent lock, and would not notice its removal
            if entry.stat(follow_symlinks=False).st_mtime < time() - _DAY:
                with suppress(OSError), _hold(Path(entry), wait=False):
                    pass  # releasing a lock removes its file


def _find_lock(name: str) -> Path:
    # Not next to the locked file, where it would appear in version control.
    # One folder per user, because a user may lack the permission to write to another user's folder.
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"multitrack-locks-{user}" / f"{name}.lock"


if sys.platform == "win32":
    from filelock import FileLock, Timeout

    @contextmanager
    def _hold(path: Path, *, wait: bool) -> Iterator[bool]:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        held = FileLock(path)
        try:
            held.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            held.release()

else:
    import fcntl

    @contextmanager
    def _hold(path: Path, *, wait: bool) -> Iterator[bool]:
        """Hold the lock at ``path`` within the block, and yield True.

        If ``wait`` is False and another process or thread holds the lock, yield False instead.
        """
        descriptor = _acquire(path, wait=wait)
        if descriptor is None:
            yield False
            return
        try:
            yield True
        finally:
            # The file is removed before the lock is released. A waiting process notices this, and creates a new file.
            with suppress(OSError):
                path.unlink()
            # closing alone does not release the lock while a forked process has the file open
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
            with suppress(OSError):  # the folder contains another lock
                path.parent.rmdir()

    def _acquire(path: Path, *, wait: bool) -> int | None:
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except FileNotFoundError:
                # with `exist_ok`, mkdir raises this error, too, if the folder is removed at this moment
                with suppress(FileExistsError):
                    path.parent.mkdir(mode=0o700)
                continue
            is_current = False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                is_current = _is_at(path, descriptor)
            except BlockingIOError:
                return None
            finally:
                if not is_current:
                    os.close(descriptor)
            if is_current:
                return descriptor

    def _is_at(path: Path, descriptor: int) -> bool:
        """Return whether ``descriptor`` still refers to the file at ``path``. Somebody may have replaced the file."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
        except FileNotFoundError:
            return False
