"""The rules and connections of the CONNECT proxy: the hosts that it serves, TLS, and forwarding to gRPC.

The proxy never connects to a real host. A client that uses the stand-in's environment variables therefore cannot
reach the internet by mistake.
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
    from multitrack.standin.certificate_authority import CertificateAuthority
    from multitrack.standin.grpc_server import GrpcServer

HOSTS = (
    "api.openai.com",
    "*.openai.azure.com",
    "*.googleapis.com",
    "api.anthropic.com",
    "*.services.ai.azure.com",
    "aws-external-anthropic.*.api.aws",
    "bedrock-runtime.*.amazonaws.com",
    "ollama.com",
    "api.x.ai",
    "bedrock-mantle.*.api.aws",
)
"""The hosts (globs) that are always served."""

_GRPC_CERTIFICATE_HOSTS = (
    "*.googleapis.com",
    "*.us.rep.googleapis.com",
    "*.eu.rep.googleapis.com",
    "api.x.ai",
    "localhost",
    "127.0.0.1",
)
_BLOCK_SIZE = 65_536


class Proxy:
    """The rules and connections of the CONNECT proxy.

    The certificate authority and the gRPC server are created when they are first needed.
    """

    def __init__(self, provider: Provider, hosts: Iterable[str] = ()) -> None:
        self._provider = provider
        self._hosts = (*HOSTS, *sorted(set(hosts)))
        self._lock = RLock()
        self._authority: CertificateAuthority | None = None
        self._grpc: GrpcServer | None = None

    @property
    def authority(self) -> CertificateAuthority:
        """The certificate authority that issues all certificates."""
        with self._lock:
            if self._authority is None:
                from multitrack.standin.certificate_authority import CertificateAuthority

                self._authority = CertificateAuthority()
            return self._authority

    @property
    def grpc(self) -> GrpcServer:
        """The running gRPC server."""
        with self._lock:
            if self._grpc is None:
                from multitrack.standin.grpc_server import GrpcServer

                key_and_chain = self.authority.issue_key_and_chain(*_GRPC_CERTIFICATE_HOSTS)
                self._grpc = GrpcServer(self._provider, key_and_chain)
            return self._grpc

    def stop(self) -> None:
        """Stop the gRPC server if it was started."""
        with self._lock:
            if self._grpc is not None:
                self._grpc.stop()

    def serves(self, host: str) -> bool:
        """Return whether ``host`` can be reached through the proxy."""
        return any(fnmatch(host.lower(), pattern) for pattern in self._hosts)

    def rejection_message(self, target: str) -> str:
        """Return the line that says why ``target`` cannot be reached."""
        hosts = ", ".join(self._hosts)
        return f"the stand-in does not forward to {target}; it serves only these hosts, on port 443: {hosts}"

    def server_context(self, host: str) -> ssl.SSLContext:
        """Return a server-side TLS context with a certificate for ``host``. The context offers only HTTP/1.1."""
        return self.authority.server_context(host)

    def forward_to_grpc(self, connection: socket.socket, host: str) -> None:
        """Forward ``connection``, which was opened for ``host``, to the gRPC server until either side closes."""
        with socket.create_connection(("127.0.0.1", self.grpc.port)) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            with self.grpc.register_host(host, upstream.getsockname()[1]):
                replies = Thread(target=_copy_bytes, args=(upstream, connection), name="standin tunnel", daemon=True)
                replies.start()
                _copy_bytes(connection, upstream)
                replies.join()


def _copy_bytes(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until either socket closes. Then close both, because half a gRPC connection is useless."""
    with suppress(OSError):
        while block := source.recv(_BLOCK_SIZE):
            target.sendall(block)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
