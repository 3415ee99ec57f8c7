"""The seam at `http.client`: requests, urllib3 1 and 2, urllib.request, httplib2, google-auth, botocore.

A connection gets a switchboard in the place of its socket. That takes the request, asks the tape which way it
goes, and only then connects, or does not. Above it, every client stays the real one.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from http import HTTPStatus
from http.client import HTTPS_PORT, BadStatusLine, RemoteDisconnected
from types import ModuleType
from typing import Any

from multitrack.tape.exchange import Passthrough, Replay, Request, ResponseRecorder
from multitrack.tape.failure import During, Failure, system_error
from multitrack.tape.interceptors import Current, http1
from multitrack.tape.interceptors.http1_listener import Listener
from multitrack.tape.interceptors.tripwire import failing, opened
from multitrack.tape.matching.body import decoded
from multitrack.tape.patching import Patch

Connection = Any
"""An `http.client.HTTPConnection` or one of the many classes made from it."""

_CLASSES = {
    "http.client": ("HTTPConnection", "HTTPSConnection"),
    "urllib3.connection": ("HTTPConnection", "HTTPSConnection"),
    "httplib2": ("HTTPConnectionWithTimeout", "HTTPSConnectionWithTimeout"),
}

# The connection that a switchboard is connecting for real. HTTPS classes call the `connect` of their base.
_connecting: ContextVar[Connection] = ContextVar("multitrack_connecting", default=None)


def patches(module: ModuleType, current: Current) -> list[Patch]:
    """The swaps on ``module``, one of `http.client`, `urllib3.connection` and `httplib2`."""
    classes = [getattr(module, name, None) for name in _CLASSES[module.__name__]]
    found = [
        Patch(owner, "connect", lambda original: _connect(original, current))
        for owner in classes
        # without ssl, there is no such class, or an empty one
        if "connect" in vars(owner or object)
    ]
    if module.__name__ == "http.client":
        found.append(Patch(classes[0], "putrequest", lambda original: _putrequest(original, current)))
    return found


def _connect(original: Callable[..., Any], current: Current) -> Callable[..., Any]:
    @wraps(original)
    def connect(self: Connection) -> Any:
        if current() is None or _connecting.get() is self:
            return original(self)
        self.sock = _Switchboard(self, current)
        if _is_urllib3(self):
            # it warns of each connection that is not; so far there is none
            self.is_verified = True
        return None

    return connect


def _putrequest(original: Callable[..., Any], current: Current) -> Callable[..., Any]:
    @wraps(original)
    def putrequest(self: Connection, *args: Any, **kwargs: Any) -> Any:
        if current() is not None and not isinstance(self.sock, _Switchboard):
            self.sock = _Switchboard(self, current)
        return original(self, *args, **kwargs)

    return putrequest


class _Switchboard:
    """The socket of a connection for the time of one request.

    It takes the request as it is sent; once that is complete, the tape says which way it goes. When the
    answer is about to be read, the connection gets its real socket, or none, and the switchboard is done.
    """

    def __init__(self, connection: Connection, current: Current) -> None:
        self._connection = connection
        self._current = current
        self._real: Any = connection.sock
        self._sent = bytearray()
        self._message = http1.request()
        self._body: list[bytes] = []
        self._method = ""
        self._routed = False
        self._replay: Replay | None = None
        self._recording: ResponseRecorder | None = None
        self._error: OSError | None = None
        self._overdue: BaseException | None = None
        self._signal: tuple[socket.socket, socket.socket] | None = None

    def sendall(self, data: Any) -> None:
        """Take a part of the request. The last part sets it on its way; an error of connecting, and a
        refusal of the tape, are raised here."""
        if self._routed:
            # more than the request's head announced
            if self._real is not None and self._replay is None:
                self._real.sendall(data)
            return
        self._sent += data
        self._body += self._message.feed(bytes(data))
        if self._message.over:
            self._go()

    def makefile(self, mode: str = "r", buffering: int | None = None) -> Any:
        """The answer, to be read by `http.client.HTTPResponse`."""
        if self._awaits_continue():
            return io.BufferedReader(io.BytesIO(b"HTTP/1.1 100 Continue\r\n\r\n"))
        if not self._routed:
            self._go()
        if self._overdue is not None:
            raise self._overdue
        self._connection.sock = self._real
        if self._replay is not None:
            return io.BufferedReader(_Played(self._replay, self._method))
        if self._recording is None:
            return self._real.makefile(mode, buffering)
        recording, self._recording = self._recording, None
        return io.BufferedReader(_Tap(self._real.makefile("rb", buffering=0), recording, self._method))

    def close(self) -> None:
        """Close the real socket, if there is one."""
        if self._recording is not None:
            if self._error is not None:
                self._recording.record_failure(self._error, during="send")
            else:
                self._recording.record_end("left")
            self._recording = None
        for end in self._signal or ():
            end.close()
        if self._real is not None:
            self._real.close()

    def __del__(self) -> None:
        for end in self._signal or ():
            end.close()

    def settimeout(self, timeout: float | None) -> None:
        """Without a real socket, nothing here can take long."""
        if self._real is not None:
            self._real.settimeout(timeout)

    def setsockopt(self, *option: Any) -> None:
        """Classes that go on with their socket after ``connect`` do so again when it is a real one."""
        if self._real is not None:
            self._real.setsockopt(*option)

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The certificate of the other side; None where there is none."""
        return None if self._real is None else self._real.getpeercert(binary_form)

    def shutdown(self, how: int) -> None:
        """End a live answer that another thread waits for."""
        if self._real is not None:
            self._real.shutdown(how)

    def fileno(self) -> int:
        """A descriptor to wait on: ready to be read if the client waits for leave to send the body."""
        waits = self._awaits_continue()
        if self._real is not None and not waits:
            return int(self._real.fileno())
        if self._signal is None:
            self._signal = socket.socketpair()
            if waits:
                self._signal[1].send(b"\0")
        return self._signal[0].fileno()

    def _awaits_continue(self) -> bool:
        return not self._message.over and ("expect", "100-continue") in self._message.headers

    def _go(self) -> None:
        request = self._request()
        self._method = request.method
        tape = self._current()
        try:
            route = Passthrough() if tape is None else tape.route(request)
        except BaseException:
            # without this, the connection would wait for an answer for ever
            self._connection.close()
            raise
        self._routed = True
        if isinstance(route, Replay):
            self._replay = route
            failure = route.response.failure if route.response.ending == "unanswered" else None
            if failure is None or failure.during != "connect":
                _reach_proxy(self._connection)
            if failure is not None:
                self._fail(failure)
            return
        if not isinstance(route, Passthrough):
            self._recording = route
        self._send()

    def _send(self) -> None:
        if self._real is None:
            try:
                self._real = self._connected()
            except BaseException as error:
                during = _during(error, self._connection)
                recording, self._recording = self._recording, None
                if recording is not None:
                    _tell_failure(recording, error, during)
                if not self._waits_to_fail(error, during):
                    raise
                half_made, self._connection.sock = self._connection.sock, self
                if half_made is not None:
                    half_made.close()
                self._overdue = error
                return
            self._connection.sock = self
        try:
            self._real.sendall(self._sent)
        except OSError as error:
            # no failure yet: clients look whether the server has answered before it had read everything
            self._error = error
            raise

    def _connected(self) -> Any:
        self._connection.sock = None
        token = _connecting.set(self._connection)
        try:
            with opened():
                self._connection.connect()
        finally:
            _connecting.reset(token)
        return self._connection.sock

    def _fail(self, failure: Failure) -> None:
        """Raise what the client raised when the request was recorded; not yet where it waited for the answer."""
        error = failure.to_system_error()
        if failure.during == "connect":
            # through the client's own code, which wraps the error in its own
            with failing(error):
                self._connected()
        if failure.during == "read":
            return
        if self._waits_to_fail(error, failure.during):
            self._overdue = error
            return
        self._connection.close()
        raise error

    def _waits_to_fail(self, error: BaseException, during: During) -> bool:
        """Whether the client makes of ``error`` what it does without a tape only where it waits for the answer. That
        is urllib3, which agrees on TLS in a place of its own, and passes over such errors where it sends."""
        is_passed_over = isinstance(error, TimeoutError | ConnectionResetError | BrokenPipeError)
        # urllib3 1 knows of no connection whether it reached its proxy, and blames that for all that fails on the way
        blames_proxy = self._connection._tunnel_host and not hasattr(self._connection, "has_connected_to_proxy")
        return is_passed_over and during == "handshake" and _is_urllib3(self._connection) and not blames_proxy

    def _request(self) -> Request:
        method, target, *_ = (self._message.start or "").split(" ")
        body = b"".join(self._body)
        request = Request(method.upper(), _url(self._connection, target), self._message.headers, body)
        # a coding that nobody here reads must not keep the request from being sent
        with suppress(ValueError):
            return replace(request, body=decoded(body, request.header("content-encoding")))
        return request


def _is_urllib3(connection: Connection) -> bool:
    return hasattr(connection, "is_verified")


def _reach_proxy(connection: Connection) -> None:
    """Let ``connection`` know that it reached its proxy, if it has one; urllib3 tells a proxy's failures by that."""
    if hasattr(connection, "has_connected_to_proxy"):
        connection._has_connected_to_proxy = bool(connection.proxy)


def _during(error: BaseException, connection: Connection) -> During:
    """What ``connection`` was doing when it could not be made."""
    # urllib3 wraps what fails below it, all but TLS and tunnels; and what others raise is wrapped by nobody
    is_bare = system_error(error) is error and (type(error).__module__ == "ssl" or _is_urllib3(connection))
    return "handshake" if is_bare else "connect"


def _tell_failure(recording: ResponseRecorder, error: BaseException, during: During) -> None:
    cause = system_error(error)
    if not isinstance(error, Exception):
        recording.record_end("left")
    elif cause is None:
        recording.record_failure(error)
    else:
        recording.record_failure(cause, during=during)


def _url(connection: Connection, target: str) -> str:
    if "://" in target and not target.startswith("/"):
        return target  # as a proxy is asked
    host, port = connection.host, connection.port
    if connection._tunnel_host:
        host, port = connection._tunnel_host, connection._tunnel_port
    scheme = "https" if connection.default_port == HTTPS_PORT else "http"
    place = f"[{host}]" if ":" in host else host
    return f"{scheme}://{place}{'' if port == connection.default_port else f':{port}'}{target}"


class _Played(io.RawIOBase):
    """A recorded answer on its way to the client, piece by piece."""

    def __init__(self, replay: Replay, method: str) -> None:
        response = replay.response
        self._pieces = iter(()) if response.ending == "unanswered" else http1.pieces(replay, method)
        self._failure = response.failure
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._piece:
            wait, self._piece = next(self._pieces, (0.0, b""))
            if wait:
                time.sleep(wait)
        # what an answer lacks of its announced length, the client finds by itself
        if not self._piece and self._failure is not None and self._failure.error != "IncompleteRead":
            raise self._failure.to_system_error()
        count = min(len(buffer), len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count


class _Tap(io.RawIOBase):
    """A live answer on its way to the client, told to the recording part by part."""

    def __init__(self, source: io.RawIOBase, recording: ResponseRecorder, method: str) -> None:
        self._source = source
        self._listener = Listener(recording, method, interim=(HTTPStatus.CONTINUE,))

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._source.fileno()

    def readinto(self, buffer: Any) -> int | None:
        try:
            count = self._source.readinto(buffer)
        except OSError as error:
            self._listener.broke(error, "read")
            raise
        if count:
            self._listener.received(bytes(memoryview(buffer)[:count]))
        elif count == 0:
            self._lost()
        return count

    def close(self) -> None:
        if not self.closed:
            message = self._listener.message
            if message.start is not None and not self._listener.began:
                # http.client refused it, and closes
                self._listener.broke(BadStatusLine(f"{message.start}\r\n"), "read")
            self._listener.left()
            self._source.close()
        super().close()

    def _lost(self) -> None:
        listener = self._listener
        if not listener.began:
            listener.broke(RemoteDisconnected("Remote end closed connection without response"), "read")
        listener.lost(None)
