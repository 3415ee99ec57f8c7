"""Block the network in a test: refuse connections, even to the local machine, unless their host is allowed.

The tripwire consults the block before each connection. The block also refuses connections that a tape would allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from multitrack.errors import NetworkBlocked, TapeViolation
from multitrack.hosts import is_loopback, join_host_and_port, split_host_and_port
from multitrack.tape.exchange import Passthrough, Request


class NetworkBlock:
    """The network block of one test. It refuses connections to hosts that are not allowed."""

    def __init__(
        self,
        test: str,
        allowed_hosts: Sequence[str] = (),
        allows_connection: Callable[[str, int], bool] = lambda _host, _port: False,
        *,
        has_marker: bool = True,
    ) -> None:
        """Create the network block of a test.

        Args:
            test: The node id of the test, for the message.
            allowed_hosts: Regular expressions. A connection is allowed if one of them matches the beginning of the
                host's name, of its address, or of a Unix socket's path.
            allows_connection: Returns whether the test's options allow a connection to a host and a port.
            has_marker: Whether the message suggests adding the host to the ``block_network`` marker.
        """
        self._test = test
        self._allowed = re.compile("|".join(f"(?:{pattern})" for pattern in allowed_hosts)) if allowed_hosts else None
        self._allows_connection = allows_connection
        self._has_marker = has_marker

    def check(self, names: Sequence[str], port: int | None) -> None:
        """Raise ``NetworkBlocked`` if none of the ``names`` of a host is allowed.

        Args:
            names: The names of the host, the most recent first, followed by its address. For a Unix socket, its path.
            port: The port. None for a Unix socket.
        """
        if not self.allows(names, port):
            raise self.build_error(names[0], port)

    def allows(self, names: Sequence[str], port: int | None) -> bool:
        """Return whether at least one of the ``names`` of a host is allowed."""
        if self._allowed is not None and any(map(self._allowed.match, names)):
            return True
        return port is not None and any(self._allows_connection(name, port) for name in names)

    def build_error(self, host: str, port: int | None) -> NetworkBlocked:
        """Return the error for a refused connection to ``host``."""
        address = host if port is None else join_host_and_port(host, port)
        lines = [f"Network is disabled: {self._test} must not connect to {address or 'an address that has no name'}"]
        if self._has_marker and host:
            marker = f"@pytest.mark.block_network(allowed_hosts=[{re.escape(host)!r}])"
            lines.append(f"  to allow this connection, mark the test: {marker}")
        if port is not None:
            lines += [
                "  to allow this connection, add to pyproject.toml:",
                "    [tool.multitrack]",
                f'    allow_hosts = ["{host}"]',
            ]
        return NetworkBlocked("\n".join(lines))


class BlockedRouter:
    """The router for requests that are sent when the network is blocked and no tape is open.

    Only gRPC needs this router, because gRPC connects below Python's sockets. The tripwire sees all other
    connections.
    """

    mode = "live"

    def __init__(self, block: NetworkBlock) -> None:
        self._block = block

    def route(self, request: Request) -> Passthrough:
        """Allow ``request``. Raises ``NetworkBlocked`` for a gRPC call to a host that is not allowed."""
        if request.is_grpc:
            host, port = split_host_and_port(request.url)
            addresses = ("127.0.0.1", "::1") if is_loopback(host) else ()
            self._block.check((host, *addresses), port)
        return Passthrough()

    def route_stream(self, request: Request) -> Passthrough:
        """Route a streaming ``request`` in the same way as ``route``."""
        return self.route(request)

    def allows_connection(self, host: str, port: int) -> bool:
        """Return True. The tripwire also calls ``check``, which refuses connections that are not allowed."""
        del host, port
        return True

    def add_violation(self, violation: TapeViolation) -> None:
        """Do nothing: there is no tape whose violations could make a test fail."""


_blocks: list[NetworkBlock] = []


def current_block() -> NetworkBlock | None:
    """Return the network block of the running test, or ``None`` if the network is not blocked."""
    return _blocks[-1] if _blocks else None


@contextmanager
def install(block: NetworkBlock) -> Iterator[None]:
    """Within the ``with`` block, make ``block`` the current network block.

    The interceptors must be installed: see ``active.block_network``.
    """
    _blocks.append(block)
    try:
        yield
    finally:
        _blocks.remove(block)
