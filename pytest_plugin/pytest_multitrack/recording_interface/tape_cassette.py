"""The ``vcr`` fixture: a tape with the interface of vcrpy's ``Cassette``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import vcr
from vcr.cassette import Cassette

from multitrack.tape.interaction import Interaction
from multitrack.tape.tape import Tape
from pytest_multitrack.recording_interface import vcr_requests
from pytest_multitrack.recording_interface.configured_vcr import ConfiguredVcr
from pytest_multitrack.recording_interface.vcr_options import VcrOptions


class TapeCassette(Cassette):  # type: ignore[misc]  # vcrpy has no types
    """A vcrpy ``Cassette`` that shows the contents of a tape. It neither sends nor answers requests."""

    def __init__(self, tape: Tape, **arguments: Any) -> None:
        """Create the object.

        Args:
            tape: The test's tape.
            arguments: The arguments of vcrpy's ``Cassette``.
        """
        self._tape = tape
        self._pairs: dict[int, tuple[Any, Any]] = {}
        self._plays_before_rewind = 0
        super().__init__(**arguments)
        self.rewound = tape.replay_lookup is not None

    @classmethod
    def from_options(cls, tape: Tape, options: VcrOptions) -> TapeCassette:
        """Return the cassette for a test with ``options``."""
        configured = options.configured or ConfiguredVcr(folder="", record_mode="none", suffix=".yaml")
        filters = configured.build_filters(options.config)
        return cls(
            tape,
            path=options.path,
            record_mode=vcr.mode("new_episodes" if options.record_mode == "rewrite" else options.record_mode),
            match_on=configured.list_functions(options.config),
            before_record_request=filters.before_record_request,
            before_record_response=filters.before_record_response,
            allow_playback_repeats=bool(options.config.get("allow_playback_repeats", False)),
        )

    @property
    def data(self) -> list[tuple[Any, Any]]:
        """The recorded interactions as pairs of a request and a response, in the order of the cassette."""
        return [self._convert(interaction) for interaction in self._list_interactions()]

    @data.setter
    def data(self, _: Any) -> None:
        """Ignore the assignment. vcrpy's ``Cassette`` assigns an empty list in its constructor."""

    @property
    def play_counts(self) -> Counter[int]:
        """A counter that maps the position of each recording in ``data`` to the number of its replays."""
        lookup = self._tape.replay_lookup
        counts = Counter(position - 1 for position in (lookup.state.positions_since_rewind if lookup else ()))
        repeats = len(self._tape.played) - self._plays_before_rewind - sum(counts.values())
        if counts and repeats > 0:
            counts[max(counts)] += repeats
        return counts

    @play_counts.setter
    def play_counts(self, _: Any) -> None:
        """Ignore the assignment. vcrpy's ``Cassette`` assigns an empty counter in its constructor."""

    def rewind(self) -> None:
        """Make every recording replayable again, and reset the counts of replayed interactions to 0."""
        self._plays_before_rewind = len(self._tape.played)
        self._tape.rewind()

    def _list_interactions(self) -> Iterator[Interaction]:
        lookup = self._tape.replay_lookup
        if lookup is not None:
            yield from (entry.interaction for entry in lookup.index.entries)
        yield from self._tape.live_interactions

    def _convert(self, interaction: Interaction) -> tuple[Any, Any]:
        known = self._pairs.get(id(interaction))
        if known is None:
            request = vcr_requests.to_vcr_request(interaction.stored_request or interaction.request)
            # the project may have added the filter after the recording
            request = self._before_record_request(request) or request
            request.body = request.body or None
            known = self._pairs[id(interaction)] = (
                request,
                vcr_requests.to_vcr_response(interaction.replayed_response),
            )
        return known
