"""What a caller on a synchronous channel holds in hands: calls answered from a tape, and calls being recorded.

All are grpc's own interfaces, `grpc.Call` and `grpc.Future`, so that interceptors and api_core, which ask by
``isinstance`` and call ``.result()``, take them for what a live channel gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Ending
from multitrack.tape.seams.grpc_exchange import Metadata, Status, Take

if TYPE_CHECKING:
    Future = grpc.Future[Any]
else:
    Future = grpc.Future


class Answered(grpc.Call, Future):
    """A call that is over, with its response."""

    def __init__(self, status: Status, response: Any = None) -> None:
        super().__init__()
        self._status = status
        self._response = response

    def code(self) -> grpc.StatusCode:
        return self._status.code

    def details(self) -> str:
        return self._status.details

    def initial_metadata(self) -> Metadata:
        return self._status.initial

    def trailing_metadata(self) -> Metadata:
        return self._status.trailing

    def debug_error_string(self) -> str:
        return f"{self._status.code.name}:{self._status.details}" if self._status.details else ""

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:  # type: ignore[override]  # grpc documents None: no deadline
        return None

    def add_callback(self, callback: Callable[[], None]) -> bool:
        del callback
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> Any:
        del timeout
        return self._response

    def exception(self, timeout: float | None = None) -> Exception | None:
        del timeout
        return None

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        del timeout
        return None

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        fn(self)

    def __str__(self) -> str:
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {self.code()}\n"
            f'\tdetails = "{self.details()}"\n'
            ">"
        )

    __repr__ = __str__


class Failed(Answered, grpc.RpcError):  # type: ignore[misc]  # at run time RpcError has no methods
    """A call that ended with a status other than OK: the call, and the exception that tells it."""

    def result(self, timeout: float | None = None) -> Any:
        del timeout
        raise self

    def exception(self, timeout: float | None = None) -> Exception | None:
        del timeout
        return self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        del timeout
        try:
            raise self
        except grpc.RpcError as error:
            return error.__traceback__


class _Cancelled(Failed):
    def __init__(self) -> None:
        super().__init__(Status(grpc.StatusCode.CANCELLED, "Locally cancelled by application!"))

    def cancelled(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> Any:
        del timeout
        raise grpc.FutureCancelledError

    def exception(self, timeout: float | None = None) -> Exception | None:
        del timeout
        raise grpc.FutureCancelledError

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        del timeout
        raise grpc.FutureCancelledError


def over(status: Status, response: Any = None) -> Answered:
    """The call that ended with ``status``."""
    return Answered(status, response) if status.code is grpc.StatusCode.OK else Failed(status)


class _Standing(grpc.Call, Future):
    """A call in front of another, ``_call``, which answers whatever a subclass does not."""

    _call: Any

    def code(self) -> Any:
        return self._call.code()

    def details(self) -> Any:
        return self._call.details()

    def initial_metadata(self) -> Any:
        return self._call.initial_metadata()

    def trailing_metadata(self) -> Any:
        return self._call.trailing_metadata()

    def debug_error_string(self) -> Any:
        return self._call.debug_error_string()

    def is_active(self) -> Any:
        return self._call.is_active()

    def time_remaining(self) -> Any:
        return self._call.time_remaining()

    def add_callback(self, callback: Callable[[], None]) -> Any:
        return self._call.add_callback(callback)

    def cancel(self) -> Any:
        return self._call.cancel()

    def cancelled(self) -> Any:
        return self._call.cancelled()

    def running(self) -> Any:
        return self._call.running()

    def done(self) -> Any:
        return self._call.done()

    def result(self, timeout: float | None = None) -> Any:
        return self._call.result(timeout)

    def exception(self, timeout: float | None = None) -> Any:
        return self._call.exception(timeout)

    def traceback(self, timeout: float | None = None) -> Any:
        return self._call.traceback(timeout)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: fn(self))


class ReplayedStream(_Standing):
    """The messages of a recorded answer, then its status: the end, or the error.

    A recording that ``ending`` says was left early is at its own end before the answer is: who reads on gets
    what ``beyond`` gives.
    """

    def __init__(
        self,
        status: Status,
        ending: Ending,
        wires: Sequence[bytes],
        read: Callable[[bytes], Any],
        beyond: Callable[[], CassetteMiss],
    ) -> None:
        self._call = over(status)
        self._ending = ending
        self._rest = iter(wires)
        self._read = read
        self._beyond = beyond
        self._active = True
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def __iter__(self) -> ReplayedStream:
        return self

    def __next__(self) -> Any:
        if self._active:
            for wire in self._rest:
                return self._read(wire)
            if self._ending == "left":
                raise self._beyond()
            self._end()
        if isinstance(self._call, Failed):
            raise self._call
        raise StopIteration

    def is_active(self) -> bool:
        return self._active

    def running(self) -> bool:
        return self._active

    def done(self) -> bool:
        return not self._active

    def cancel(self) -> bool:
        return self._end(_Cancelled())

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._lock:
            if self._active:
                self._callbacks.append(callback)
            return self._active

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def _end(self, call: Answered | None = None) -> bool:
        with self._lock:
            if not self._active:
                return False
            self._active = False
            if call is not None:
                self._call = call
        for callback in self._callbacks:
            callback()
        return True


class RecordedFuture(_Standing):
    """A live future, told to the tape when its caller learns how it ended, or drops it."""

    def __init__(self, live: Any, take: Take) -> None:
        self._call = live
        self._take = take

    def code(self) -> Any:
        with self._telling():
            return self._call.code()

    def result(self, timeout: float | None = None) -> Any:
        with self._telling():
            return self._call.result(timeout)

    def exception(self, timeout: float | None = None) -> Any:
        with self._telling():
            return self._call.exception(timeout)

    def traceback(self, timeout: float | None = None) -> Any:
        with self._telling():
            return self._call.traceback(timeout)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        def tell(live: Any) -> None:
            self._take.ended(live)
            fn(self)

        self._call.add_done_callback(tell)

    def __del__(self) -> None:
        if self._call.done():
            self._take.ended(self._call)
        else:
            self._take.failed(grpc.FutureCancelledError("the caller dropped the call"))

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._call.done():
                self._take.ended(self._call)


class RecordedStream(_Standing):
    """A live stream of responses, each told to the tape as the caller takes it."""

    def __init__(self, live: Any, take: Take) -> None:
        self._call = live
        self._take = take

    def __iter__(self) -> RecordedStream:
        return self

    def __next__(self) -> Any:
        try:
            message = next(self._call)
        except (StopIteration, grpc.RpcError):
            self._take.ended(self._call)
            raise
        self._take.head(self._call.initial_metadata())
        return message

    def cancel(self) -> bool:
        cancelled: bool = self._call.cancel()
        if cancelled:
            self._take.left()
        return cancelled

    def __del__(self) -> None:
        if self._call.done():
            self._take.ended(self._call)
        else:
            self._take.left()
