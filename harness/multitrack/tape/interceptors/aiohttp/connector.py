"""The interceptor for aiohttp. It patches the connectors, which create a session's connections.

Instead of a real transport, a connection gets a ``DeferredTransport``. This object receives the request and asks the
tape how to route it. It only connects if the request must be sent to the network. The sessions, requests and
responses are aiohttp's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from functools import wraps
from types import ModuleType
from typing import Any

import aiohttp
from aiohttp import BaseConnector, ClientRequest
from aiohttp.connector import Connection

from multitrack.errors import LiveCall
from multitrack.hosts import join_host_and_port
from multitrack.tape.exchange import Passthrough, Replay, Request, ResponseRecorder, Route, Router
from multitrack.tape.failure import Failure
from multitrack.tape.interceptors import CurrentTape, abandoned, http1, tripwire
from multitrack.tape.interceptors.aiohttp.client_errors import ConnectionTimeout, during_connecting, recreate_error
from multitrack.tape.interceptors.aiohttp.protocol import DeferredResponseHandler, find_handler
from multitrack.tape.interceptors.aiohttp.response_player import ResponsePlayer
from multitrack.tape.interceptors.http1_listener import HttpResponseListener
from multitrack.tape.patching import Patch

Connect = Callable[..., Awaitable[Connection]]

# Connectors whose connections leave the process; others may call an application in the same process.
_NETWORK_CONNECTORS = (aiohttp.TCPConnector, aiohttp.UnixConnector, aiohttp.NamedPipeConnector)
# Interim responses, which aiohttp skips because another response follows: all except a protocol switch.
_INTERIM_CODES = frozenset(range(100, 200)) - {101}

# The connector that is connecting for real. A patched `connect` calls the `connect` of its base class, which is
# patched, too.
_connecting: ContextVar[BaseConnector | None] = ContextVar("multitrack_aiohttp_connecting", default=None)


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for aiohttp.

    Usually one patch is enough, because all of aiohttp's connectors inherit the same ``connect``. If a tracing
    library has given a connector class its own ``connect``, this method is patched, too.
    """
    del module
    connects = [
        Patch(owner, "connect", lambda original: _wrap_connect(original, current_tape))
        for owner in (BaseConnector, *_NETWORK_CONNECTORS)
        if "connect" in vars(owner)
    ]
    return [*connects, Patch(aiohttp.StreamReader, "wait_eof", _wrap_wait_eof)]


def _wrap_connect(original: Connect, current_tape: CurrentTape) -> Connect:
    @wraps(original)
    async def connect(self: BaseConnector, req: ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        async def connect_live() -> Connection:
            return await original(self, req, traces, timeout)

        if current_tape() is None or _connecting.get() is self:
            return await connect_live()
        if not isinstance(self, _NETWORK_CONNECTORS):
            connection = await connect_live()
            if connection.transport is None or connection.transport.get_extra_info("socket") is None:
                return connection
            # return the connection to the pool, where it is found again if the request must be sent to the network
            connection.release()
        transport = DeferredTransport(self, req, traces, timeout, connect_live, current_tape)
        return transport.handler.create_connection(self, req)

    return connect


def _wrap_wait_eof(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(original)
    async def wait_eof(self: aiohttp.StreamReader) -> None:
        if (handler := find_handler(self)) is not None:
            handler.notify_read_to_end()
        await original(self)

    return wait_eof


class DeferredTransport(asyncio.Transport):
    """A temporary transport for one request on a connection.

    A real transport replaces it if the request is sent to the network.
    """

    def __init__(
        self,
        connector: BaseConnector,
        request: ClientRequest,
        traces: Iterable[Any],
        timeout: aiohttp.ClientTimeout,
        connect: Connect,
        current_tape: CurrentTape,
    ) -> None:
        super().__init__()
        _add_proxy_authorization(request)
        self._connector = connector
        self._request = request
        self._traces = traces
        self._timeout = timeout
        self._connect_live = connect
        self._current_tape = current_tape
        self._loop = asyncio.get_running_loop()
        self._sent = bytearray()
        self._parser = http1.request_parser()
        self._body: list[bytes] = []
        self._routing_task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._player: ResponsePlayer | None = None
        self.handler = DeferredResponseHandler(self._loop, self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Buffer a part of the request that aiohttp sends."""
        is_head_incomplete = self._parser.start_line is None
        self._sent += data
        self._body += self._parser.feed(bytes(data))
        if is_head_incomplete and ("expect", "100-continue") in self._parser.headers:
            # otherwise aiohttp would never send the body
            self._loop.call_soon(self._receive, b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_request_sent(self) -> None:
        """Route the request at the end of this event loop iteration, when the whole request has been written."""
        self._loop.call_soon(self._start_routing)

    def on_read(self) -> None:
        """Replay the next piece of the response."""
        if self._player is not None:
            self._player.play_next()

    def on_read_to_end(self) -> None:
        """Replay the rest of the response, because the caller is waiting for its end."""
        if self._player is not None:
            self._player.play_all()

    def is_closing(self) -> bool:
        """Return whether the transport is closed."""
        return self._is_closed

    def close(self) -> None:
        """Stop connecting and replaying."""
        self._close_with(None)

    def _close_with(self, error: Exception | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._routing_task is not None:
            self._routing_task.cancel()
        # if the transport is garbage-collected after its loop was closed, no callback can run
        if not self._loop.is_closed():
            self._loop.call_soon(self.handler.connection_lost, error)

    def abort(self) -> None:
        """Stop connecting and replaying."""
        self.close()

    def pause_reading(self) -> None:
        """Do nothing, because each piece is replayed only when the caller waits for it."""

    def resume_reading(self) -> None:
        """Do nothing, because each piece is replayed only when the caller waits for it."""

    def get_write_buffer_size(self) -> int:
        """Return 0, because nothing is buffered."""
        return 0

    def _start_routing(self) -> None:
        if not self._is_closed:
            self._routing_task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        recording: ResponseRecorder | None = None
        try:
            route = self._route()
            if isinstance(route, Replay):
                for trace in self._traces:
                    await trace.send_connection_reuseconn()
                await self._replay_response(route)
                return
            recording = None if isinstance(route, Passthrough) else route
            connection = await self._connect()
        except BaseException as error:
            if recording is not None:
                self._record_failure(recording, error)
            # an error raised in this task would be lost, and the client would wait forever
            self.handler.set_exception(error)
            return
        listener = None if recording is None else HttpResponseListener(recording, self._request.method, _INTERIM_CODES)
        with tripwire.disable():
            self.handler.take_over(connection, listener).write(bytes(self._sent))
        self.handler.start_timeout()

    def _route(self) -> Route:
        request = self._convert_request()
        tape = self._current_tape()
        if tape is None:
            return Passthrough()
        if (request.header("upgrade") or "").lower() == "websocket":
            return _route_websocket(tape, self._request)
        return tape.route(request)

    def _convert_request(self) -> Request:
        method, url = self._request.method.upper(), str(self._request.url)
        return Request(method, url, self._parser.headers, b"".join(self._body))

    async def _connect(self) -> Connection:
        token = _connecting.set(self._connector)
        try:
            with tripwire.disable():
                # old versions only apply this limit to the patched `connect`, which returns before it connects
                async with asyncio.timeout(self._timeout.connect or None):
                    return await self._connect_live()
        except TimeoutError as error:
            raise ConnectionTimeout(f"Connection timeout to host {self._request.url}") from error
        finally:
            _connecting.reset(token)

    def _record_failure(self, recording: ResponseRecorder, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            recording.record_failure(error, during=during_connecting(error))
        elif timeout := self.handler.find_timeout():
            recording.record_failure(timeout, during="read")
        else:
            recording.record_end("left")

    async def _replay_response(self, replay: Replay) -> None:
        self.handler.register_with(self._connector, self._request)
        response = replay.response
        if response.ending != "unanswered":
            self._player = ResponsePlayer(
                replay, self._request.method, self._receive, lambda: self._end_early(response.failure)
            )
        elif response.failure is None:
            await asyncio.sleep(abandoned.seconds_to_wait(response))
            raise abandoned.report_miss(self._current_tape())
        else:
            raise recreate_error(response.failure, self._connector, self._request)

    def _end_early(self, failure: Failure | None) -> None:
        if failure is not None and failure.is_timeout:
            self.handler.fail(recreate_error(failure, self._connector, self._request))
            return
        error = None if failure is None else failure.to_system_error()
        # if the body is shorter than announced, the parser notices by itself
        self._close_with(error if isinstance(error, OSError) else None)

    def _receive(self, data: bytes) -> None:
        if not self._is_closed:
            self.handler.data_received(data)


def _add_proxy_authorization(request: ClientRequest) -> None:
    # connectors add this header when they connect, but by then the head has been written
    if request.proxy is None or request.is_ssl():
        return
    proxy_request = ClientRequest(
        aiohttp.hdrs.METH_GET,
        request.proxy,
        headers=request.proxy_headers,
        auth=request.proxy_auth,
        loop=asyncio.get_running_loop(),
    )
    if authorization := proxy_request.headers.get(aiohttp.hdrs.AUTHORIZATION):
        request.headers[aiohttp.hdrs.PROXY_AUTHORIZATION] = authorization


def _route_websocket(tape: Router, request: ClientRequest) -> Passthrough:
    host, port = request.url.host or "", request.url.port or 0
    if tape.allows_connection(host, port):
        return Passthrough()
    location = join_host_and_port(host, port)
    violation = LiveCall(
        # the user and the query may contain credentials
        f"{request.url.with_query(None).with_user(None)}: blocked a WebSocket, which cannot be recorded\n"
        f"  to allow the connection, add to pyproject.toml:\n"
        f"    [tool.multitrack]\n"
        f'    ignore_hosts = ["{location}"]\n'
        f"  or to the test:\n"
        f'    @pytest.mark.cassette(ignore_hosts=["{location}"])'
    )
    tape.add_violation(violation)
    raise violation
