"""The core object inside a call on an asyncio channel. It asks the tape how to route the call.

The caller gets one of grpc's own calls, such as ``grpc.aio.UnaryUnaryCall``. Its methods call the methods of a core.
The methods here therefore have the same names, results and errors as those of grpc's core
(https://github.com/grpc/grpc/blob/master/src/python/grpcio/grpc/_cython/_cygrpc/aio/call.pyx.pxi).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Conversation, Passthrough, Replay, Request, ResponseRecorder, Router
from multitrack.tape.interceptors.grpc.aio_recording_core import RecordingCore
from multitrack.tape.interceptors.grpc.aio_replayed_core import ReplayedCore
from multitrack.tape.interceptors.grpc.grpc_call import GrpcCallRecording, GrpcMethod, Pairs
from multitrack.tape.interceptors.grpc.grpc_replay import (
    RecordedGrpcResponse,
    StreamRequestReplay,
    UnaryRequestReplay,
)

Observer = Callable[[], None]


class RoutedCore:
    """The core of a gRPC call. The call is routed when its caller starts to send; until then, it can only be cancelled.

    Args:
        tape: The open tape.
        method: The method that is called.
        channel: The channel's core.
        create_live: Creates the real core.
        create_request: Returns the request for a serialized message and the metadata.
        to_json: Converts bytes to protobuf JSON. The bytes must be the message that was serialized last.
        deadline: When the call times out, on the clock of ``time.time``; None for no deadline.
        uses_write: Whether the caller sends requests with ``write`` instead of an iterator.
    """

    def __init__(
        self,
        tape: Router,
        method: GrpcMethod,
        *,
        channel: Any,
        create_live: Callable[[], Any],
        create_request: Callable[[bytes, Pairs], Request],
        to_json: Callable[[bytes], bytes],
        deadline: float | None,
        uses_write: bool,
    ) -> None:
        self._tape = tape
        self._method = method
        self._channel = channel  # grpc 1.66 reads it when the channel is closed
        self._create_live = create_live
        self._create_request = create_request
        self._to_json = to_json
        self._core: Any = ReplayedCore(method, to_json, deadline, uses_write)
        self._routed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def __repr__(self) -> str:
        return repr(self._core)

    async def unary_unary(self, request: bytes, metadata: Pairs, *context: Any) -> Any:
        self._route(request, metadata)
        return await self._core.unary_unary(request, metadata, *context)

    async def initiate_unary_stream(self, request: bytes, metadata: Pairs, *context: Any) -> None:
        self._route(request, metadata)
        await self._core.initiate_unary_stream(request, metadata, *context)

    async def stream_unary(self, metadata: Pairs, observer: Observer, *context: Any) -> Any:
        self._route_stream(metadata)
        return await self._core.stream_unary(metadata, observer, *context)

    async def initiate_stream_stream(self, metadata: Pairs, observer: Observer, *context: Any) -> None:
        self._route_stream(metadata)
        await self._core.initiate_stream_stream(metadata, observer, *context)

    async def status(self) -> Any:
        await self._routed.wait()
        return await self._core.status()

    async def initial_metadata(self) -> Any:
        await self._routed.wait()
        return await self._core.initial_metadata()

    def cancel(self, details: str) -> None:
        self._core.cancel(details)
        self._routed.set()

    def _route(self, wire: bytes, metadata: Pairs) -> None:
        if self._core.done():
            return  # cancelled before anything was sent
        request = self._create_request(wire, metadata)
        with self._catch_miss():
            route = self._tape.route(request)
            if isinstance(route, Replay):
                self._core.start_replay(
                    UnaryRequestReplay(RecordedGrpcResponse.from_replay(self._method, route, self._tape))
                )
            else:
                self._go_live(route, request)

    def _route_stream(self, metadata: Pairs) -> None:
        if self._core.done():
            return
        request = self._method.create_stream_request(metadata)
        with self._catch_miss():
            route = self._tape.route_stream(request)
            if isinstance(route, Conversation):
                self._core.start_replay(StreamRequestReplay(self._method, request, route, self._tape))
            else:
                self._go_live(route, request)

    @contextmanager
    def _catch_miss(self) -> Iterator[None]:
        try:
            yield
        except CassetteMiss as miss:
            # raised where the call is awaited, because an error in one of gRPC's tasks may never be noticed
            self._core.fail(miss)
        finally:
            self._routed.set()

    def _go_live(self, route: Passthrough | ResponseRecorder, request: Request) -> None:
        if isinstance(route, Passthrough):
            self._replace_core(self._create_live())
            return
        try:
            live = self._create_live()
        except Exception as error:
            route.record_failure(error)
            raise
        self._replace_core(RecordingCore(live, GrpcCallRecording(route, self._method, request), self._to_json))

    def _replace_core(self, core: Any) -> None:
        for callback in self._core.callbacks:
            core.add_done_callback(callback)
        self._core = core
