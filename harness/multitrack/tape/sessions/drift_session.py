"""``--calls-drift``: every request is sent to the network, and the responses are compared with the recorded ones."""

from __future__ import annotations

from collections.abc import Sequence

from multitrack.tape.interaction import Interaction
from multitrack.tape.live_gate import LiveGate
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.recorder import Recorder
from multitrack.tape.replay_lookup import ReplayLookup
from multitrack.tape.sessions.record_session import RecordSession


class DriftSession(RecordSession):
    """The session of a drift run. It records all requests in memory, and does not change the cassette."""

    writes = False
    is_compared = True

    def __init__(
        self, normalizer: RequestNormalizer, recorder: Recorder, gate: LiveGate, lookup: ReplayLookup | None
    ) -> None:
        super().__init__(normalizer, recorder, gate)
        self._lookup = lookup
        if lookup is not None:
            lookup.skip_replaced_errors()

    @property
    def lookup(self) -> ReplayLookup | None:
        """The recordings that live responses are compared with. ``None`` if there is no cassette."""
        return self._lookup

    def list_interactions(
        self, previous: Sequence[Interaction], recorded: Sequence[Interaction]
    ) -> Sequence[Interaction]:
        """Return the ``previous`` interactions, because a drift run does not store live interactions."""
        del recorded
        return tuple(previous)
