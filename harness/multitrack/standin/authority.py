"""A throwaway certificate authority, and certificates in the name of any host."""

from __future__ import annotations

import ssl
from threading import Lock

import trustme


class Authority:
    """A certificate authority that lives as long as the object. Safe to use from many threads."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="Multitrack stand-in")
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = Lock()

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._authority.cert_pem.bytes()

    def server_context(self, host: str) -> ssl.SSLContext:
        """The server side of TLS in the name of ``host``, over HTTP/1.1."""
        with self._lock:
            if host not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._authority.issue_cert(host).configure_cert(context)
                context.set_alpn_protocols(["http/1.1"])
                self._contexts[host] = context
            return self._contexts[host]

    def key_and_chain(self, *hosts: str) -> tuple[bytes, bytes]:
        """A private key and its certificate chain, PEM, in the name of all ``hosts``."""
        leaf = self._authority.issue_cert(*hosts)
        return leaf.private_key_pem.bytes(), b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
