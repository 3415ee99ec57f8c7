"""A temporary certificate authority that issues certificates for any host."""

from __future__ import annotations

import ssl
from threading import Lock

import trustme


class CertificateAuthority:
    """A certificate authority that exists only as long as this object. Thread-safe."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="Multitrack stand-in")
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = Lock()

    @property
    def certificate(self) -> bytes:
        """The authority's certificate in PEM format."""
        return self._authority.cert_pem.bytes()

    def server_context(self, host: str) -> ssl.SSLContext:
        """Return a server-side TLS context that has a certificate for ``host`` and offers only HTTP/1.1."""
        with self._lock:
            if host not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._authority.issue_cert(host).configure_cert(context)
                context.set_alpn_protocols(["http/1.1"])
                self._contexts[host] = context
            return self._contexts[host]

    def issue_key_and_chain(self, *hosts: str) -> tuple[bytes, bytes]:
        """Return a private key and its certificate chain, both as PEM, valid for all ``hosts``."""
        leaf = self._authority.issue_cert(*hosts)
        return leaf.private_key_pem.bytes(), b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
