"""aiohttp's protocol of one connection, and what of its connectors only their private names reach."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Transport
from types import TracebackType
from typing import Any, Protocol

from aiohttp import BaseConnector, ClientRequest, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.helpers import BaseTimerContext, TimerNoop

from multitrack.tape.interceptors.aiohttp.errors import during_reading
from multitrack.tape.interceptors.http1_listener import HttpResponseListener


class Stage(Protocol):
    """What stands in the place of the network until a real connection is adopted."""

    def request_sent(self) -> None:
        """The request is written, or will be when this turn of the loop is over."""

    def awaited(self) -> None:
        """The caller waits for more of the body than was received so far."""

    def all_awaited(self) -> None:
        """The caller waits for the end of the body."""


class Handler(ResponseHandler):
    """aiohttp's own protocol, begun on a ``stage`` that is its transport, too.

    Timeouts count from when the request goes to a real connection. A ``listener`` is told what comes back.
    """

    def __init__(self, loop: AbstractEventLoop, stage: Any) -> None:
        super().__init__(loop)
        self._stage: Stage | None = stage
        self._deadline: BaseTimerContext = TimerNoop()
        self._listener: HttpResponseListener | None = None
        self.connection_made(stage)
        # released into the pool, it would be taken for a connection
        self.force_close()

    def connection(self, connector: BaseConnector, request: ClientRequest) -> Connection:
        """What ``connector`` would give out for ``request``."""
        return Connection(connector, request.connection_key, self, self._loop)

    def hold(self, connector: BaseConnector, request: ClientRequest) -> None:
        """Have ``connector`` close this when it is closed."""
        for acquired in _acquired(connector, request.connection_key):
            acquired.add(self)

    def adopt(self, connection: Connection, listener: HttpResponseListener | None) -> Transport:
        """Take the transport of ``connection``, which is no more, from the stage's place."""
        theirs = connection._protocol
        assert theirs is not None
        assert theirs.transport is not None
        transport = theirs.transport
        for acquired in _acquired(connection._connector, connection._key):
            acquired.discard(theirs)
            acquired.add(self)
        # neither of the two may close or release what is ours now
        connection._protocol = None
        theirs.transport = None
        self._stage = None
        self._should_close = False
        self._listener = listener
        transport.set_protocol(self)
        self.connection_made(transport)
        return transport

    def overdue(self) -> TimeoutError | None:
        """The error of the request's time limit, if that is what ended it."""
        try:
            self._deadline.assert_timeout()
        except TimeoutError as error:
            return error
        return None

    def fail(self, error: Exception) -> None:
        """End what is awaited, an answer or the rest of one, with ``error``."""
        payload = self._payload
        self.set_exception(error)
        if payload is not None:
            payload.set_exception(error)

    def set_response_params(self, *, timer: BaseTimerContext | None = None, **params: Any) -> None:
        self._deadline = timer or TimerNoop()
        super().set_response_params(timer=_Reading(self, self._deadline), **params)

    def start_timeout(self) -> None:
        if self._stage is None:
            super().start_timeout()
        else:
            self._stage.request_sent()

    def _reschedule_timeout(self) -> None:
        if self._stage is None:
            super()._reschedule_timeout()

    def awaited(self) -> None:
        """The caller waits for more of the body."""
        if self._stage is not None:
            self._stage.awaited()

    def all_awaited(self) -> None:
        """The caller waits for the end of the body, and reads nothing meanwhile."""
        if self._stage is not None:
            self._stage.all_awaited()

    def data_received(self, data: bytes) -> None:
        if self._listener is not None:
            self._listener.receive(data)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._listener is not None:
            self._listener.end_connection(exc)
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        self.broke(exc)
        super().set_exception(exc, *cause)

    def broke(self, error: BaseException) -> None:
        """Reading ended in ``error``."""
        if self._listener is not None:
            self._listener.fail(error, during_reading(error))

    def close(self) -> None:
        self._left()
        super().close()

    def abort(self) -> None:
        self._left()
        super().abort()

    def _left(self) -> None:
        if self._listener is None:
            return
        late = self.overdue()
        if late is not None:
            self.broke(late)
        self._listener.abandon()
        self._listener = None


class _Reading(BaseTimerContext):
    """The time limit of a request, which aiohttp enters when a body is awaited."""

    def __init__(self, handler: Handler, deadline: BaseTimerContext) -> None:
        self._handler = handler
        self._deadline = deadline

    def assert_timeout(self) -> None:
        self._deadline.assert_timeout()

    def __enter__(self) -> BaseTimerContext:
        self._deadline.__enter__()
        self._handler.awaited()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return self._deadline.__exit__(kind, error, traceback)
        except TimeoutError as late:
            self._handler.broke(late)
            raise


def handler_of(body: StreamReader) -> Handler | None:
    """Where ``body`` comes in; None if that is none of ours."""
    handler = body._protocol
    return handler if isinstance(handler, Handler) else None


def _acquired(connector: BaseConnector, key: Any) -> list[set[ResponseHandler]]:
    acquired = [connector._acquired]
    # where there is no limit per host, old versions count by host all the same, and new ones do not
    if connector.limit_per_host or key in connector._acquired_per_host:
        acquired.append(connector._acquired_per_host[key])
    return acquired
