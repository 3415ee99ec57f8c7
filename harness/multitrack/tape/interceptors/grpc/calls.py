"""What a caller on a synchronous channel holds in hands: calls answered from a tape, and calls being recorded.

All are grpc's own interfaces, `grpc.Call` and `grpc.Future`, so that interceptors and api_core, which ask by
``isinstance`` and call ``.result()``, take them for what a live channel gives.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc

from multitrack.errors import CassetteMiss
from multitrack.tape.interceptors.grpc import replay
from multitrack.tape.interceptors.grpc.grpc_call import Metadata, Status, Take
from multitrack.tape.interceptors.grpc.replay import Dialogue, Script, Step

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
    """A call in front of another, which answers whatever a subclass does not."""

    @property
    @abstractmethod
    def _call(self) -> Any: ...

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


class Replayed(_Standing):
    """A call that a tape answers, step by step; ``deadline`` is by `time.monotonic`. Threads share it."""

    def __init__(self, script: Script, read: Callable[[bytes], Any], deadline: float | None) -> None:
        self._script = script
        self._read = read
        self._deadline = deadline
        self._end: Answered | None = None
        self._violation: BaseException | None = None
        self._callbacks: list[Callable[[], None]] = []
        # what it guards may be asked for by a callback, which runs within
        self._changed = threading.Condition(threading.RLock())

    @abstractmethod
    def _went_on(self) -> None:
        """More was sent."""

    def sent(self, dialogue: Dialogue, message: bytes) -> None:
        """The client sent ``message``, protobuf JSON."""
        self._tell(lambda: dialogue.sent(message))

    def closed(self, dialogue: Dialogue) -> None:
        """The client has no more to send."""
        self._tell(dialogue.closed)

    def failed(self, error: BaseException) -> None:
        """The client could not go on: a `Failed` is how the call ends, anything else is raised as it is."""
        with self._changed:
            if isinstance(error, Failed):
                self._ended(error)
            else:
                self._violated(error)

    def _tell(self, tell: Callable[[], None]) -> None:
        with self._changed:
            if self.is_active():
                with self._violating():
                    tell()
                    self._went_on()
                self._changed.notify_all()

    def is_active(self) -> bool:
        return self._end is None and self._violation is None

    def running(self) -> bool:
        return self.is_active()

    def done(self) -> bool:
        return not self.is_active()

    def cancelled(self) -> bool:
        return isinstance(self._end, _Cancelled)

    def cancel(self) -> bool:
        if not self._ended(_Cancelled()):
            return False
        self._script.left()
        return True

    def time_remaining(self) -> float | None:  # type: ignore[override]  # grpc documents None: no deadline
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._changed:
            if self.is_active():
                self._callbacks.append(callback)
            return self.is_active()

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def __del__(self) -> None:
        if self.is_active():
            self._script.left()

    def _ended(self, call: Answered) -> bool:
        with self._changed:
            if not self.is_active():
                return False
            self._end = call
            self._over()
        return True

    def _violated(self, violation: BaseException) -> None:
        with self._changed:
            if self.is_active():
                self._violation = violation
                self._over()

    def _over(self) -> None:
        self._changed.notify_all()
        for callback in self._callbacks:
            callback()

    def _wait(self, seconds: float) -> bool:
        """Wait for a change, the deadline's passing among them; False if there was none for so many seconds."""
        left = self.time_remaining()
        if left is None or left > seconds:
            return self._changed.wait(seconds)
        if not self._changed.wait(left):
            self._ended(Failed(Status(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")))
        return True

    def _wait_for_more(self) -> None:
        if not self._wait(replay.PATIENCE):
            self._stalled()

    def _stalled(self) -> None:
        if self.is_active() and (miss := self._script.stalled()) is not None:
            self._violated(miss)

    def _next(self) -> Step | None:
        with self._violating():
            return self._script.next()
        return None

    @contextmanager
    def _violating(self) -> Iterator[None]:
        try:
            yield
        except CassetteMiss as miss:
            self._violated(miss)


class ReplayedStream(Replayed):
    """The messages of a recorded answer, then its status: the end, or the error."""

    def __iter__(self) -> ReplayedStream:
        return self

    def __next__(self) -> Any:
        with self._changed:
            while self.is_active():
                if (step := self._step()) is not None and (wire := self._taken(step)) is not None:
                    return self._read(wire)
        if self._violation is not None:
            raise self._violation
        if isinstance(self._end, Failed):
            raise self._end
        raise StopIteration

    def _step(self) -> Step | None:
        """The next step, or None, after which the call may be over."""
        step = self._next()
        if step is None and self.is_active():
            self._wait_for_more()
        return step

    def _taken(self, step: Step) -> bytes | None:
        seconds, given = step
        due = time.monotonic() + seconds
        while self.is_active() and (left := due - time.monotonic()) > 0:
            self._wait(left)
        if not self.is_active():
            return None
        if given is None:
            self._stalled()
        elif isinstance(given, Status):
            self._ended(over(given))
        else:
            return given
        return None

    def initial_metadata(self) -> Any:
        with self._changed:
            while self.is_active() and self._script.recorded is None:
                self._wait_for_more()
            if self._violation is not None:
                raise self._violation
            return self._script.recorded.status.initial if self._script.recorded is not None else ()

    @property
    def _call(self) -> Answered:
        """How it ends, for who asks before it was read."""
        with self._changed:
            while self.is_active():
                with self._violating():
                    if (status := self._script.status) is not None:
                        return over(status)
                    self._wait_for_more()
            if self._violation is not None:
                raise self._violation
            assert self._end is not None
            return self._end

    def _went_on(self) -> None:
        pass


class ReplayedFuture(Replayed):
    """A recorded answer of one message."""

    def __init__(self, script: Script, read: Callable[[bytes], Any], deadline: float | None) -> None:
        super().__init__(script, read, deadline)
        self._response: Any = None
        self._timer: threading.Timer | None = None
        with self._changed:
            self._went_on()

    def _went_on(self) -> None:
        while self.is_active() and self._timer is None and (step := self._next()) is not None:
            seconds, given = step
            if not seconds:
                self._given(given)
                continue
            self._timer = threading.Timer(seconds, self._due, (given,))
            self._timer.daemon = True
            self._timer.start()

    def _due(self, given: bytes | Status | None) -> None:
        with self._changed:
            self._timer = None
            self._given(given)
            self._went_on()

    def _given(self, given: bytes | Status | None) -> None:
        if isinstance(given, Status):
            self._ended(over(given, self._response))
        elif given is None:
            self._stalled()
        else:
            self._response = self._read(given)

    def _over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super()._over()

    @property
    def _call(self) -> Answered:
        return self._awaited(None)

    def _awaited(self, timeout: float | None) -> Answered:
        due = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self.is_active():
                if due is None and self._timer is None:
                    self._wait_for_more()
                elif due is None:
                    self._wait(threading.TIMEOUT_MAX)
                elif not self._wait(max(0.0, due - time.monotonic())):
                    raise grpc.FutureTimeoutError
            if self._violation is not None:
                raise self._violation
            assert self._end is not None
            return self._end

    def result(self, timeout: float | None = None) -> Any:
        return self._awaited(timeout).result()

    def exception(self, timeout: float | None = None) -> Any:
        return self._awaited(timeout).exception()

    def traceback(self, timeout: float | None = None) -> Any:
        return self._awaited(timeout).traceback()


def feed(
    call: Callable[[], Replayed | None], dialogue: Dialogue, requests: Iterator[Any], write: Callable[[Any], bytes]
) -> None:
    """Send ``requests``, which ``write`` makes protobuf JSON of, until there are no more or ``call``, which may be a
    weak reference, is over or dropped."""
    while True:
        outcome = _next(requests, write)
        replayed = call()
        if replayed is None or not replayed.is_active():
            return
        if isinstance(outcome, bytes):
            replayed.sent(dialogue, outcome)
        elif outcome is None:
            replayed.closed(dialogue)
            return
        else:
            replayed.failed(outcome)
            return
        # the next request may take its time, during which the caller may drop the call
        del replayed


def _next(requests: Iterator[Any], write: Callable[[Any], bytes]) -> bytes | BaseException | None:
    try:
        return write(next(requests))
    except StopIteration:
        return None
    except Failed as failed:
        return failed
    except Exception as error:
        # as a live call tells it
        failure = Failed(Status(grpc.StatusCode.UNKNOWN, "Exception iterating requests!"))
        failure.__cause__ = error
        return failure
    except BaseException as violation:
        return violation


class RecordedFuture(_Standing):
    """A live future, told to the tape when its caller learns how it ended, or drops it."""

    def __init__(self, live: Any, take: Take) -> None:
        self._live = live
        self._take = take

    @property
    def _call(self) -> Any:
        return self._live

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

    def cancel(self) -> bool:
        cancelled: bool = self._call.cancel()
        if cancelled:
            self._take.left()
        return cancelled

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        def tell(live: Any) -> None:
            self._take.ended(live)
            fn(self)

        self._call.add_done_callback(tell)

    def __del__(self) -> None:
        if self._call.done():
            self._take.ended(self._call)
        else:
            self._take.left()

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
        self._live = live
        self._take = take

    @property
    def _call(self) -> Any:
        return self._live

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
