"""What stands below a call of an asyncio channel, in the place of the core that gRPC makes of it: a core that a tape
answers, and one that is being recorded.

The caller holds grpc's own calls, `grpc.aio.UnaryUnaryCall` and its like, whose methods call these; so their names,
and what they give and raise, are those of grpc's core
(https://github.com/grpc/grpc/blob/master/src/python/grpcio/grpc/_cython/_cygrpc/aio/call.pyx.pxi).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from grpc import aio

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Conversation, Passthrough, Replay, Request, ResponseRecorder, Router
from multitrack.tape.interceptors.grpc import callables, replay
from multitrack.tape.interceptors.grpc.grpc_call import Method, Pairs, Status, Take
from multitrack.tape.interceptors.grpc.replay import Answer, Dialogue, Recorded, Script, Step

_EOF: Any = aio.EOF  # type: ignore[attr-defined]  # grpc-stubs do not know it

Live = Callable[[], Any]
Observer = Callable[[], None]
Write = Callable[[bytes], bytes]
"""Makes protobuf JSON of the wire bytes of the message that was serialized last."""


class TapedCall:
    """The core of a call. Which way it goes is known when its caller begins to send; until then it can be cancelled
    only. ``live`` makes the real core."""

    def __init__(
        self,
        tape: Router,
        method: Method,
        *,
        channel: Any,
        live: Live,
        request: Callable[[bytes, Pairs], Request],
        write: Write,
        deadline: float | None,
        by_hand: bool,
    ) -> None:
        self._tape = tape
        self._method = method
        self._channel = channel  # grpc 1.66 looks for it when the channel closes
        self._live = live
        self._request = request
        self._write = write
        self._call: Any = ReplayedCall(method, write, deadline, by_hand)
        self._routed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __repr__(self) -> str:
        return repr(self._call)

    async def unary_unary(self, request: bytes, metadata: Pairs, *context: Any) -> Any:
        self._route(request, metadata)
        return await self._call.unary_unary(request, metadata, *context)

    async def initiate_unary_stream(self, request: bytes, metadata: Pairs, *context: Any) -> None:
        self._route(request, metadata)
        await self._call.initiate_unary_stream(request, metadata, *context)

    async def stream_unary(self, metadata: Pairs, observer: Observer, *context: Any) -> Any:
        self._converse(metadata)
        return await self._call.stream_unary(metadata, observer, *context)

    async def initiate_stream_stream(self, metadata: Pairs, observer: Observer, *context: Any) -> None:
        self._converse(metadata)
        await self._call.initiate_stream_stream(metadata, observer, *context)

    async def status(self) -> Any:
        await self._routed.wait()
        return await self._call.status()

    async def initial_metadata(self) -> Any:
        await self._routed.wait()
        return await self._call.initial_metadata()

    def cancel(self, details: str) -> None:
        self._call.cancel(details)
        self._routed.set()

    def _route(self, wire: bytes, metadata: Pairs) -> None:
        if self._call.done():
            return  # cancelled before anything was sent
        request = self._request(wire, metadata)
        with self._routing():
            route = self._tape.route(request)
            if isinstance(route, Replay):
                self._call.play(Answer(Recorded.of(self._method, route, self._tape)))
            else:
                self._go_live(route, request)

    def _converse(self, metadata: Pairs) -> None:
        if self._call.done():
            return
        request = self._method.opening(metadata)
        with self._routing():
            route = self._tape.route_stream(request)
            if isinstance(route, Conversation):
                self._call.play(Dialogue(self._method, request, route, self._tape))
            else:
                self._go_live(route, request)

    @contextmanager
    def _routing(self) -> Iterator[None]:
        try:
            yield
        except CassetteMiss as miss:
            # raised to who awaits the call, and not into a task of gRPC's, where nobody may ever look
            self._call.violate(miss)
        finally:
            self._routed.set()

    def _go_live(self, route: Passthrough | ResponseRecorder, request: Request) -> None:
        if isinstance(route, Passthrough):
            self._adopt(self._live())
            return
        try:
            live = self._live()
        except Exception as error:
            route.record_failure(error)
            raise
        self._adopt(RecordedCall(live, Take(route, self._method, request), self._write))

    def _adopt(self, call: Any) -> None:
        for callback in self._call.callbacks:
            call.add_done_callback(callback)
        self._call = call


class ReplayedCall:
    """A core that a tape answers, once it is told what to `play`."""

    def __init__(self, method: Method, write: Write, deadline: float | None, by_hand: bool) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self._method = method
        self._write = write
        self._deadline = deadline
        self._by_hand = by_hand
        self._script: Script | None = None
        self._end: Status | None = None
        self._violation: CassetteMiss | None = None
        self._is_locally_cancelled = False
        self._is_slow = False
        self._changed = asyncio.Event()

    def play(self, script: Script) -> None:
        """Answer with ``script``."""
        self._script = script

    def violate(self, violation: CassetteMiss) -> None:
        """End with ``violation``, to be raised to whoever asks."""
        if not self.done():
            self._violation = violation
            self._over()

    def done(self) -> bool:
        return self._end is not None or self._violation is not None

    def is_ok(self) -> bool:
        return self._end is not None and self._end.code is grpc.StatusCode.OK

    def cancelled(self) -> bool:
        return self._end is not None and self._end.code is grpc.StatusCode.CANCELLED

    def is_locally_cancelled(self) -> bool:
        return self._is_locally_cancelled

    def cancel(self, details: str) -> None:
        if not self.done():
            self._is_locally_cancelled = True
            if self._script is not None:
                self._script.left()
            self._ended(Status(grpc.StatusCode.CANCELLED, details))

    def set_internal_error(self, details: str) -> None:
        self._ended(Status(grpc.StatusCode.INTERNAL, details))

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        if self.done():
            callback()
        else:
            self.callbacks.append(callback)

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.time())

    @property
    def _status(self) -> Any:
        # here a caller who awaits the response finds out that there is none
        self._raise_violation()
        return None if self._end is None else _core_status(self._end)

    @property
    def _initial_metadata(self) -> Any:
        self._raise_violation()
        recorded = self._script.recorded if self._script is not None else None
        return recorded.status.initial if recorded is not None else ()

    async def initial_metadata(self) -> Any:
        while not self.done() and self._script is not None and self._script.recorded is None:
            await self._wait_for_more()
        return self._initial_metadata

    async def status(self) -> Any:
        while not self.done():
            if self._method.streams_responses and (status := self._told_status()) is not None:
                # a live stream tells it once it was read, which nobody may be about to do
                return _core_status(status)
            await self._wait_for_more()
        return self._status

    async def unary_unary(self, request: bytes, metadata: Pairs, *context: Any) -> bytes | None:
        del request, metadata, context
        return await self._response()

    async def initiate_unary_stream(self, request: bytes, metadata: Pairs, *context: Any) -> None:
        del request, metadata, context
        recorded = self._script.recorded if self._script is not None else None
        if recorded is not None and not recorded.messages and recorded.is_failure:
            # as a live one that fails at once, it is over before it is read
            await self._taken()

    async def stream_unary(self, metadata: Pairs, observer: Observer, *context: Any) -> bytes | None:
        del metadata, context
        observer()
        return await self._response()

    async def initiate_stream_stream(self, metadata: Pairs, observer: Observer, *context: Any) -> None:
        del metadata, context
        observer()

    async def receive_serialized_message(self) -> Any:
        await _let_others_run()
        wire = await self._taken()
        self._raise_violation()
        return _EOF if wire is None else wire

    async def send_serialized_message(self, wire: bytes) -> None:
        await self._told(lambda dialogue: dialogue.sent(self._write(wire)))

    async def send_receive_close(self) -> None:
        await self._told(Dialogue.closed)

    async def _told(self, tell: Callable[[Dialogue], None]) -> None:
        await _let_others_run()
        if not self.done() and isinstance(self._script, Dialogue):
            with self._violating():
                tell(self._script)
            self._changed.set()
        if self._by_hand:
            # the task that reads a caller's iterator would make a cancelled call of it
            self._raise_violation()

    async def _response(self) -> bytes | None:
        await _let_others_run()
        response = wire = await self._taken()
        while wire is not None:
            wire = await self._taken()
        return response if self.is_ok() else None

    async def _taken(self) -> bytes | None:
        """The next message; None at the end."""
        while not self.done():
            step = self._next()
            if step is None:
                await self._wait_for_more()
                continue
            seconds, given = step
            await self._sleep(seconds)
            if self.done() or isinstance(given, bytes):
                return given if isinstance(given, bytes) and not self.done() else None
            if given is None:
                self._stalled()
            else:
                self._ended(given)
        return None

    def _next(self) -> Step | None:
        with self._violating():
            return self._script.next() if self._script is not None else None
        return None

    def _told_status(self) -> Status | None:
        with self._violating():
            return self._script.status if self._script is not None else None
        return None

    @contextmanager
    def _violating(self) -> Iterator[None]:
        try:
            yield
        except CassetteMiss as miss:
            self.violate(miss)

    def _raise_violation(self) -> None:
        if self._violation is not None:
            raise self._violation

    async def _sleep(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        # who asks for the status meanwhile waits as long
        self._is_slow = True
        while not self.done() and (left := due - time.monotonic()) > 0:
            await self._wait(left)
        self._is_slow = False

    async def _wait_for_more(self) -> None:
        if not self.done() and not await self._wait(replay.PATIENCE) and not self._is_slow:
            self._stalled()

    def _stalled(self) -> None:
        # it may have ended in the moment in which somebody lost patience
        if not self.done() and self._script is not None and (miss := self._script.stalled()) is not None:
            self.violate(miss)

    async def _wait(self, seconds: float) -> bool:
        """Wait for a change, the deadline's passing among them; False if there was none for so many seconds."""
        left = self.time_remaining()
        limited = left is not None and left <= seconds
        self._changed.clear()
        try:
            async with asyncio.timeout(left if limited else seconds):
                await self._changed.wait()
        except TimeoutError:
            if limited:
                self._ended(Status(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
            return limited
        return True

    def _ended(self, status: Status) -> None:
        if not self.done():
            self._end = status
            self._over()

    def _over(self) -> None:
        self._changed.set()
        for callback in self.callbacks:
            callback()

    def __repr__(self) -> str:
        if self._end is None:
            return f"<{type(self).__name__} object>"
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {self._end.code}\n"
            f'\tdetails = "{self._end.details}"\n'
            ">"
        )


class RecordedCall:
    """A live core, told to the tape."""

    def __init__(self, live: Any, take: Take, write: Write) -> None:
        self._live = live
        self._take = take
        self._write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    def __repr__(self) -> str:
        return repr(self._live)

    async def unary_unary(self, *arguments: Any) -> Any:
        with self._telling():
            return self._answered(await self._live.unary_unary(*arguments))

    async def stream_unary(self, *arguments: Any) -> Any:
        with self._telling():
            return self._answered(await self._live.stream_unary(*arguments))

    async def initiate_unary_stream(self, *arguments: Any) -> None:
        with self._telling():
            await self._live.initiate_unary_stream(*arguments)
        self._begun()

    async def initiate_stream_stream(self, *arguments: Any) -> None:
        with self._telling():
            await self._live.initiate_stream_stream(*arguments)
        self._begun()

    async def send_serialized_message(self, wire: bytes) -> None:
        self._take.sent(self._write(wire))
        await self._live.send_serialized_message(wire)

    async def send_receive_close(self) -> None:
        self._take.closed()
        await self._live.send_receive_close()

    async def receive_serialized_message(self) -> Any:
        wire = await self._live.receive_serialized_message()
        if wire is _EOF:
            await self.status()
        else:
            self._take.arrived(wire)
            self._take.head(callables.initial_metadata_of(self._live))
        return wire

    async def status(self) -> Any:
        status = await self._live.status()
        self._take.over(_status(self._live))
        return status

    def cancel(self, details: str) -> None:
        self._take.left()
        self._live.cancel(details)

    def __del__(self) -> None:
        if self._live.done():
            self._take.over(_status(self._live))
        else:
            self._take.left()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._take.failed(error)
            raise
        except BaseException:
            self._take.left()
            raise

    def _answered(self, wire: bytes | None) -> bytes | None:
        if wire is not None:
            self._take.arrived(wire)
        self._take.over(_status(self._live))
        return wire

    def _begun(self) -> None:
        if self._live.done() and not self._live.is_ok():
            # nobody may read what is over already
            self._take.over(_status(self._live))
        else:
            self._take.head(callables.initial_metadata_of(self._live))


async def _let_others_run() -> None:
    """As a live call does, which waits for the network: a task that replays many would keep the loop to itself."""
    await asyncio.sleep(0)


def _status(live: Any) -> Status:
    code, details, initial, trailing = callables.status_of(live)
    return Status.numbered(code, details, initial, trailing)


def _core_status(status: Status) -> Any:
    return callables.asyncio_status(status.code.value[0], status.details, status.trailing)
