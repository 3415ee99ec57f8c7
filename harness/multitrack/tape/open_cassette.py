"""The cassettes of an open tape: the test's own cassette, and additional cassettes that are replayed with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from multitrack.errors import CassetteCorrupt
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.foreign_redaction import redact_foreign
from multitrack.tape.interaction import Interaction
from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.live_exchange import Clock
from multitrack.tape.matching.canonical_request import Canonicalizer
from multitrack.tape.matching.index import Index, RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey, key_of_recording, keys_of_recordings
from multitrack.tape.replay_lookup import ReplayLookup

CassetteLoader = Callable[[], "Cassette | None"]
"""Reads a cassette in the project's own format. Returns ``None`` if the cassette does not exist."""


class OpenCassette:
    """The cassettes of a tape, with the content that they had when the tape was opened."""

    def __init__(
        self,
        canonicalizer: Canonicalizer,
        *,
        test: str | None,
        is_shared: bool,
        allow_repeats: bool,
        filters: InteractionFilter | None = None,
    ) -> None:
        """Create the object without any cassette. ``read`` adds the cassettes.

        Args:
            canonicalizer: Computes matching keys. The canonicalizer's normalizer redacts other recorders' cassettes.
            test: The test that uses the cassette. ``None`` outside of any test.
            is_shared: Whether other tests use the same cassette.
            allow_repeats: Whether a recording can be replayed more than once.
            filters: vcrpy's request and response filters. None if the project configures none.
        """
        self._normalizer = canonicalizer.normalizer
        self._canonicalizer = canonicalizer
        self._test = test
        self._is_shared = is_shared
        self._allow_repeats = allow_repeats
        self._filters = filters
        self._read_own: Callable[[], Cassette | None] = lambda: None
        self._is_own_format = False
        self._additional: Sequence[Cassette] = ()

    def read(
        self,
        path: Path,
        additional_paths: Sequence[Path],
        record_hint: Callable[[], str],
        cache: CassetteCache,
        load: CassetteLoader | None,
        *,
        is_replayed: bool,
    ) -> None:
        """Read the cassettes.

        Args:
            path: The tape's own cassette.
            additional_paths: The cassettes that are replayed with it.
            record_hint: Returns the command that records the cassette.
            cache: Reads cassettes in the usual formats.
            load: Reads the tape's own cassette instead of ``cache``. None if it has a usual format.
            is_replayed: Whether the recordings in the cassette are replayed or compared. If not, and if an earlier
                test has read the cassette, it is read again only when its content is needed. Tests that record into
                one cassette would otherwise spend most of their time reading it.

        Raises:
            CassetteCorrupt: A cassette cannot be read.
        """
        if load is None and not is_replayed and cache.has_read(path):
            # absolute, because the test may change the current directory before the content is needed
            own_path = path.absolute()
            self._read_own = lambda: cache.read(own_path)
        else:
            try:
                found = cache.read(path) if load is None else load()
            except CassetteCorrupt as error:
                error.record_hint = record_hint()
                raise
            own = None if found is None else self._prepare(found)
            self._read_own = lambda: own
            self._is_own_format = found is not None and load is None and not found.is_foreign
        additional = [cache.read(other) for other in additional_paths]
        self._additional = [self._prepare(other) for other in additional if other is not None]

    @cached_property
    def _own(self) -> Cassette | None:
        return self._read_own()

    def _prepare(self, cassette: Cassette) -> Cassette:
        """Filter and redact ``cassette`` if another recorder wrote it, so that it can be replayed."""
        if cassette.is_foreign and self._filters is not None:
            filter_response = self._filters.filter_stored_response
            filtered = ((one, filter_response(one.response)) for one in cassette.interactions)
            found = tuple(replace(one, response=response) for one, response in filtered if response is not None)
            cassette = Cassette(found, cassette.metadata)
        return redact_foreign(cassette, self._normalizer, defers_responses=True)

    @property
    def interactions(self) -> Sequence[Interaction]:
        """The interactions in the tape's own cassette."""
        return self._own.interactions if self._own is not None else ()

    @property
    def previous_interactions(self) -> Sequence[Interaction]:
        """The interactions that the test recorded in an earlier run."""
        return [self.interactions[position - 1] for position in self._find_positions(self._test)]

    def _find_positions(self, test: str | None) -> Sequence[int]:
        return self._own.find_positions(test) if self._own is not None else ()

    @property
    def recorded_at(self) -> datetime | None:
        """The time of the most recent recording in the cassette. None if the time is unknown."""
        return self._own.recorded_at if self._own is not None else None

    def find_days_if_expired(self, max_age: int, clock: Clock) -> int | None:
        """Return the age of the cassette in days, if it is above ``max_age``. ``None`` otherwise."""
        if self.recorded_at is None or not max_age:
            return None
        days = (clock() - self.recorded_at).days
        return days if days > max_age else None

    def is_own(self, entry: RecordedEntry) -> bool:
        """Return whether ``entry`` is a recording of this test.

        In a shared cassette, an interaction without test names belongs to no test.
        """
        is_in_cassette = entry.position <= len(self.interactions)
        tests = entry.interaction.tests
        return is_in_cassette and (self._test in tests or (not tests and not self._is_shared))

    @property
    def own_entries(self) -> Sequence[RecordedEntry]:
        """The entries for which ``is_own`` is true, in order."""
        if self.lookup is None:
            return ()
        positions = {*self._find_positions(self._test), *self._find_positions(None)}
        entries = (self.lookup.index.entries[position - 1] for position in sorted(positions))
        return [entry for entry in entries if self.is_own(entry)]

    def may_rebind(self, entry: RecordedEntry) -> bool:
        """Return whether one of the test's requests can replace the request of ``entry``.

        The entry must be in the tape's own cassette, and this cassette must be in Multitrack's format. If the test
        has recordings in the cassette, ``entry`` must be one of them. Otherwise, the test would get the answer that
        another test recorded.
        """
        if not self._is_own_format or entry.position > len(self.interactions):
            return False
        return entry.interaction.belongs_to(self._test) or not self.previous_interactions

    def matching_key(self, interaction: Interaction) -> MatchingKey:
        """Return the matching key of ``interaction``, whether it is new or was already in the cassette."""
        pseudonyms = self._normalizer.pseudonyms | (self._own.placeholders if self._own is not None else frozenset())
        make_key = self._canonicalizer.make_recorded_key
        return key_of_recording(interaction.request, interaction.provenance, pseudonyms, make_key)

    @cached_property
    def lookup(self) -> ReplayLookup | None:
        """The object that finds the recording for each request. ``None`` if no cassette exists."""
        cassettes = [*([self._own] if self._own is not None else []), *self._additional]
        if not cassettes:
            return None
        rules = self._canonicalizer.rules
        pseudonyms = frozenset[str]().union(*(cassette.placeholders for cassette in cassettes))
        return ReplayLookup(
            Index.join([self._index(cassette, pseudonyms) for cassette in cassettes]),
            rules.make_key,
            filter_recorded=self._normalizer.filter_recorded,
            canonicalize_redacted=self._canonicalizer.canonicalize_redacted,
            find_mismatch=rules.find_mismatch if rules.matchers else None,
            allow_repeats=self._allow_repeats,
        )

    def _index(self, cassette: Cassette, pseudonyms: frozenset[str]) -> Index:
        if not self._normalizer.has_filters:
            return cassette.index(self._canonicalizer.rules, pseudonyms)
        # each tape has its own functions that change the requests
        keys = keys_of_recordings(cassette.interactions, pseudonyms, self._canonicalizer.make_recorded_key)
        return Index(cassette.interactions, pseudonyms, keys)
