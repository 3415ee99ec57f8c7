"""The last check before a request is sent to the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from multitrack.errors import LiveCall
from multitrack.tape.exchange import Passthrough, Request
from multitrack.tape.stand_in_word import STAND_IN_REASON, has_stand_in
from multitrack.tape.violations import Violations


class LiveGate:
    """A gate that stops requests with a stand-in credential, because stand-ins must never be sent."""

    def __init__(self, violations: Violations, redact: Callable[[str], str], shown_path: Path, mode: str) -> None:
        """Create the gate.

        Args:
            violations: The tape's violations.
            redact: Removes secrets from a string.
            shown_path: The path of the cassette, in the form to show in messages.
            mode: The tape's mode, for the message.
        """
        self._violations = violations
        self._redact = redact
        self._shown_path = shown_path
        self._mode = mode

    def let_pass(self, request: Request) -> Passthrough:
        """Allow ``request`` to be sent without a recording.

        Raises ``LiveCall`` if ``request`` contains a stand-in for a credential.
        """
        self.check(request)
        return Passthrough()

    def check(self, request: Request) -> None:
        """Raise ``LiveCall`` if ``request``, which is about to be sent, contains a stand-in for a credential."""
        if not has_stand_in(request):
            return
        violation = LiveCall(
            f"{request.method} {self._redact(request.url)} was not sent, because {STAND_IN_REASON}\n"
            f"  cassette: {self._shown_path} (mode {self._mode})"
        )
        self._violations.add(violation)
        raise violation
