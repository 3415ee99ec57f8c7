"""The recordings that a tape has replayed so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from multitrack.tape.matching.index import Index, RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey

AcceptsEntry = Callable[[RecordedEntry], bool]
"""Returns whether a recording whose key matches may answer the request."""


class ReplayState:
    """The state of a tape that replays the recordings of an index.

    Each recording is replayed once; equal recordings are replayed in order. The state only stores what was replayed,
    so its size does not depend on the number of recordings in the cassette.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self._played: set[int] = set()
        self._played_before_rewind: set[int] = set()
        self._last_played: dict[MatchingKey, RecordedEntry] = {}
        # the number of recordings at the beginning of ``index.find_equal(key)`` that were all replayed
        self._exhausted: dict[MatchingKey, int] = {}

    @property
    def played_positions(self) -> Sequence[int]:
        """The positions, from 1, of the recordings that were replayed, in order."""
        return sorted(self._played | self._played_before_rewind)

    @property
    def positions_since_rewind(self) -> Collection[int]:
        """The positions of the recordings that were replayed since the last ``rewind``."""
        return frozenset(self._played)

    def is_played(self, entry: RecordedEntry) -> bool:
        """Return whether ``entry`` was replayed since the last ``rewind``."""
        return entry.position in self._played

    def was_ever_played(self, entry: RecordedEntry) -> bool:
        """Return whether ``entry`` was replayed, before or after a ``rewind``."""
        return entry.position in self._played or entry.position in self._played_before_rewind

    def take(self, key: MatchingKey, accepts: AcceptsEntry | None = None) -> RecordedEntry | None:
        """Return the first unused recording that answers a request with ``key``, and mark it as replayed.

        Args:
            key: The key of the request.
            accepts: Called for each recording whose key matches. A recording is skipped if the result is false. None
                accepts every recording.
        """
        for entry in self._find_waiting(key):
            if accepts is None or accepts(entry):
                return self.mark_played(entry, key)
        return None

    def _find_waiting(self, key: MatchingKey) -> Iterator[RecordedEntry]:
        forms = [replace(key, body=form) for form in key.stored_forms]
        for exact in (equal for one in (key, *forms) for equal in (one, one.without_origin)):
            equal_entries = self.index.find_equal(exact)
            first = self._exhausted.get(exact, 0)
            while first < len(equal_entries) and self.is_played(equal_entries[first]):
                first += 1
            self._exhausted[exact] = first
            # a recording that is rejected now may answer a later request, so only the replayed ones are skipped
            for position in range(first, len(equal_entries)):
                if not self.is_played(equal_entries[position]):
                    yield equal_entries[position]
        yield from self.index.find_similar(key, self._played)

    def mark_played(self, entry: RecordedEntry, key: MatchingKey | None = None) -> RecordedEntry:
        """Mark ``entry`` as replayed, and return it.

        Args:
            entry: The recording.
            key: The key of the request that ``entry`` answers. ``find_last_played`` then finds ``entry`` for this
                key. Default: none.
        """
        self._played.add(entry.position)
        if key is not None:
            self._last_played[key] = entry
        return entry

    def rewind(self) -> None:
        """Make every recording replayable again."""
        self._played_before_rewind |= self._played
        self._played.clear()
        self._last_played.clear()
        self._exhausted.clear()

    def find_last_played(self, key: MatchingKey, accepts: AcceptsEntry | None = None) -> RecordedEntry | None:
        """Return the recording that answered the most recent request with ``key``. ``None`` if there was none.

        If ``accepts`` is passed, the order of the requests is not considered. The result is the last recording in the
        cassette that was replayed, matches ``key``, and is accepted by ``accepts``.
        """
        if accepts is not None:
            return next((entry for entry in reversed(self.find_played(key)) if accepts(entry)), None)
        return self._last_played.get(key)

    def find_played(self, key: MatchingKey) -> Sequence[RecordedEntry]:
        """Return the replayed recordings that match ``key``, in the order of the cassette."""
        played = (self.index.entries[position - 1] for position in sorted(self._played))
        return [entry for entry in played if entry.accepts(key)]

    def find_conversations(self, key: MatchingKey, *, allow_repeats: bool = False) -> Sequence[RecordedEntry]:
        """Return the recordings that could answer a streaming request with ``key``.

        Recordings with an equal key come first. ``allow_repeats`` adds the recordings that were already replayed, at
        the end.
        """
        exact = [entry for equal in (key, key.without_origin) for entry in self.index.find_equal(equal)]
        found = {entry.position: entry for entry in (*exact, *self.index.find_similar(key))}
        repeated = [entry for entry in found.values() if self.is_played(entry)] if allow_repeats else []
        return [*(entry for entry in found.values() if not self.is_played(entry)), *repeated]
