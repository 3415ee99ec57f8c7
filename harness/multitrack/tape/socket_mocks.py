"""Do not intercept requests that are mocked by mocket or HTTPretty.

These packages replace Python's sockets, below all interceptors, and their answers are not network traffic. Both
packages know which hosts and ports they mock. Requests to these hosts and ports pass through the interceptors
unchanged.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from multitrack.hosts import split_host_and_port

_HTTPS_PORT = 443


def is_mocked(url: str) -> bool:
    """Return whether a socket mock is active and answers for the host and the port of ``url``."""
    active = _find_active()
    if active not in ("mocket", "httpretty"):
        return False
    host, port = split_host_and_port(url)
    match active:
        case "mocket":
            return (host, port) in sys.modules["mocket.mocket"].Mocket._entries
        case "httpretty":
            mock = sys.modules["httpretty.core"].httpretty
            # for HTTPS, HTTPretty ignores the port
            matcher = mock.match_https_hostname(host) if port == _HTTPS_PORT else None
            return (matcher or mock.match_http_address(host, port)) is not None
    return False


def find_real_class() -> Any:
    """Return Python's own socket class, even if a mock has replaced it."""
    match _find_active():
        case "mocket":
            return sys.modules["mocket.socket"].true_socket
        case "httpretty":
            return sys.modules["httpretty.core"].old_socket
    return socket.socket


def _find_active() -> str:
    """Return the name of the package that defines the current ``socket.socket``."""
    return socket.socket.__module__.partition(".")[0]
