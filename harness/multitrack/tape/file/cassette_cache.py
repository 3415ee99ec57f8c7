"""Cassettes that stay in memory for the tests that share them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from multitrack.tape.file.cassette import Cassette
    from multitrack.tape.file.known_texts import KnownTexts

T = TypeVar("T")

_LARGE = 100_000
_MAX_CASSETTES = 4
_MAX_RESULTS = 400


class CassetteCache:
    """The cassettes that were read most recently, and results that were computed from cassettes.

    Each pytest run has one cache, see ``RunContext``. A file that has changed is read again.
    """

    def __init__(self, *, uses_journals: bool = False) -> None:
        """Create an empty cache.

        Args:
            uses_journals: Whether recordings may be stored in a journal. The caller must then merge the journal at
                the end of the run. Default False.
        """
        self._uses_journals = uses_journals
        self._cassettes: dict[Path, tuple[bytes, Cassette]] = {}
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
        """Return the cassette at ``path`` without the recordings in its journal. Works like ``read``."""
        from multitrack.tape.file import cassette_reader, storage

        content = storage.read_file(path)
        if content is None:
            return None
        # tests that share a cassette open it one after the other; a test with the fixture vcr_config opens it twice
        digest = content if len(content) < _LARGE else hashlib.sha256(content).digest()
        known = self._cassettes.pop(path, None)
        if known is None or known[0] != digest:
            cassette = cassette_reader.load_cassette(content, path, self._written.get(path))
            if known is not None:
                cassette.reuse_keys(known[1])
            known = digest, cassette
        _keep_last(self._cassettes, path, known, _MAX_CASSETTES)
        if not known[1].is_foreign:
            self._own.add(path)
        return known[1]

    def has_read(self, path: Path) -> bool:
        """Return whether the cassette at ``path`` could be read earlier in the run, and has Multitrack's format."""
        return path in self._own

    def uses_journal(self, path: Path) -> bool:
        """Return whether recordings for the cassette at ``path`` may be appended to its journal."""
        return self._uses_journals and self.has_read(path)

    def find_written_texts(self, path: Path) -> KnownTexts:
        """Return the ``KnownTexts`` of the cassette at ``path``, which this process is about to write."""
        from multitrack.tape.file.known_texts import KnownTexts

        texts = self._written.pop(path) if path in self._written else KnownTexts()
        _keep_last(self._written, path, texts, _MAX_CASSETTES)
        return texts

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached result for ``key``. If there is none, call ``compute`` and cache its result."""
        result = self._results.pop(key) if key in self._results else compute()
        _keep_last(self._results, key, result, _MAX_RESULTS)
        return result


def _keep_last(items: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    items[key] = value
    for other in list(items)[:-limit]:
        items.pop(other, None)
