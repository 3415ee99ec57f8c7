"""Replace files as a whole, so that a killed process never leaves a half-written file."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import time

from multitrack.file_lock import remove_abandoned_locks, try_lock

_DAY = 24 * 60 * 60
# a cassette consists of many small parts; with the default of 8 KB, writing a shared one takes hundreds of system calls
_BUFFER_SIZE = 1 << 18
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# the first alternative contains the name of a lock; the other two match temporary files without a lock, including those
# of earlier versions
_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{32})\.tmp|\..+\.[0-9a-z_]{8}\.tmp|\..+\.calls\.[0-9a-z_]{8}")

_cleaned: set[Path] = set()


def replace_file(path: Path, content: bytes | Sequence[bytes | bytearray], *, lock_name: str | None = None) -> None:
    """Write ``content`` to ``path``, completely or not at all. Create missing folders.

    If ``path`` is a symbolic link, the link stays, and its target is replaced. An existing file keeps its permissions.

    Args:
        path: The file.
        content: The new content, as a whole or in parts.
        lock_name: The name of the lock that the caller holds. None, the default, if it holds no lock.

    Raises:
        OSError: The file cannot be written.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent)
    # under a lock, the name is the same each time, so the next writer replaces the file of a killed writer
    temporary = path.with_name(f".{path.name[:40]}.{lock_name or secrets.token_hex(4)}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        # do not write through a link that somebody else has created; at first, only the owner can read the file
        with open(os.open(temporary, _NEW_FILE, 0o600), "wb", buffering=_BUFFER_SIZE) as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        # other users of a shared checkout must be able to read it
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_get_umask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed processes left in ``folder``, and the locks of killed processes.

    Does nothing if this process has already cleaned the folder.
    """
    if folder in _cleaned:
        return
    if not _cleaned:
        remove_abandoned_locks()
    _cleaned.add(folder)
    with os.scandir(folder) as entries:
        found = [(Path(entry), match) for entry in entries if (match := _TEMPORARY.fullmatch(entry.name))]
    for path, match in found:
        with suppress(OSError):
            if match[1] is not None:
                # a process that still writes the file holds the lock
                with try_lock(match[1]) as is_abandoned:
                    if is_abandoned:
                        path.unlink()
            elif path.lstat().st_mtime < time() - _DAY:
                path.unlink()


def _get_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
