"""``--record``: every request is sent to the network, and the test's new recording replaces the earlier one."""

from __future__ import annotations

from collections.abc import Sequence

from multitrack.tape.exchange import Passthrough, Request, ResponseRecorder
from multitrack.tape.interaction import Interaction
from multitrack.tape.live_gate import LiveGate
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.recorder import Recorder
from multitrack.tape.sessions.session import Session


class RecordSession(Session):
    """A session that records all requests."""

    writes = True

    def __init__(self, normalizer: RequestNormalizer, recorder: Recorder, gate: LiveGate) -> None:
        self._normalizer = normalizer
        self._recorder = recorder
        self._gate = gate

    def route(self, request: Request) -> ResponseRecorder | Passthrough:
        """Record ``request``, unless one of the project's functions excludes it."""
        if (filtered := self._normalizer.filter(request)) is None:
            return self._gate.let_pass(request)
        self._gate.check(filtered)
        return self._recorder.record(filtered)

    def route_stream(self, request: Request) -> ResponseRecorder | Passthrough:
        """Record a streaming ``request`` in the same way as ``route``."""
        return self.route(request)

    def list_interactions(
        self, previous: Sequence[Interaction], recorded: Sequence[Interaction]
    ) -> Sequence[Interaction]:
        """Return the ``recorded`` interactions, which replace all ``previous`` interactions."""
        del previous
        return tuple(recorded)
