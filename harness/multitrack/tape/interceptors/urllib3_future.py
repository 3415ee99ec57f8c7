"""Refuse the requests of urllib3-future, which Multitrack cannot record.

urllib3-future is a fork of urllib3, and niquests requires it. By default, installing the fork replaces the
``urllib3`` package, so requests, botocore and other clients use the fork, too. The classes of the fork have the same
names as urllib3's, but work differently: the fork speaks HTTP/1.1, 2 and 3, and its connections do not use
``http.client``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.errors import LiveCall
from multitrack.hosts import join_host_and_port
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.patching import Patch

_CLASSES = ("HTTPConnection", "HTTPSConnection", "AsyncHTTPConnection", "AsyncHTTPSConnection")


def is_fork(module: ModuleType) -> bool:
    """Return whether ``module``, a module of the ``urllib3`` package, belongs to urllib3-future."""
    connection = getattr(module, "HTTPConnection", None) or getattr(module, "AsyncHTTPConnection", None)
    return any(".backend" in base.__module__ for base in getattr(connection, "__mro__", ()))


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for ``module``, a module with connection classes. Empty unless it is urllib3-future's."""

    def guard(original: Callable[..., Any]) -> Callable[..., Any]:
        # on a connection that was opened before the tape, only `putrequest` is called; `connect` may be a coroutine
        @wraps(original)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current_tape()
            if tape is not None and not tape.allows_connection(self.host, self.port):
                violation = LiveCall(_format_message(module, self.host, self.port))
                tape.add_violation(violation)
                raise violation
            return original(self, *args, **kwargs)

        return call

    if not is_fork(module):
        return []
    return [
        Patch(owner, method, guard)
        for owner in (getattr(module, name, None) for name in _CLASSES)
        for method in ("connect", "putrequest")
        if method in vars(owner or object)
    ]


def _format_message(module: ModuleType, host: str, port: int) -> str:
    location = join_host_and_port(host, port)
    reason = (
        "the installation of urllib3-future, a dependency of niquests, has replaced urllib3\n"
        "  requests and other packages now use urllib3-future, too\n"
        "  to bring urllib3 back:\n"
        "    pip uninstall --yes urllib3-future\n"
        "    pip install --force-reinstall urllib3\n"
        if module.__name__.startswith("urllib3.")
        else "in tests with a cassette, use another client such as requests or httpx\n"
    )
    return (
        f"{location}: blocked a request of urllib3-future, which Multitrack cannot record\n"
        f"  {reason}"
        f"  to send the request without recording it, add to pyproject.toml:\n"
        f"    [tool.multitrack]\n"
        f'    allow_hosts = ["{location}"]'
    )
