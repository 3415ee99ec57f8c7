"""What lies behind the CONNECT proxy: the hosts that may be reached, their TLS, and the way to gRPC.

Nothing is forwarded to any other host, so that a client with the stand-in's environment cannot reach the
internet by mistake.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from threading import RLock, Thread
from typing import TYPE_CHECKING

from multitrack.standin.provider import Provider

if TYPE_CHECKING:
    from multitrack.standin.authority import Authority
    from multitrack.standin.grpc_server import GrpcServer

HOSTS = ("api.openai.com", "*.openai.azure.com", "*.googleapis.com")
"""The hosts (globs) that are stood in for without being asked."""

_GRPC_CERTIFICATE = (
    "*.googleapis.com",
    "*.us.rep.googleapis.com",
    "*.eu.rep.googleapis.com",
    "localhost",
    "127.0.0.1",
)
_BLOCK = 65_536


class Proxy:
    """The far side of the proxy. The authority and the gRPC server are made when first needed."""

    def __init__(self, provider: Provider, hosts: Iterable[str] = ()) -> None:
        self._provider = provider
        self._hosts = (*HOSTS, *sorted(set(hosts)))
        self._lock = RLock()
        self._authority: Authority | None = None
        self._grpc: GrpcServer | None = None

    @property
    def authority(self) -> Authority:
        """The throwaway authority behind every certificate."""
        with self._lock:
            if self._authority is None:
                from multitrack.standin.authority import Authority

                self._authority = Authority()
            return self._authority

    @property
    def grpc(self) -> GrpcServer:
        """The gRPC server, running."""
        with self._lock:
            if self._grpc is None:
                from multitrack.standin.grpc_server import GrpcServer

                self._grpc = GrpcServer(self._provider, self.authority.key_and_chain(*_GRPC_CERTIFICATE))
            return self._grpc

    def stop(self) -> None:
        """Stop the gRPC server, where one was started."""
        with self._lock:
            if self._grpc is not None:
                self._grpc.stop()

    def stands_in_for(self, host: str) -> bool:
        """Whether ``host`` may be reached."""
        return any(fnmatch(host.lower(), pattern) for pattern in self._hosts)

    def refusal(self, target: str) -> str:
        """The line that says why ``target`` may not be reached."""
        hosts = ", ".join(self._hosts)
        return f"the stand-in forwards nothing to {target}; it stands in, on port 443, for {hosts}"

    def server_context(self, host: str) -> ssl.SSLContext:
        """The server side of TLS in the name of ``host``, over HTTP/1.1."""
        return self.authority.server_context(host)

    def join_grpc(self, connection: socket.socket, host: str) -> None:
        """Carry ``connection``, opened for ``host``, to the gRPC server, until either side ends."""
        with socket.create_connection(("127.0.0.1", self.grpc.port)) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            with self.grpc.opened_for(host, upstream.getsockname()[1]):
                answers = Thread(target=_pump, args=(upstream, connection), name="standin tunnel", daemon=True)
                answers.start()
                _pump(connection, upstream)
                answers.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes until either end closes; then close both, for half a gRPC connection is of no use."""
    with suppress(OSError):
        while block := source.recv(_BLOCK):
            target.sendall(block)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
