"""The tape in a process that a test forked: a copy, from which nothing that happens to it comes back."""

from __future__ import annotations

from urllib.parse import urlsplit

from multitrack.errors import ForkedCall, TapeViolation
from multitrack.hosts import join_host_and_port, split_host_and_port
from multitrack.tape.exchange import Passthrough, Request, Router


class ForkedTape:
    """Stands for ``tape`` in a process that was forked while it played. It refuses what would be neither recorded nor
    counted as played."""

    def __init__(self, tape: Router) -> None:
        self._tape = tape

    @property
    def mode(self) -> str:
        """That of the tape."""
        return self._tape.mode

    def route(self, request: Request) -> Passthrough:
        """Live, if its host may be asked past the tape. Raises `ForkedCall` else."""
        host, port = split_host_and_port(request.url)
        if self.allows_connection(host, port):
            return Passthrough()
        place, parts = join_host_and_port(host, port), urlsplit(request.url)
        # without what may be a credential
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        raise ForkedCall(
            f"{request.method} {url}: sent by a process that the test forked, which has no part in its tape\n"
            f"  send it from the test's own process, from threads for one; or, if it may go live, say so in\n"
            f"  pyproject.toml:\n"
            f"    [tool.multitrack]\n"
            f'    ignore_hosts = ["{place}"]\n'
            f"  or at the test:\n"
            f'    @pytest.mark.cassette(ignore_hosts=["{place}"])'
        )

    def route_stream(self, request: Request) -> Passthrough:
        """The same for a request that streams."""
        return self.route(request)

    def allows_connection(self, host: str, port: int) -> bool:
        """Whether a raw socket may connect there."""
        return self._tape.allows_connection(host, port)

    def add_violation(self, violation: TapeViolation) -> None:
        """Nobody asks a copy what was refused; the process that raises ``violation`` ends by it."""
