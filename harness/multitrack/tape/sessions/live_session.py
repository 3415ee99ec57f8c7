"""The session for ``--live``: every request is sent to the network, and nothing is recorded."""

from __future__ import annotations

from multitrack.tape.exchange import Passthrough, Request
from multitrack.tape.live_gate import LiveGate
from multitrack.tape.sessions.session import Session


class LiveSession(Session):
    """A session that sends all requests to the network, without a cassette."""

    def __init__(self, gate: LiveGate) -> None:
        self._gate = gate

    def route(self, request: Request) -> Passthrough:
        """Allow ``request`` to be sent to the network."""
        return self._gate.let_pass(request)

    def route_stream(self, request: Request) -> Passthrough:
        """Allow a streaming ``request`` to reach the network."""
        return self._gate.let_pass(request)
