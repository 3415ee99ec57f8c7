"""Route requests from threads that have outlived the test that started them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from multitrack.errors import LiveCall, TapeViolation
from multitrack.tape import socket_mocks
from multitrack.tape.exchange import Passthrough, Replay, Request, Route, Router, StreamRoute
from multitrack.tape.stand_in_word import has_stand_in
from multitrack.tape.violations import divert_violations

if TYPE_CHECKING:
    from multitrack.tape.recording_scope import RecordingScope
    from multitrack.tape.settings import Settings

Report = Callable[[str, TapeViolation], None]
"""Reports a violation for a finished test. Called with the node id of the test and the violation."""


class OutlivingThreadRouter:
    """The router for requests from threads that outlived their tests.

    If possible, a request is answered from the tape of the running test, because the thread may be a worker that
    later tests share. Otherwise, the request is blocked, and reported for the test that started the thread.
    """

    def __init__(
        self, scope: RecordingScope, settings: Settings, tape: Router | None, during: str | None, report: Report
    ) -> None:
        self._scope = scope
        self._settings = settings
        self._tape = tape
        self._during = during
        self._report = report

    @property
    def mode(self) -> str:
        """The mode of the running test's tape, or ``replay`` if it has no tape."""
        return "replay" if self._tape is None else self._tape.mode

    def route(self, request: Request) -> Route:
        """Route ``request``. Raises ``LiveCall`` if the running test's tape does not answer it."""
        # even if a tape is open: telemetry must not become a violation while a different test is recorded
        if (route := self._route_by_settings(request)) is not None:
            return route
        if self._tape is not None and self.mode == "replay":
            with self._without_violations(request):
                return self._tape.route(request)
        raise self._block(request)

    def route_stream(self, request: Request) -> StreamRoute:
        """Decide what happens to a ``request`` that streams its messages."""
        if self._tape is not None and self.mode == "replay":
            with self._without_violations(request):
                return self._tape.route_stream(request)
        if self._settings.ignores(request.url) and not has_stand_in(request):
            return Passthrough()
        raise self._block(request)

    def allows_connection(self, host: str, port: int) -> bool:
        """Return whether a raw socket is allowed to connect to ``host:port``."""
        return self._settings.allows_connection(host, port)

    def add_violation(self, violation: TapeViolation) -> None:
        """Report ``violation`` for the test that started the thread."""
        self._report(self._scope.name, violation)

    def _route_by_settings(self, request: Request) -> Route | None:
        from multitrack.tape.unrecorded_requests import accept_silently

        if socket_mocks.is_mocked(request.url):
            return Passthrough()
        if self._settings.ignores(request.url) and not has_stand_in(request):
            return Passthrough()
        return Replay(accept_silently(request)) if self._settings.drops(request.url) else None

    @contextmanager
    def _without_violations(self, request: Request) -> Iterator[None]:
        with divert_violations():
            try:
                yield
            except TapeViolation:
                raise self._block(request) from None

    def _block(self, request: Request) -> LiveCall:
        parts = urlsplit(request.url)
        # the message omits the parts of the URL that may contain a credential
        address = parts.netloc.rpartition("@")[2]
        during = f"while {self._during} was running" if self._during else "while no test was running"
        violation = LiveCall(
            f"{request.method} {parts.scheme}://{address}{parts.path} was blocked: {self._scope.name} started the "
            f"thread {threading.current_thread().name!r}, which sent this request {during}\n"
            f"  end the thread before its test ends, for example with thread.join()"
        )
        self.add_violation(violation)
        return violation
