"""Refuse requests from a test that compares calls with ``calls_snapshot`` but uses no cassette.

Otherwise, the test would send its requests in every run, and compare live responses with its snapshot.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import pytest

from multitrack.errors import LiveCall, TapeViolation
from multitrack.tape import active, socket_mocks
from multitrack.tape.exchange import Passthrough, Replay, Request
from multitrack.tape.recording_scope import RecordingScope
from multitrack.tape.settings import Settings
from multitrack.tape.unrecorded_requests import accept_silently
from pytest_multitrack import cassette_options, flags

# fixtures of other recording plugins
_OTHER_RECORDERS = {"vcr", "vcr_cassette", "cassette"}


class _UncoveredRequests:
    """The router for a test without a cassette. It refuses all requests that are not mocked, dropped or ignored."""

    mode = "uncovered"

    def __init__(self, scope: RecordingScope, settings: Settings) -> None:
        self._scope = scope
        self._settings = settings

    def route(self, request: Request) -> Replay | Passthrough:
        if socket_mocks.is_mocked(request.url):
            return Passthrough()
        if self._settings.drops(request.url):
            return Replay(accept_silently(request))
        return self.route_stream(request)

    def route_stream(self, request: Request) -> Passthrough:
        if self._settings.ignores(request.url):
            return Passthrough()
        parts = urlsplit(request.url)
        # without the parts that may hold a credential
        host = parts.netloc.rpartition("@")[2]
        url = parts._replace(netloc=host, query="", fragment="").geturl()
        violation = LiveCall(
            f"{self._scope.name} uses calls_snapshot without a cassette, and would send a live request: "
            f"{request.method} {url}\n"
            f"  write @pytest.mark.cassette above the test, and record it:\n"
            f"    {self._scope.record_hint}\n"
            f"  or, to send its requests without recording them, set in pyproject.toml:\n"
            f"    [tool.multitrack]\n"
            f'    ignore_hosts = ["{host}"]'
        )
        self.add_violation(violation)
        raise violation

    def allows_connection(self, host: str, port: int) -> bool:
        del host, port
        return True

    def add_violation(self, violation: TapeViolation) -> None:
        self._scope.hold(violation)


def refuse(request: pytest.FixtureRequest, scope: RecordingScope | None) -> AbstractContextManager[Any]:
    """Return a context manager that refuses requests from a test that uses ``calls_snapshot`` without a cassette.

    Nothing is refused if a cassette (from Multitrack or another recorder) handles the requests, or if ``--live`` or
    ``--calls-drift`` permits them.
    """
    is_live = flags.mode(request.config) in ("live", "drift")
    if scope is None or is_live or active.current_tape() is not None:
        return nullcontext()
    if request.node.get_closest_marker("vcr") or not _OTHER_RECORDERS.isdisjoint(request.fixturenames):
        return nullcontext()
    settings = cassette_options.resolve_run_settings(request.config)
    return active.activate(_UncoveredRequests(scope, settings))
