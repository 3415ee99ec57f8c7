"""Record a live gRPC call on an asyncio channel. ``aio_core`` explains what a call's core is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from multitrack.tape.interceptors.grpc import callables
from multitrack.tape.interceptors.grpc.grpc_call import GrpcCallRecording, GrpcStatus


class RecordingCore:
    """A wrapper that records a live gRPC call. The wrapper replaces the call's core.

    ``to_json`` converts the most recently serialized message to protobuf JSON.
    """

    def __init__(self, live: Any, recording: GrpcCallRecording, to_json: Callable[[bytes], bytes]) -> None:
        self._live = live
        self._recording = recording
        self._to_json = to_json

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    def __repr__(self) -> str:
        return repr(self._live)

    async def unary_unary(self, *arguments: Any) -> Any:
        with self._record_errors():
            return self._record_response(await self._live.unary_unary(*arguments))

    async def stream_unary(self, *arguments: Any) -> Any:
        with self._record_errors():
            return self._record_response(await self._live.stream_unary(*arguments))

    async def initiate_unary_stream(self, *arguments: Any) -> None:
        with self._record_errors():
            await self._live.initiate_unary_stream(*arguments)
        self._record_start()

    async def initiate_stream_stream(self, *arguments: Any) -> None:
        with self._record_errors():
            await self._live.initiate_stream_stream(*arguments)
        self._record_start()

    async def send_serialized_message(self, wire: bytes) -> None:
        self._recording.record_request_message(self._to_json(wire))
        await self._live.send_serialized_message(wire)

    async def send_receive_close(self) -> None:
        self._recording.end_requests()
        await self._live.send_receive_close()

    async def receive_serialized_message(self) -> Any:
        wire = await self._live.receive_serialized_message()
        if wire is callables.EOF:
            await self.status()
        else:
            self._recording.add_message(wire)
            self._recording.record_messages(callables.find_initial_metadata(self._live))
        return wire

    async def status(self) -> Any:
        status = await self._live.status()
        self._recording.record_status(_find_status(self._live))
        return status

    def cancel(self, details: str) -> None:
        self._recording.abandon()
        self._live.cancel(details)

    def __del__(self) -> None:
        if self._live.done():
            self._recording.record_status(_find_status(self._live))
        else:
            self._recording.abandon()

    @contextmanager
    def _record_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._recording.record_failure(error)
            raise
        except BaseException:
            self._recording.abandon()
            raise

    def _record_response(self, wire: bytes | None) -> bytes | None:
        if wire is not None:
            self._recording.add_message(wire)
        self._recording.record_status(_find_status(self._live))
        return wire

    def _record_start(self) -> None:
        if self._live.done() and not self._live.is_ok():
            # recorded now, because the caller may never read from a call that has already ended
            self._recording.record_status(_find_status(self._live))
        else:
            self._recording.record_messages(callables.find_initial_metadata(self._live))


def _find_status(live: Any) -> GrpcStatus:
    code, details, initial, trailing = callables.find_status(live)
    return GrpcStatus.from_code(code, details, initial, trailing)
