"""The tripwire: a raw socket that would leave the machine past the tape.

It stands at ``socket.socket.connect``, where the connections of every Python client pass that no seam sees, and where
datagrams are sent, in which HTTP/3 goes. What connects below Python (gRPC, libcurl) does not come by here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.errors import LiveCall
from multitrack.hosts import is_loopback, join_host_and_port
from multitrack.tape import interceptors
from multitrack.tape.exchange import Router
from multitrack.tape.interceptors import Current
from multitrack.tape.patching import Patch

# To ask for the address of a name is no request; the system's own look-up, below Python, does the same.
_NAME_SERVICE = 53

# A ContextVar, since httpcore and anyio connect in tasks of their own, which inherit it.
_opened: ContextVar[bool] = ContextVar("multitrack_opened", default=False)
_failing: ContextVar[Exception | None] = ContextVar("multitrack_failing", default=None)


@contextmanager
def opened() -> Iterator[None]:
    """For the time of the block, and in tasks begun inside, connections are a seam's own and may be made."""
    token = _opened.set(True)
    try:
        yield
    finally:
        _opened.reset(token)


def is_opened() -> bool:
    """Whether a seam connects at present."""
    return _opened.get()


@contextmanager
def failing(error: Exception) -> Iterator[None]:
    """For the time of the block, every attempt to connect ends in ``error``, and nothing is looked up or opened."""
    token = _failing.set(error)
    try:
        yield
    finally:
        _failing.reset(token)


def patches(module: ModuleType, current: Current) -> list[Patch]:
    """The guards on ``socket``: both ways to connect, all ways to send a datagram, and the look-up that tells an
    address's name."""
    names = _Names()

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def connect(sock: socket.socket, address: Any) -> Any:
            if (error := _failing.get()) is not None:
                raise error
            tape = current()
            if tape is not None and not _opened.get():
                _check(tape, sock, address, names)
            return original(sock, address)

        return connect

    def sending(name: str, addressed: slice) -> Patch:
        def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def send(sock: socket.socket, *args: Any) -> Any:
                if sock.type == socket.SOCK_DGRAM and (tape := current()) is not None and not _opened.get():
                    _check_datagram(tape, sock, args[addressed], names)
                return original(sock, *args)

            return send

        return Patch(module.socket, name, guarded)

    connected = slice(0)
    return [
        sending("send", connected),
        sending("sendall", connected),
        sending("sendto", slice(-1, None)),
        *([sending("sendmsg", slice(3, 4))] if hasattr(module.socket, "sendmsg") else []),
        Patch(module.socket, "connect", guarded),
        Patch(module.socket, "connect_ex", guarded),
        Patch(module, "getaddrinfo", names.noting),
    ]


class _Names:
    """Which host names were looked up, by the addresses found: clients connect to an address, and people
    allow a name."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, ...]] = {}
        interceptors.on_restore(self._names.clear)

    def noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``getaddrinfo``, noting what it finds."""

        @wraps(original)
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            if (error := _failing.get()) is not None:
                raise error
            found = original(host, *args, **kwargs)
            name = host.decode("idna") if isinstance(host, bytes) else host
            for *_, address in found if name else ():
                known = self._names.get(address[0], ())
                self._names[address[0]] = (name, *(other for other in known if other != name))
            return found

        return getaddrinfo

    def of(self, host: str) -> tuple[str, ...]:
        """What ``host`` is called: the names it was found by, the last first, and itself."""
        return (*(name for name in self._names.get(host, ()) if name != host), host)


def _check(tape: Router, sock: socket.socket, address: Any, names: _Names) -> None:
    # a datagram socket that connects sends nothing; libraries learn the machine's own address that way
    if sock.type != socket.SOCK_STREAM or (place := _place(sock, address)) is None:
        return
    host, port = place
    if (violation := refusal(tape, names.of(host), port)) is not None:
        # callers such as socket.create_connection close theirs on an OSError only
        sock.close()
        raise violation


def _check_datagram(tape: Router, sock: socket.socket, addressed: Sequence[Any], names: _Names) -> None:
    try:
        place = _place(sock, addressed[0] if addressed else sock.getpeername())
    except OSError:
        return  # it is connected to nothing, as the real call says
    if place is None or place[1] == _NAME_SERVICE:
        return
    if (violation := refusal(tape, names.of(place[0]), place[1])) is not None:
        raise violation


def _place(sock: socket.socket, address: Any) -> tuple[str, int] | None:
    """The host and the port in the ``address``, where it leads over a network, or may."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
        return None  # of a wrong address, the real call says what is wrong with it
    host, port = address[:2]
    return host.decode("idna") if isinstance(host, bytes | bytearray) else str(host), port


def refusal(tape: Router, called: Sequence[str], port: int) -> LiveCall | None:
    """What to raise where a socket would connect to the host that is ``called`` so, its address last; None where it
    may. It is held against the test, too."""
    if is_loopback(called[-1]) or any(tape.allows_connection(name, port) for name in called):
        return None
    violation = LiveCall(_message(called[0], port))
    tape.add_violation(violation)
    return violation


def _message(host: str, port: int) -> str:
    place = join_host_and_port(host, port)
    return (
        f"{place}: a socket would leave this machine past the tape, opened by a client that no seam sees\n"
        f"  if it may, say so in pyproject.toml:\n"
        f"    [tool.multitrack]\n"
        f'    allow_hosts = ["{place}"]\n'
        f"  or at the test:\n"
        f'    @pytest.mark.cassette(allow_hosts=["{place}"])'
    )
