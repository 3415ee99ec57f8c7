"""The tripwire: it blocks connections to other machines, because they would bypass the tape.

The tripwire patches ``socket.socket.connect``, which every Python client without an interceptor calls. It also
patches the methods that send data, to block two kinds of traffic:

- datagrams, which can carry HTTP/3
- HTTP/1 requests over a socket that was connected before the tape opened

Other data on a connected socket is allowed, because connections to databases, debuggers and workers stay open for a
whole run. The tripwire does not see connections made below Python's sockets (gRPC, libcurl).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.errors import LiveCall, NetworkBlocked
from multitrack.hosts import is_loopback, join_host_and_port, split_host_and_port
from multitrack.tape import interceptors, socket_mocks
from multitrack.tape.exchange import Router
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.network_block import NetworkBlock, current_block
from multitrack.tape.patching import Patch

# A name lookup is not a request; the system's own lookup, below Python, sends the same datagrams.
_DNS_PORT = 53

# A ContextVar, because httpcore and anyio connect in separate tasks, which inherit its value.
_disabled: ContextVar[bool] = ContextVar("multitrack_tripwire_disabled", default=False)
_connection_error: ContextVar[Exception | None] = ContextVar("multitrack_connection_error", default=None)


@contextmanager
def disable() -> Iterator[None]:
    """Let interceptors connect: the tripwire allows all connections inside the block, and in tasks started there."""
    token = _disabled.set(True)
    try:
        yield
    finally:
        _disabled.reset(token)


def is_disabled() -> bool:
    """Return whether an interceptor has disabled the tripwire, in order to open a connection of its own."""
    return _disabled.get()


@contextmanager
def fail_connections(error: Exception) -> Iterator[None]:
    """Within the block, raise ``error`` for every attempt to connect, before any name lookup or connection."""
    token = _connection_error.set(error)
    try:
        yield
    finally:
        _connection_error.reset(token)


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for ``socket``.

    The patches replace ``connect`` and ``connect_ex``, all methods that send data, and the lookup of a host's
    address.
    """
    names = _HostNames()
    # a mock may have replaced `module.socket`, but it uses the real class to send anything to the network
    owner = socket_mocks.find_real_class()

    def guard_connect(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def connect(sock: socket.socket, address: Any) -> Any:
            if (error := _connection_error.get()) is not None:
                raise error
            if (block := current_block()) is not None:
                _check_block(block, sock, address, names)
            tape = current_tape()
            if tape is not None and not _disabled.get():
                _check_stream(tape, sock, address, names)
            return original(sock, address)

        return connect

    def guard_send(name: str, address_arguments: slice) -> Patch:
        def guard(original: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(original)
            def send(sock: socket.socket, *args: Any) -> Any:
                if sock.type == socket.SOCK_DGRAM and (block := current_block()) is not None:
                    _check_blocked_datagram(block, sock, args[address_arguments], names)
                if (tape := current_tape()) is not None and not _disabled.get():
                    if sock.type == socket.SOCK_DGRAM:
                        _check_datagram(tape, sock, args[address_arguments], names)
                    elif args:
                        check_sent_data(tape, sock, args[0], names.names_of)
                return original(sock, *args)

            return send

        return Patch(owner, name, guard)

    no_arguments = slice(0)
    return [
        guard_send("send", no_arguments),
        guard_send("sendall", no_arguments),
        guard_send("sendto", slice(-1, None)),
        *([guard_send("sendmsg", slice(3, 4))] if hasattr(owner, "sendmsg") else []),
        Patch(owner, "connect", guard_connect),
        Patch(owner, "connect_ex", guard_connect),
        Patch(module, "getaddrinfo", names.wrap_getaddrinfo),
    ]


class _HostNames:
    """A dictionary from each address to the host names that were looked up for it.

    The names are needed because clients connect to addresses, but ``allow_hosts`` contains names.
    """

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, ...]] = {}
        interceptors.on_last_tape_closed(self._names.clear)

    def wrap_getaddrinfo(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``getaddrinfo`` to remember which host name was looked up for each address."""

        @wraps(original)
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            if (error := _connection_error.get()) is not None:
                raise error
            try:
                found = original(host, *args, **kwargs)
            except OSError as failure:
                if (blocked := self._explain_failed_lookup(host, *args)) is None:
                    raise
                raise blocked from failure
            name = host.decode("idna") if isinstance(host, bytes) else host
            for *_, address in found if name else ():
                known = self._names.get(address[0], ())
                self._names[address[0]] = (name, *(other for other in known if other != name))
            return found

        return getaddrinfo

    def _explain_failed_lookup(self, host: Any, port: Any = None, *_: Any) -> Exception | None:
        """Return the network block's error for a lookup that failed before the block could refuse the connection.

        Without a network, a client fails at the lookup, before it connects to anything. Returns ``None`` if the
        connection is allowed, or if the lookup was made for something other than a connection.
        """
        name, block = host.decode("idna") if isinstance(host, bytes) else host, current_block()
        if block is None or not name or not isinstance(port, int) or not port or block.allows((name,), port):
            return None
        return block.build_error(name, port)

    def names_of(self, host: str) -> tuple[str, ...]:
        """Return the names whose lookup returned the address ``host``, the most recent first, and finally ``host``
        itself.
        """
        return (*(name for name in self._names.get(host, ()) if name != host), host)


def _check_stream(tape: Router, sock: socket.socket, address: Any, names: _HostNames) -> None:
    # connecting a datagram socket sends nothing; libraries do it to find out the machine's own address
    if sock.type != socket.SOCK_STREAM or (parsed := _parse_address(sock, address)) is None:
        return
    host, port = parsed
    if (violation := check_connection(tape, names.names_of(host), port)) is not None:
        # callers such as socket.create_connection only close their socket if an OSError is raised
        sock.close()
        raise violation


def _check_datagram(tape: Router, sock: socket.socket, addresses: Sequence[Any], names: _HostNames) -> None:
    try:
        parsed = _parse_address(sock, addresses[0] if addresses else sock.getpeername())
    except OSError:
        return  # the socket is not connected, and the real call reports that
    if parsed is None or parsed[1] == _DNS_PORT:
        return
    if (violation := check_connection(tape, names.names_of(parsed[0]), parsed[1])) is not None:
        raise violation


def _check_block(block: NetworkBlock, sock: socket.socket, address: Any, names: _HostNames) -> None:
    try:
        if (parsed := _parse_address(sock, address)) is not None:
            host, port = parsed
            block.check(names.names_of(host), port)
            return
        # a Unix socket has a path; sockets of other families have no host name, and are always refused
        is_path = sock.family == getattr(socket, "AF_UNIX", None)
        block.check((os.fsdecode(address) if is_path else "",), None)
    except NetworkBlocked:
        # callers such as socket.create_connection only close their socket if an OSError is raised
        sock.close()
        raise


def _check_blocked_datagram(
    block: NetworkBlock, sock: socket.socket, addresses: Sequence[Any], names: _HostNames
) -> None:
    # without an address, the socket is connected, and was checked when it connected
    if addresses and (parsed := _parse_address(sock, addresses[0])) is not None and parsed[1] != _DNS_PORT:
        block.check(names.names_of(parsed[0]), parsed[1])


_REQUEST = re.compile(rb"[A-Z]{3,10} \S+ HTTP/1\.[01]\r\n")
_HOST = re.compile(rb"\r\nhost: *([^\r\n]+)", re.IGNORECASE)


def check_sent_data(
    tape: Router, sock: socket.socket, data: Any, names_of: Callable[[str], Sequence[str]] = lambda host: (host,)
) -> None:
    """Raise ``LiveCall`` if ``data`` starts an HTTP request to another machine, and the request is not allowed.

    Args:
        tape: The open tape.
        sock: The socket that sends.
        data: The data that is sent: bytes, or a list of them.
        names_of: Returns the names of an address.
    """
    head = bytes(data[0][:65_536]) if isinstance(data, list | tuple) and data else data
    try:
        if _REQUEST.match(head) is None or (peer := _parse_address(sock, sock.getpeername())) is None:
            return
    except (OSError, TypeError, ValueError):
        return  # the socket is not connected or the data is not valid, and the real call reports that
    address, port = peer
    found = _HOST.search(head)
    name = split_host_and_port(f"//{found[1].decode('latin-1').strip()}")[0] if found else address
    if (violation := check_connection(tape, (name, *names_of(address)), port)) is not None:
        raise violation


def _parse_address(sock: socket.socket, address: Any) -> tuple[str, int] | None:
    """Return the host and the port in ``address``. None if it is not an address on an IP network."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
        return None  # the real call reports what is wrong with an invalid address
    host, port = address[:2]
    return host.decode("idna") if isinstance(host, bytes | bytearray) else str(host), port


def check_connection(tape: Router, names: Sequence[str], port: int) -> LiveCall | None:
    """Check whether a socket is allowed to connect to a host. If not, report an error to ``tape`` and return the error.

    Args:
        tape: The open tape; the test fails because of the reported error, even if the code under test catches it.
        names: The names of the host, beginning with the most recent, and then the address of the host.
        port: The port of the host.

    Returns:
        None if the connection is allowed.
    """
    if is_loopback(names[-1]) or any(tape.allows_connection(name, port) for name in names):
        return None
    violation = LiveCall(_format_message(names[0], port))
    tape.add_violation(violation)
    return violation


def _format_message(host: str, port: int) -> str:
    location = join_host_and_port(host, port)
    return (
        f"{location}: blocked a socket that would bypass the tape, because Multitrack does not intercept this client\n"
        f"  to allow the connection, add to pyproject.toml:\n"
        f"    [tool.multitrack]\n"
        f'    allow_hosts = ["{location}"]\n'
        f"  or to the test:\n"
        f'    @pytest.mark.cassette(allow_hosts=["{location}"])'
    )
