"""Replay a recorded gRPC call on an asyncio channel. ``aio_core`` explains what a call's core is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from multitrack.errors import CassetteMiss
from multitrack.tape.interceptors.grpc import callables, grpc_replay
from multitrack.tape.interceptors.grpc.grpc_call import GrpcMethod, GrpcStatus, Pairs
from multitrack.tape.interceptors.grpc.grpc_replay import GrpcReplay, Step, StreamRequestReplay


class ReplayedCore:
    """The core of a replayed gRPC call. After ``start_replay`` has been called, the core answers from a recording.

    ``aio_core`` explains what a call's core is.

    Args:
        method: The gRPC method of the call.
        to_json: Converts a serialized message to protobuf JSON.
        deadline: When the call times out, on the clock of ``time.time``; None for no deadline.
        uses_write: Whether the caller sends requests with ``write`` instead of an iterator.
    """

    def __init__(
        self, method: GrpcMethod, to_json: Callable[[bytes], bytes], deadline: float | None, uses_write: bool
    ) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self._method = method
        self._to_json = to_json
        self._deadline = deadline
        self._uses_write = uses_write
        self._replay: GrpcReplay | None = None
        self._final_status: GrpcStatus | None = None
        self._miss: CassetteMiss | None = None
        self._is_locally_cancelled = False
        self._is_delayed = False
        self._changed = asyncio.Event()

    def start_replay(self, replay: GrpcReplay) -> None:
        """Answer the call from a recording."""
        self._replay = replay

    def fail(self, miss: CassetteMiss) -> None:
        """End the call with ``miss``, which is raised when the caller asks for a response, metadata or the status."""
        if not self.done():
            self._miss = miss
            self._notify_finished()

    def done(self) -> bool:
        return self._final_status is not None or self._miss is not None

    def is_ok(self) -> bool:
        return self._final_status is not None and self._final_status.code is grpc.StatusCode.OK

    def cancelled(self) -> bool:
        return self._final_status is not None and self._final_status.code is grpc.StatusCode.CANCELLED

    def is_locally_cancelled(self) -> bool:
        return self._is_locally_cancelled

    def cancel(self, details: str) -> None:
        if not self.done():
            self._is_locally_cancelled = True
            if self._replay is not None:
                self._replay.abandon()
            self._finish(GrpcStatus(grpc.StatusCode.CANCELLED, details))

    def set_internal_error(self, details: str) -> None:
        self._finish(GrpcStatus(grpc.StatusCode.INTERNAL, details))

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        if self.done():
            callback()
        else:
            self.callbacks.append(callback)

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.time())

    @property
    def _status(self) -> Any:
        # if there is no response, a caller that awaits one reads the status, so the miss must be raised here, too
        self._raise_miss()
        return None if self._final_status is None else _to_core_status(self._final_status)

    @property
    def _initial_metadata(self) -> Any:
        self._raise_miss()
        response = self._replay.response if self._replay is not None else None
        return response.status.initial_metadata if response is not None else ()

    async def initial_metadata(self) -> Any:
        while not self.done() and self._replay is not None and self._replay.response is None:
            await self._wait_for_more()
        return self._initial_metadata

    async def status(self) -> Any:
        while not self.done():
            if self._method.streams_responses and (status := self._find_status()) is not None:
                # a live stream has a status after its messages were read, but the caller may never read them
                return _to_core_status(status)
            await self._wait_for_more()
        return self._status

    async def unary_unary(self, request: bytes, metadata: Pairs, *context: Any) -> bytes | None:
        del request, metadata, context
        return await self._response()

    async def initiate_unary_stream(self, request: bytes, metadata: Pairs, *context: Any) -> None:
        del request, metadata, context
        response = self._replay.response if self._replay is not None else None
        if response is not None and not response.messages and response.is_failure:
            # like a live call that fails at once, the call ends before it is read
            await self._next_message()

    async def stream_unary(self, metadata: Pairs, observer: Callable[[], None], *context: Any) -> bytes | None:
        del metadata, context
        observer()
        return await self._response()

    async def initiate_stream_stream(self, metadata: Pairs, observer: Callable[[], None], *context: Any) -> None:
        del metadata, context
        observer()

    async def receive_serialized_message(self) -> Any:
        await _let_others_run()
        wire = await self._next_message()
        self._raise_miss()
        return callables.EOF if wire is None else wire

    async def send_serialized_message(self, wire: bytes) -> None:
        await self._match(lambda replay: replay.match_message(self._to_json(wire)))

    async def send_receive_close(self) -> None:
        await self._match(StreamRequestReplay.match_end)

    async def _match(self, match: Callable[[StreamRequestReplay], None]) -> None:
        await _let_others_run()
        if not self.done() and isinstance(self._replay, StreamRequestReplay):
            with self._catch_miss():
                match(self._replay)
            self._changed.set()
        if self._uses_write:
            # not for an iterator: if the task that reads the iterator raised the miss, it would cancel the call
            self._raise_miss()

    async def _response(self) -> bytes | None:
        await _let_others_run()
        response = wire = await self._next_message()
        while wire is not None:
            wire = await self._next_message()
        return response if self.is_ok() else None

    async def _next_message(self) -> bytes | None:
        """Return the next message of the response. None after the last message."""
        while not self.done():
            step = self._next_step()
            if step is None:
                await self._wait_for_more()
                continue
            seconds, content = step
            await self._sleep(seconds)
            if self.done() or isinstance(content, bytes):
                return content if isinstance(content, bytes) and not self.done() else None
            if content is None:
                self._resolve_stall()
            else:
                self._finish(content)
        return None

    def _next_step(self) -> Step | None:
        with self._catch_miss():
            return self._replay.next_step() if self._replay is not None else None
        return None

    def _find_status(self) -> GrpcStatus | None:
        with self._catch_miss():
            return self._replay.status if self._replay is not None else None
        return None

    @contextmanager
    def _catch_miss(self) -> Iterator[None]:
        try:
            yield
        except CassetteMiss as miss:
            self.fail(miss)

    def _raise_miss(self) -> None:
        if self._miss is not None:
            raise self._miss

    async def _sleep(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        # a caller that asks for the status in the meantime has to wait just as long
        self._is_delayed = True
        while not self.done() and (remaining := due - time.monotonic()) > 0:
            await self._wait(remaining)
        self._is_delayed = False

    async def _wait_for_more(self) -> None:
        if not self.done() and not await self._wait(grpc_replay.STALL_SECONDS) and not self._is_delayed:
            self._resolve_stall()

    def _resolve_stall(self) -> None:
        # the call may have ended just as the wait timed out
        if not self.done() and self._replay is not None and (miss := self._replay.resolve_stall()) is not None:
            self.fail(miss)

    async def _wait(self, seconds: float) -> bool:
        """Wait for a change or the deadline. Return False if ``seconds`` pass without either."""
        remaining = self.time_remaining()
        has_deadline = remaining is not None and remaining <= seconds
        self._changed.clear()
        try:
            async with asyncio.timeout(remaining if has_deadline else seconds):
                await self._changed.wait()
        except TimeoutError:
            if has_deadline:
                self._finish(GrpcStatus(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
            return has_deadline
        return True

    def _finish(self, status: GrpcStatus) -> None:
        if not self.done():
            self._final_status = status
            self._notify_finished()

    def _notify_finished(self) -> None:
        self._changed.set()
        for callback in self.callbacks:
            callback()

    def __repr__(self) -> str:
        if self._final_status is None:
            return f"<{type(self).__name__} object>"
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {self._final_status.code}\n"
            f'\tdetails = "{self._final_status.details}"\n'
            ">"
        )


async def _let_others_run() -> None:
    """Yield to other tasks, as a live call does. A task that only replays calls would otherwise block asyncio."""
    await asyncio.sleep(0)


def _to_core_status(status: GrpcStatus) -> Any:
    return callables.create_core_status(status.code.value[0], status.details, status.trailing_metadata)
