"""Handle requests that are neither recorded nor matched.

The requests are token exchanges, telemetry, and requests to ignored or mocked hosts.
"""

from __future__ import annotations

from multitrack.tape import interleaving, socket_mocks
from multitrack.tape.conversation import DroppedConversation
from multitrack.tape.exchange import Passthrough, Replay, Request, Response
from multitrack.tape.live_gate import LiveGate
from multitrack.tape.normalize import token_exchange
from multitrack.tape.settings import Settings


class UnrecordedRequests:
    """The handler that answers or forwards the requests for which a tape needs no cassette."""

    def __init__(self, settings: Settings, gate: LiveGate, *, is_offline: bool, drops_telemetry: bool) -> None:
        """Create the handler.

        Args:
            settings: The tape's settings.
            gate: Checks the requests that are about to be sent.
            is_offline: Whether the tape works offline. If so, token exchanges are answered, not forwarded.
            drops_telemetry: Whether telemetry requests are answered, not forwarded.
        """
        self._settings = settings
        self._gate = gate
        self._is_offline = is_offline
        self._drops_telemetry = drops_telemetry

    def route(self, request: Request) -> Replay | Passthrough | None:
        """Decide what happens to ``request``. Return ``None`` if it needs the cassette."""
        if socket_mocks.is_mocked(request.url):
            return Passthrough()
        if self._settings.ignores(request.url):
            return self._gate.let_pass(request)
        if self._drops(request):
            return Replay(accept_silently(request))
        if token_exchange.is_token_exchange(request.url):
            return Replay(token_exchange.create_response(request)) if self._is_offline else Passthrough()
        return None

    def route_stream(self, request: Request) -> DroppedConversation | Passthrough | None:
        """Decide what happens to a streaming ``request``. Return ``None`` if it needs the cassette."""
        if self._settings.ignores(request.url):
            return self._gate.let_pass(request)
        return DroppedConversation(Replay(accept_silently(request))) if self._drops(request) else None

    def _drops(self, request: Request) -> bool:
        return self._drops_telemetry and self._settings.drops(request.url)


def accept_silently(request: Request) -> Response:
    """Return a response that reports success to a telemetry client."""
    if request.is_grpc:
        # an empty response, both for methods that return one message and for streams, however much was sent before it
        headers = (("content-type", "application/grpc"), ("grpc-status", "0"), (interleaving.HEADER, "0"))
        return Response(200, "OK", headers, b"")
    return Response(202, "Accepted", (("content-type", "application/json"),), b"{}")
