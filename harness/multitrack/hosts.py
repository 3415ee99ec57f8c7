"""Functions for host names, addresses and ports."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Return whether ``host``, a name or an address, is this machine."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host == "" or host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    # connecting to the unspecified address reaches this machine
    return bool(mapped.is_loopback or mapped.is_unspecified)


def split_host_and_port(url: str) -> tuple[str, int]:
    """Return the host and the port of ``url``; the port defaults to 80 for ``http``, and to 443 otherwise."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


def join_host_and_port(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
