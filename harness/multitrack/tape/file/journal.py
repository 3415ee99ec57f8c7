"""The journal of a cassette: recordings of finished tests that have not been written to the cassette yet.

A cassette can only be written as a whole. If hundreds of tests recorded into one cassette, most of the time would be
spent on writing it. Therefore, a recording for a large cassette is appended to its journal, a file next to the
cassette. The recordings in the journal are merged into the cassette when the journal is full, when anything reads the
cassette, and at the end of the run. The journal is then removed.

All functions except ``exists`` require the cassette's lock.
"""

from __future__ import annotations

import functools
import hashlib
import operator
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from multitrack.tape.file import paths

_SMALLEST_CASSETTE = 100_000
"""The size in bytes from which a cassette has a journal. Writing a smaller one takes a fraction of a millisecond."""
_LARGEST_SHARE = 1 / 16
"""The maximum size of a journal, as a share of its cassette."""

# the other comments in a journal begin with the number of an interaction, or are indented
_HEAD = re.compile(
    rb"^# journal (?:entry: (?P<size>\d+) bytes, crc32 (?P<crc>[0-9a-f]{8})|merged into: (?P<digest>[0-9a-f]{64}))\n",
    re.MULTILINE,
)
# never follow a link or wait for the reader of a pipe that somebody else has created
_FLAGS = ("O_WRONLY", "O_APPEND", "O_CREAT", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
_APPENDED = functools.reduce(operator.or_, (getattr(os, name, 0) for name in _FLAGS))


def exists(path: Path) -> bool:
    """Return whether the cassette at ``path`` has a journal."""
    return os.path.isfile(paths.journal_path(path))


def is_used(path: Path, size: int) -> bool:
    """Return whether a recording with ``size`` bytes is appended to the journal of the cassette at ``path``.

    The cassette must be large, and the recording must be small in comparison. A large recording would fill the journal,
    and need more memory than writing the cassette does.
    """
    cassette_size = _find_size(path)
    return cassette_size >= _SMALLEST_CASSETTE and size <= cassette_size * _LARGEST_SHARE


def is_full(path: Path) -> bool:
    """Return whether the journal of the cassette at ``path`` has grown so much that the cassette should be written."""
    return _find_size(paths.journal_path(path)) > _find_size(path) * _LARGEST_SHARE


def append(path: Path, entry: bytes) -> None:
    """Append ``entry`` to the journal of the cassette at ``path``, and wait until it is stored on the disk.

    Raises:
        OSError: The journal cannot be written.
    """
    _write(path, b"# journal entry: %d bytes, crc32 %08x\n" % (len(entry), zlib.crc32(entry)) + entry)


def read_entries(path: Path, cassette: bytes | None) -> list[bytes]:
    """Return the entries in the journal of the cassette at ``path``, in the order in which they were appended.

    Entries that ``cassette`` already contains are left out. An incomplete entry is left out, too, because the process
    was killed while it wrote the entry.

    Args:
        path: The path of the cassette.
        cassette: The content of the cassette. None if it does not exist.
    """
    try:
        content = Path(paths.journal_path(path)).read_bytes()
    except FileNotFoundError:
        return []
    entries: list[bytes] = []
    start = 0
    while (head := _HEAD.search(content, start)) is not None:
        start = head.end()
        if head["digest"] is not None:
            if cassette is not None and hashlib.sha256(cassette).hexdigest().encode() == head["digest"]:
                entries.clear()
            continue
        entry = content[start : start + int(head["size"])]
        if len(entry) == int(head["size"]) and zlib.crc32(entry) == int(head["crc"], 16):
            start += len(entry)
            entries.append(entry)
    return entries


def mark_merged(path: Path, cassette: Iterable[bytes | bytearray]) -> None:
    """Mark the entries in the journal of the cassette at ``path`` as merged, before the merged cassette is written.

    If the process is killed after it has written the cassette, and before it has removed the journal, the entries are
    not merged again. Merging them again could change the order of the interactions.

    Args:
        path: The path of the cassette.
        cassette: The content that is about to be written, in parts.

    Raises:
        OSError: The journal cannot be written.
    """
    digest = hashlib.sha256()
    for part in cassette:
        digest.update(part)
    _write(path, b"# journal merged into: %s\n" % digest.hexdigest().encode())


def _write(path: Path, text: bytes) -> None:
    with open(os.open(paths.journal_path(path), _APPENDED, 0o666), "ab") as file:
        # a line break, because a killed process may have left a part of a line
        file.write(b"\n" + text)
        file.flush()
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Remove the journal of the cassette at ``path``, if there is one."""
    Path(paths.journal_path(path)).unlink(missing_ok=True)


def _find_size(path: Path | str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
