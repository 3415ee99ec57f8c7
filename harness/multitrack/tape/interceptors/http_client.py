"""The interceptor for ``http.client``.

These clients use ``http.client``: requests, urllib3 1 and 2, urllib.request, httplib2, google-auth and botocore.

Instead of a socket, a connection gets a ``_DeferredSocket``. The deferred socket receives the request, asks the tape
how to route it, and connects only if the request must be sent to the network. All of the client's code above the
socket runs unchanged.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from http.client import HTTPS_PORT
from types import ModuleType
from typing import Any

from multitrack.tape.exchange import Passthrough, Replay, Request, ResponseRecorder
from multitrack.tape.failure import During, Failure, system_error
from multitrack.tape.interceptors import CurrentTape, http1, tripwire, urllib3_future
from multitrack.tape.interceptors.http_response_files import LiveResponseFile, ReplayedResponseFile
from multitrack.tape.patching import Patch

Connection = Any
"""An ``http.client.HTTPConnection``, or an instance of one of its many subclasses."""

_CLASSES = {
    "http.client": ("HTTPConnection", "HTTPSConnection"),
    "urllib3.connection": ("HTTPConnection", "HTTPSConnection"),
    "httplib2": ("HTTPConnectionWithTimeout", "HTTPSConnectionWithTimeout"),
}

# The connection that is connecting for real. HTTPS classes call the `connect` of their base class, which is patched.
_connecting: ContextVar[Connection] = ContextVar("multitrack_connecting", default=None)


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for ``module``, which is ``http.client``, ``urllib3.connection`` or ``httplib2``."""
    if urllib3_future.is_fork(module):
        return []
    classes = [getattr(module, name, None) for name in _CLASSES[module.__name__]]
    found = [
        Patch(owner, "connect", lambda original: _wrap_connect(original, current_tape))
        for owner in classes
        # without ssl, the class is missing or empty
        if "connect" in vars(owner or object)
    ]
    if module.__name__ == "http.client":
        found.append(Patch(classes[0], "putrequest", lambda original: _wrap_putrequest(original, current_tape)))
    return found


def _wrap_connect(original: Callable[..., Any], current_tape: CurrentTape) -> Callable[..., Any]:
    @wraps(original)
    def connect(self: Connection) -> Any:
        if current_tape() is None or _connecting.get() is self:
            return original(self)
        self.sock = _DeferredSocket(self, current_tape)
        if _is_urllib3(self):
            # urllib3 warns about each connection that is not verified, and this one is not connected yet
            self.is_verified = True
        return None

    return connect


def _wrap_putrequest(original: Callable[..., Any], current_tape: CurrentTape) -> Callable[..., Any]:
    @wraps(original)
    def putrequest(self: Connection, *args: Any, **kwargs: Any) -> Any:
        if current_tape() is not None and not isinstance(self.sock, _DeferredSocket):
            self.sock = _DeferredSocket(self, current_tape)
        return original(self, *args, **kwargs)

    return putrequest


class _DeferredSocket:
    """A substitute for the socket of a connection during one request.

    The substitute collects the parts of the request. When the request is complete, the tape decides how to route it.
    When the client is about to read the response, the connection gets its real socket, if there is one. From then on,
    the substitute is not used.
    """

    def __init__(self, connection: Connection, current_tape: CurrentTape) -> None:
        self._connection = connection
        self._current_tape = current_tape
        self._real: Any = connection.sock
        self._sent = bytearray()
        self._parser = http1.request_parser()
        self._body: list[bytes] = []
        self._method = ""
        self._is_routed = False
        self._replay: Replay | None = None
        self._recording: ResponseRecorder | None = None
        self._send_error: OSError | None = None
        self._deferred_error: BaseException | None = None
        self._wakeup_pair: tuple[socket.socket, socket.socket] | None = None

    def sendall(self, data: Any) -> None:
        """Buffer a part of the request. Route the request after its last part.

        Raises connection errors and misses.
        """
        if self._is_routed:
            # this part is beyond the length that the head announced
            if self._real is not None and self._replay is None:
                with tripwire.disable():
                    self._real.sendall(data)
            return
        self._sent += data
        self._body += self._parser.feed(bytes(data))
        if self._parser.is_complete:
            self._route()

    def makefile(self, mode: str = "r", buffering: int | None = None) -> Any:
        """Return the response as a file, which ``http.client.HTTPResponse`` reads."""
        if self._awaits_continue():
            return io.BufferedReader(io.BytesIO(b"HTTP/1.1 100 Continue\r\n\r\n"))
        if not self._is_routed:
            self._route()
        if self._deferred_error is not None:
            raise self._deferred_error
        self._connection.sock = self._real
        if self._replay is not None:
            return io.BufferedReader(ReplayedResponseFile(self._replay, self._method))
        if self._recording is None:
            return self._real.makefile(mode, buffering)
        recording, self._recording = self._recording, None
        return io.BufferedReader(LiveResponseFile(self._real.makefile("rb", buffering=0), recording, self._method))

    def close(self) -> None:
        """Close the real socket if it exists."""
        if self._recording is not None:
            if self._send_error is not None:
                self._recording.record_failure(self._send_error, during="send")
            else:
                self._recording.record_end("left")
            self._recording = None
        for end in self._wakeup_pair or ():
            end.close()
        if self._real is not None:
            self._real.close()

    def __del__(self) -> None:
        for end in self._wakeup_pair or ():
            end.close()

    def settimeout(self, timeout: float | None) -> None:
        """Set the timeout of the real socket, if there is one. A replay ignores the timeout, because it never waits."""
        if self._real is not None:
            self._real.settimeout(timeout)

    def setsockopt(self, *option: Any) -> None:
        """Forward the option to the real socket.

        Without a real socket, the option is ignored. The client's code sets its options again on the real socket.
        """
        if self._real is not None:
            self._real.setsockopt(*option)

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return the certificate of the server. None if there is no real socket."""
        return None if self._real is None else self._real.getpeercert(binary_form)

    def shutdown(self, how: int) -> None:
        """End a live response that another thread is waiting for."""
        if self._real is not None:
            self._real.shutdown(how)

    def fileno(self) -> int:
        """Return a descriptor on which the client can wait for the response.

        The descriptor is readable immediately if the client is waiting for permission to send the body.
        """
        waits = self._awaits_continue()
        if self._real is not None and not waits:
            return int(self._real.fileno())
        if self._wakeup_pair is None:
            self._wakeup_pair = socket.socketpair()
            if waits:
                self._wakeup_pair[1].send(b"\0")
        return self._wakeup_pair[0].fileno()

    def _awaits_continue(self) -> bool:
        return not self._parser.is_complete and ("expect", "100-continue") in self._parser.headers

    def _route(self) -> None:
        request = self._create_request()
        self._method = request.method
        tape = self._current_tape()
        try:
            route = Passthrough() if tape is None else tape.route(request)
        except BaseException:
            # otherwise the connection would wait forever for a response
            self._connection.close()
            raise
        self._is_routed = True
        if isinstance(route, Replay):
            self._replay = route
            failure = route.response.failure if route.response.ending == "unanswered" else None
            if failure is None or failure.during != "connect":
                _mark_proxy_as_reached(self._connection)
            if failure is not None:
                self._replay_failure(failure)
            return
        if not isinstance(route, Passthrough):
            self._recording = route
        self._send_live()

    def _send_live(self) -> None:
        if self._real is None:
            try:
                self._real = self._connect()
            except BaseException as error:
                during = _classify_phase(error, self._connection)
                recording, self._recording = self._recording, None
                if recording is not None:
                    _record_failure(recording, error, during)
                if not self._is_deferred(error, during):
                    raise
                incomplete, self._connection.sock = self._connection.sock, self
                if incomplete is not None:
                    incomplete.close()
                self._deferred_error = error
                return
            self._connection.sock = self
        try:
            with tripwire.disable():
                # mocket expects exactly this type
                self._real.sendall(bytes(self._sent))
        except OSError as error:
            # not recorded as a failure yet: clients check whether the server responded before it read the whole request
            self._send_error = error
            raise

    def _connect(self) -> Any:
        self._connection.sock = None
        token = _connecting.set(self._connection)
        try:
            with tripwire.disable():
                self._connection.connect()
        finally:
            _connecting.reset(token)
        return self._connection.sock

    def _replay_failure(self, failure: Failure) -> None:
        """Raise the recorded error, or defer it until the client waits for the response."""
        error = failure.to_system_error()
        if failure.during == "connect":
            # raised below the client's own code, which wraps the error in its own exception
            with tripwire.fail_connections(error):
                self._connect()
        if failure.during == "read":
            return
        if self._is_deferred(error, failure.during):
            self._deferred_error = error
            return
        self._connection.close()
        raise error

    def _is_deferred(self, error: BaseException, during: During) -> bool:
        """Return whether to defer ``error`` until the client waits for the response.

        Without a tape, the TLS handshake is a separate step, and urllib3 handles its errors. With a tape, the
        handshake happens while urllib3 sends the request. During this step, urllib3 ignores timeouts and closed
        connections. If these errors are deferred, urllib3 handles them as it does without a tape.
        """
        is_ignored = isinstance(error, TimeoutError | ConnectionResetError | BrokenPipeError)
        # urllib3 1 does not know whether a connection reached its proxy, and blames the proxy for all errors
        blames_proxy = self._connection._tunnel_host and not hasattr(self._connection, "has_connected_to_proxy")
        return is_ignored and during == "handshake" and _is_urllib3(self._connection) and not blames_proxy

    def _create_request(self) -> Request:
        method, target, *_ = (self._parser.start_line or "").split(" ")
        url = _build_url(self._connection, target)
        return Request(method.upper(), url, self._parser.headers, b"".join(self._body))


def _is_urllib3(connection: Connection) -> bool:
    return hasattr(connection, "is_verified")


def _mark_proxy_as_reached(connection: Connection) -> None:
    """Mark the proxy of ``connection``, if any, as reached. urllib3 uses this to recognize proxy failures."""
    if hasattr(connection, "has_connected_to_proxy"):
        connection._has_connected_to_proxy = bool(connection.proxy)


def _classify_phase(error: BaseException, connection: Connection) -> During:
    """Return the phase of the request in which ``connection`` failed with ``error``."""
    # urllib3 wraps all connection errors except TLS and tunnel errors; other clients wrap none
    is_bare = system_error(error) is error and (type(error).__module__ == "ssl" or _is_urllib3(connection))
    return "handshake" if is_bare else "connect"


def _record_failure(recording: ResponseRecorder, error: BaseException, during: During) -> None:
    cause = system_error(error)
    if not isinstance(error, Exception):
        recording.record_end("left")
    elif cause is None:
        recording.record_failure(error)
    else:
        recording.record_failure(cause, during=during)


def _build_url(connection: Connection, target: str) -> str:
    if "://" in target and not target.startswith("/"):
        return target  # a request to a proxy has an absolute URL
    host, port = connection.host, connection.port
    if connection._tunnel_host:
        host, port = connection._tunnel_host, connection._tunnel_port
    scheme = "https" if connection.default_port == HTTPS_PORT else "http"
    netloc = f"[{host}]" if ":" in host else host
    return f"{scheme}://{netloc}{'' if port == connection.default_port else f':{port}'}{target}"
