"""Replace files as a whole."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, completely or not at all. Create missing folders.

    A link stays a link: the file that it leads to is replaced. An existing file keeps its permissions.

    Raises:
        OSError: The system does not allow it.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp creates the file with mode 0600, which other users of a shared checkout could not read
        Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_get_umask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _get_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
