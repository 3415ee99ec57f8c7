"""A cache that keeps cassettes in memory, because several tests can use the same cassette."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from pathlib import Path

# not the module: a test may replace `time.time` with a mock
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from multitrack.tape.file.recent_items import keep_last

if TYPE_CHECKING:
    from multitrack.tape.file.cassette import Cassette
    from multitrack.tape.file.known_texts import KnownTexts

T = TypeVar("T")

_LARGE = 100_000
_SETTLED = 2
"""The seconds after a change in which the file system can give the next change the same time."""
_MAX_CASSETTES = 4
_MAX_RESULTS = 400


class _ReadCassette(NamedTuple):
    """A cassette, and the properties that identify the file that was read.

    Attributes:
        status: The file's identity, size and times. None if the file was changed a moment ago, because another
            change might leave the same status.
        digest: The content of the file, or a hash of it if the file is large.
    """

    status: tuple[int, ...] | None
    digest: bytes
    cassette: Cassette


class CassetteCache:
    """A cache of the cassettes that were read most recently, and of results that were computed from cassettes.

    Each pytest run has one cache, see ``RunContext``. A file that has changed is read again.
    """

    def __init__(self, *, uses_journals: bool = False) -> None:
        """Create an empty cache.

        Args:
            uses_journals: Whether recordings can be appended to journals. If true, the caller must merge the journals
                at the end of the run. Default False.
        """
        self._uses_journals = uses_journals
        self._cassettes: dict[Path, _ReadCassette] = {}
        self._own: set[Path] = set()
        self._results: dict[Hashable, Any] = {}
        self._written: dict[Path, KnownTexts] = {}

    def read(self, path: Path) -> Cassette | None:
        """Return the cassette at ``path``, or ``None`` if the file does not exist.

        Raises the same errors as ``storage.read``.
        """
        # imported here, because a run has a cache even if the packages that read cassettes are not installed
        from multitrack.tape.file import storage

        storage.merge_journal(path, self)
        return self.read_file(path)

    def read_file(self, path: Path) -> Cassette | None:
        """Return the cassette at ``path``, or ``None`` if the file does not exist. The file's journal is not read.

        Raises the same errors as ``storage.read``.
        """
        from multitrack.tape.file import cassette_reader, storage

        status = _find_status(path)
        known = self._cassettes.pop(path, None)
        if known is None or status is None or status != known.status:
            content = storage.read_file(path)
            if content is None:
                return None
            # tests that share a cassette open it one after the other, and a test with the fixture vcr_config opens it
            # twice
            digest = content if len(content) < _LARGE else hashlib.sha256(content).digest()
            if known is not None and known.digest == digest:
                cassette = known.cassette
            else:
                cassette = cassette_reader.load_cassette(content, path, self._written.get(path))
                if known is not None:
                    cassette.reuse_keys(known.cassette)
            known = _ReadCassette(status, digest, cassette)
        keep_last(self._cassettes, path, known, _MAX_CASSETTES)
        if not known.cassette.is_foreign:
            # absolute, because a test may change the current directory
            self._own.add(path.absolute())
        return known.cassette

    def has_read(self, path: Path) -> bool:
        """Return whether the cassette at ``path`` could be read earlier in the run, and has Multitrack's format."""
        return path.absolute() in self._own

    def uses_journal(self, path: Path) -> bool:
        """Return whether recordings for the cassette at ``path`` can be appended to its journal."""
        return self._uses_journals and self.has_read(path)

    def find_written_texts(self, path: Path) -> KnownTexts:
        """Return the ``KnownTexts`` of the cassette at ``path``, which this process is about to write."""
        from multitrack.tape.file.known_texts import KnownTexts

        texts = self._written.pop(path) if path in self._written else KnownTexts()
        keep_last(self._written, path, texts, _MAX_CASSETTES)
        return texts

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached result for ``key``. If there is none, call ``compute`` and cache its result."""
        result = self._results.pop(key) if key in self._results else compute()
        keep_last(self._results, key, result, _MAX_RESULTS)
        return result


def _find_status(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    changed = max(found.st_mtime, found.st_ctime)
    if time() - changed < _SETTLED:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
