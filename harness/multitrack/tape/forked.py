"""Replace the tape in a forked process, whose recordings and violations would never reach the test."""

from __future__ import annotations

from urllib.parse import urlsplit

from multitrack.errors import ForkedCall, TapeViolation
from multitrack.hosts import join_host_and_port, split_host_and_port
from multitrack.tape.exchange import Passthrough, Request, Router
from multitrack.tape.stand_in_word import STAND_IN_REASON, has_stand_in


class ForkedTape:
    """The replacement for ``tape`` in a process that was forked while the tape was open.

    It refuses every request that the tape would record or replay, because the test could not see the result.
    """

    def __init__(self, tape: Router) -> None:
        self._tape = tape

    @property
    def mode(self) -> str:
        """The tape's mode."""
        return self._tape.mode

    def route(self, request: Request) -> Passthrough:
        """Allow ``request`` to be sent if its host is ignored. Raises ``ForkedCall`` otherwise."""
        host, port = split_host_and_port(request.url)
        address, parts = join_host_and_port(host, port), urlsplit(request.url)
        # without the parts that may hold a credential
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        if self.allows_connection(host, port):
            if has_stand_in(request):
                raise ForkedCall(f"{request.method} {url} was not sent, because {STAND_IN_REASON}")
            return Passthrough()
        raise ForkedCall(
            f"{request.method} {url}: sent by a forked process, which cannot use the test's cassette\n"
            f"  send the request from the test's own process, for example from a thread\n"
            f"  if the request may go live, add to pyproject.toml:\n"
            f"    [tool.multitrack]\n"
            f'    ignore_hosts = ["{address}"]\n'
            f"  or to the test:\n"
            f'    @pytest.mark.cassette(ignore_hosts=["{address}"])'
        )

    def route_stream(self, request: Request) -> Passthrough:
        """Route a streaming ``request`` in the way that ``route`` does."""
        return self.route(request)

    def allows_connection(self, host: str, port: int) -> bool:
        """Return whether a raw socket is allowed to connect to ``host:port``."""
        return self._tape.allows_connection(host, port)

    def add_violation(self, violation: TapeViolation) -> None:
        """Do nothing, because the test cannot see the violations of a forked process.

        The caller also raises ``violation``, which ends the process.
        """
