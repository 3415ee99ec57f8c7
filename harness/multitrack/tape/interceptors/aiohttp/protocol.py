"""aiohttp's protocol for a connection that is opened only if a request must be sent to the network.

Only this module uses private names of aiohttp's connectors.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Transport
from types import TracebackType
from typing import Any, Protocol

from aiohttp import BaseConnector, ClientRequest, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.helpers import BaseTimerContext, TimerNoop

from multitrack.tape.interceptors.aiohttp.client_errors import during_reading
from multitrack.tape.interceptors.http1_listener import HttpResponseListener


class HandlerEvents(Protocol):
    """The callbacks that a ``DeferredResponseHandler`` calls until it has a real connection."""

    def on_request_sent(self) -> None:
        """Called when the request has been written, or will be written at the end of this event loop iteration."""

    def on_read(self) -> None:
        """Called when the caller waits for more of the body."""

    def on_read_to_end(self) -> None:
        """Called when the caller waits for the end of the body."""


class DeferredResponseHandler(ResponseHandler):
    """aiohttp's own protocol, which starts without a real connection.

    Time limits start when the request is sent over a real connection.

    Args:
        loop: The running event loop.
        transport: The transport until ``take_over`` is called; it also implements ``HandlerEvents``.
    """

    def __init__(self, loop: AbstractEventLoop, transport: Any) -> None:
        super().__init__(loop)
        self._events: HandlerEvents | None = transport
        self._time_limit: BaseTimerContext = TimerNoop()
        self._listener: HttpResponseListener | None = None
        self.connection_made(transport)
        # otherwise aiohttp would release this handler into the pool as if it were a connection
        self.force_close()

    def create_connection(self, connector: BaseConnector, request: ClientRequest) -> Connection:
        """Return a connection like those that ``connector`` creates for ``request``."""
        return Connection(connector, request.connection_key, self, self._loop)

    def register_with(self, connector: BaseConnector, request: ClientRequest) -> None:
        """Register this handler with ``connector``, so that closing the connector closes the handler."""
        for acquired in _acquired_sets(connector, request.connection_key):
            acquired.add(self)

    def take_over(self, connection: Connection, listener: HttpResponseListener | None) -> Transport:
        """Take the transport of ``connection`` for this handler. Afterwards, ``connection`` cannot be used.

        Args:
            connection: The real connection.
            listener: Records the response. None if it is not recorded.

        Returns:
            The transport of ``connection``.
        """
        real = connection._protocol
        assert real is not None
        assert real.transport is not None
        transport = real.transport
        for acquired in _acquired_sets(connection._connector, connection._key):
            acquired.discard(real)
            acquired.add(self)
        # neither the connection nor its protocol may close or release the transport any more
        connection._protocol = None
        real.transport = None
        self._events = None
        self._should_close = False
        self._listener = listener
        transport.set_protocol(self)
        self.connection_made(transport)
        return transport

    def find_timeout(self) -> TimeoutError | None:
        """Return the timeout error if the request's time limit has expired. None otherwise."""
        try:
            self._time_limit.assert_timeout()
        except TimeoutError as error:
            return error
        return None

    def fail(self, error: Exception) -> None:
        """Raise ``error`` in the caller, which is waiting for a response or for more of its body."""
        payload = self._payload
        self.set_exception(error)
        if payload is not None:
            payload.set_exception(error)

    def set_response_params(self, *, timer: BaseTimerContext | None = None, **params: Any) -> None:
        self._time_limit = timer or TimerNoop()
        super().set_response_params(timer=_ReadTimer(self, self._time_limit), **params)

    def start_timeout(self) -> None:
        if self._events is None:
            super().start_timeout()
        else:
            self._events.on_request_sent()

    def _reschedule_timeout(self) -> None:
        if self._events is None:
            super()._reschedule_timeout()

    def notify_read(self) -> None:
        """Signal that the caller is waiting for more of the body."""
        if self._events is not None:
            self._events.on_read()

    def notify_read_to_end(self) -> None:
        """Signal that the caller is waiting for the end of the body without reading it."""
        if self._events is not None:
            self._events.on_read_to_end()

    def data_received(self, data: bytes) -> None:
        if self._listener is not None:
            self._listener.receive(data)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._listener is not None:
            self._listener.end_connection(exc)
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        self.record_error(exc)
        super().set_exception(exc, *cause)

    def record_error(self, error: BaseException) -> None:
        """Record that reading failed with ``error``."""
        if self._listener is not None:
            self._listener.fail(error, during_reading(error))

    def close(self) -> None:
        self._record_close()
        super().close()

    def abort(self) -> None:
        self._record_close()
        super().abort()

    def _record_close(self) -> None:
        if self._listener is None:
            return
        timeout = self.find_timeout()
        if timeout is not None:
            self.record_error(timeout)
        self._listener.abandon()
        self._listener = None


class _ReadTimer(BaseTimerContext):
    """The time limit of a request. aiohttp enters this context manager whenever the caller waits for the body."""

    def __init__(self, handler: DeferredResponseHandler, time_limit: BaseTimerContext) -> None:
        self._handler = handler
        self._time_limit = time_limit

    def assert_timeout(self) -> None:
        self._time_limit.assert_timeout()

    def __enter__(self) -> BaseTimerContext:
        self._time_limit.__enter__()
        self._handler.notify_read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return self._time_limit.__exit__(kind, error, traceback)
        except TimeoutError as timeout:
            self._handler.record_error(timeout)
            raise


def find_handler(body: StreamReader) -> DeferredResponseHandler | None:
    """Return the handler that receives ``body``. None if this interceptor did not create the handler."""
    handler = body._protocol
    return handler if isinstance(handler, DeferredResponseHandler) else None


def _acquired_sets(connector: BaseConnector, key: Any) -> list[set[ResponseHandler]]:
    acquired = [connector._acquired]
    # without a limit per host, old versions of aiohttp count per host anyway, and new ones do not
    if connector.limit_per_host or key in connector._acquired_per_host:
        acquired.append(connector._acquired_per_host[key])
    return acquired
