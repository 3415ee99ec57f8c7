"""The seam of aiohttp: the connectors, from which its sessions get their connections.

A connection is given out with a switchboard for its transport. That takes the request as it is sent, asks the tape
which way it goes, and only then connects, or does not. Above it, sessions, requests and responses stay the real
ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
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
from multitrack.tape.interceptors.aiohttp.errors import ConnectionTimeout, during_connecting, repeated
from multitrack.tape.interceptors.aiohttp.playback import Playback
from multitrack.tape.interceptors.aiohttp.protocol import Handler, handler_of
from multitrack.tape.interceptors.http1_listener import HttpResponseListener
from multitrack.tape.matching.body import decoded
from multitrack.tape.patching import Patch

Connect = Callable[..., Awaitable[Connection]]

# That lead out of the process; others may be a bridge to an application inside of it.
_NETWORK = (aiohttp.TCPConnector, aiohttp.UnixConnector, aiohttp.NamedPipeConnector)
# Answers that aiohttp passes over, since another follows: all but that of a change to another protocol.
_INTERIM = frozenset(range(100, 200)) - {101}

# The connector that a switchboard connects by. What stands over a class's `connect` calls that of its base.
_connecting: ContextVar[BaseConnector | None] = ContextVar("multitrack_aiohttp_connecting", default=None)


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """The swaps on aiohttp. Its classes inherit one ``connect``, unless a library of traces was here before."""
    del module
    connects = [
        Patch(owner, "connect", lambda original: _connect(original, current_tape))
        for owner in (BaseConnector, *_NETWORK)
        if "connect" in vars(owner)
    ]
    return [*connects, Patch(aiohttp.StreamReader, "wait_eof", _wait_eof)]


def _connect(original: Connect, current_tape: CurrentTape) -> Connect:
    @wraps(original)
    async def connect(self: BaseConnector, req: ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        async def really() -> Connection:
            return await original(self, req, traces, timeout)

        if current_tape() is None or _connecting.get() is self:
            return await really()
        if not isinstance(self, _NETWORK):
            connection = await really()
            if connection.transport is None or connection.transport.get_extra_info("socket") is None:
                return connection
            # into the pool, to be had again if the request goes live
            connection.release()
        switchboard = Switchboard(self, req, traces, timeout, really, current_tape)
        return switchboard.handler.connection(self, req)

    return connect


def _wait_eof(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(original)
    async def wait_eof(self: aiohttp.StreamReader) -> None:
        if (handler := handler_of(self)) is not None:
            handler.all_awaited()
        await original(self)

    return wait_eof


class Switchboard(asyncio.Transport):
    """The transport of a connection for the time of one request."""

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
        _authorise_at_proxy(request)
        self._connector = connector
        self._asked = request
        self._traces = traces
        self._timeout = timeout
        self._connect = connect
        self._current_tape = current_tape
        self._loop = asyncio.get_running_loop()
        self._sent = bytearray()
        self._message = http1.request_parser()
        self._body: list[bytes] = []
        self._going: asyncio.Task[None] | None = None
        self._closing = False
        self._playback: Playback | None = None
        self.handler = Handler(self._loop, self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a part of the request."""
        waited = self._message.start_line is None
        self._sent += data
        self._body += self._message.feed(bytes(data))
        if waited and ("expect", "100-continue") in self._message.headers:
            # the body would never come
            self._loop.call_soon(self._receive, b"HTTP/1.1 100 Continue\r\n\r\n")

    def request_sent(self) -> None:
        """The request is written, or will be when this turn of the loop is over: set it on its way."""
        self._loop.call_soon(self._start)

    def awaited(self) -> None:
        """The caller waits for more of the body."""
        if self._playback is not None:
            self._playback.awaited()

    def all_awaited(self) -> None:
        """The caller waits for the end of the body."""
        if self._playback is not None:
            self._playback.all_awaited()

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._closing

    def close(self) -> None:
        """Connect no more, and play no more."""
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if self._closing:
            return
        self._closing = True
        if self._going is not None:
            self._going.cancel()
        # what is collected after its loop was closed has nobody left to tell
        if not self._loop.is_closed():
            self._loop.call_soon(self.handler.connection_lost, error)

    def abort(self) -> None:
        """Close."""
        self.close()

    def pause_reading(self) -> None:
        """Nothing comes before it is awaited."""

    def resume_reading(self) -> None:
        """Nothing comes before it is awaited."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be taken."""
        return 0

    def _start(self) -> None:
        if not self._closing:
            self._going = self._loop.create_task(self._go())

    async def _go(self) -> None:
        recording: ResponseRecorder | None = None
        try:
            route = self._route()
            if isinstance(route, Replay):
                for trace in self._traces:
                    await trace.send_connection_reuseconn()
                await self._replay(route)
                return
            recording = None if isinstance(route, Passthrough) else route
            connection = await self._connected()
        except BaseException as error:
            if recording is not None:
                self._tell(recording, error)
            # raised here, it would be lost, and the client wait for ever
            self.handler.set_exception(error)
            return
        listener = None if recording is None else HttpResponseListener(recording, self._asked.method, _INTERIM)
        self.handler.adopt(connection, listener).write(bytes(self._sent))
        self.handler.start_timeout()

    def _route(self) -> Route:
        request = self._request()
        tape = self._current_tape()
        if tape is None:
            return Passthrough()
        if (request.header("upgrade") or "").lower() == "websocket":
            return _let_upgrade(tape, self._asked)
        return tape.route(request)

    def _request(self) -> Request:
        body = b"".join(self._body)
        # a coding that nobody here reads must not keep the request from being sent
        with suppress(ValueError):
            body = decoded(body, dict(self._message.headers).get("content-encoding"))
        return Request(self._asked.method.upper(), str(self._asked.url), self._message.headers, body)

    async def _connected(self) -> Connection:
        token = _connecting.set(self._connector)
        try:
            with tripwire.disable():
                # old versions limit the time where they call `connect`, that is: us
                async with asyncio.timeout(self._timeout.connect or None):
                    return await self._connect()
        except TimeoutError as error:
            raise ConnectionTimeout(f"Connection timeout to host {self._asked.url}") from error
        finally:
            _connecting.reset(token)

    def _tell(self, recording: ResponseRecorder, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            recording.record_failure(error, during=during_connecting(error))
        elif late := self.handler.overdue():
            recording.record_failure(late, during="read")
        else:
            recording.record_end("left")

    async def _replay(self, replay: Replay) -> None:
        self.handler.hold(self._connector, self._asked)
        response = replay.response
        if response.ending != "unanswered":
            self._playback = Playback(replay, self._asked.method, self._receive, lambda: self._break(response.failure))
        elif response.failure is None:
            await asyncio.sleep(abandoned.seconds_to_wait(response))
            raise abandoned.report_miss(self._current_tape())
        else:
            raise repeated(response.failure, self._connector, self._asked)

    def _break(self, failure: Failure | None) -> None:
        if failure is not None and failure.is_timeout:
            self.handler.fail(repeated(failure, self._connector, self._asked))
            return
        error = None if failure is None else failure.to_system_error()
        # what the answer lacks of its announced length, the parser finds by itself
        self._lose(error if isinstance(error, OSError) else None)

    def _receive(self, data: bytes) -> None:
        if not self._closing:
            self.handler.data_received(data)


def _authorise_at_proxy(request: ClientRequest) -> None:
    # connectors do so when they connect, and by then the head is written
    if request.proxy is None or request.is_ssl():
        return
    asked = ClientRequest(
        aiohttp.hdrs.METH_GET,
        request.proxy,
        headers=request.proxy_headers,
        auth=request.proxy_auth,
        loop=asyncio.get_running_loop(),
    )
    if authorization := asked.headers.get(aiohttp.hdrs.AUTHORIZATION):
        request.headers[aiohttp.hdrs.PROXY_AUTHORIZATION] = authorization


def _let_upgrade(tape: Router, asked: ClientRequest) -> Passthrough:
    host, port = asked.url.host or "", asked.url.port or 0
    if tape.allows_connection(host, port):
        return Passthrough()
    place = join_host_and_port(host, port)
    violation = LiveCall(
        # without what may be a credential
        f"{asked.url.with_query(None).with_user(None)}: a WebSocket, which no tape holds\n"
        f"  if it may go live, say so in pyproject.toml:\n"
        f"    [tool.multitrack]\n"
        f'    ignore_hosts = ["{place}"]\n'
        f"  or at the test:\n"
        f'    @pytest.mark.cassette(ignore_hosts=["{place}"])'
    )
    tape.add_violation(violation)
    raise violation
