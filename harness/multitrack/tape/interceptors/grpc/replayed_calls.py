"""Answer calls on synchronous gRPC channels from a recording."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from multitrack.errors import CassetteMiss
from multitrack.tape.interceptors.grpc import grpc_replay
from multitrack.tape.interceptors.grpc.calls import (
    CancelledCall,
    DelegatingCall,
    FailedCall,
    FinishedCall,
    create_finished_call,
)
from multitrack.tape.interceptors.grpc.grpc_call import GrpcStatus
from multitrack.tape.interceptors.grpc.grpc_replay import GrpcReplay, Step, StreamRequestReplay


class ReplayedCall(DelegatingCall):
    """A gRPC call that is replayed step by step. Thread-safe.

    Args:
        replay: Returns the steps of the recorded response.
        deserialize: Parses a serialized message.
        deadline: When the call times out, on the clock of ``time.monotonic``; None for no deadline.
    """

    def __init__(self, replay: GrpcReplay, deserialize: Callable[[bytes], Any], deadline: float | None) -> None:
        self._replay = replay
        self._deserialize = deserialize
        self._deadline = deadline
        self._finished_call: FinishedCall | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[], None]] = []
        # reentrant, because a callback runs inside the lock and may call methods that need it
        self._changed = threading.Condition(threading.RLock())

    @abstractmethod
    def _continue(self) -> None:
        """Continue the replay after the client has sent more messages."""

    def send_message(self, replay: StreamRequestReplay, message: bytes) -> None:
        """Compare the client's next ``message``, which is protobuf JSON, with the recording."""
        self._match(lambda: replay.match_message(message))

    def end_requests(self, replay: StreamRequestReplay) -> None:
        """Tell ``replay`` that the client has sent all its messages."""
        self._match(replay.match_end)

    def fail(self, error: BaseException) -> None:
        """End the call because of ``error``. From then on, the client cannot send messages.

        A ``FailedCall`` becomes the status of the call; any other error is raised unchanged.
        """
        with self._changed:
            if not self.is_active():
                return
            if isinstance(error, FailedCall):
                self._finish(error)
            else:
                self._finish_with_error(error)
            self._replay.abandon()

    def _match(self, match: Callable[[], None]) -> None:
        with self._changed:
            if self.is_active():
                with self._catch_miss():
                    match()
                    self._continue()
                self._changed.notify_all()

    def is_active(self) -> bool:
        return self._finished_call is None and self._error is None

    def running(self) -> bool:
        return self.is_active()

    def done(self) -> bool:
        return not self.is_active()

    def cancelled(self) -> bool:
        return isinstance(self._finished_call, CancelledCall)

    def cancel(self) -> bool:
        if not self._finish(CancelledCall()):
            return False
        self._replay.abandon()
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
            self._replay.abandon()

    def _finish(self, call: FinishedCall) -> bool:
        with self._changed:
            if not self.is_active():
                return False
            self._finished_call = call
            self._notify_finished()
        return True

    def _finish_with_error(self, error: BaseException) -> None:
        with self._changed:
            if self.is_active():
                self._error = error
                self._notify_finished()

    def _notify_finished(self) -> None:
        self._changed.notify_all()
        for callback in self._callbacks:
            callback()

    def _wait(self, seconds: float) -> bool:
        """Wait for a change or the deadline. Return False if ``seconds`` pass without either."""
        remaining = self.time_remaining()
        if remaining is None or remaining > seconds:
            return self._changed.wait(seconds)
        if not self._changed.wait(remaining):
            self._finish(FailedCall(GrpcStatus(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")))
        return True

    def _wait_for_more(self) -> None:
        if not self._wait(grpc_replay.STALL_SECONDS):
            self._resolve_stall()

    def _resolve_stall(self) -> None:
        if self.is_active() and (miss := self._replay.resolve_stall()) is not None:
            self._finish_with_error(miss)

    def _next_step(self) -> Step | None:
        with self._catch_miss():
            return self._replay.next_step()
        return None

    @contextmanager
    def _catch_miss(self) -> Iterator[None]:
        try:
            yield
        except CassetteMiss as miss:
            self._finish_with_error(miss)


class ReplayedStream(ReplayedCall):
    """An iterator over the messages of a recorded response, which ends or raises according to the recorded status."""

    def __iter__(self) -> ReplayedStream:
        return self

    def __next__(self) -> Any:
        with self._changed:
            while self.is_active():
                if (step := self._await_step()) is not None and (wire := self._apply_step(step)) is not None:
                    return self._deserialize(wire)
        if self._error is not None:
            raise self._error
        if isinstance(self._finished_call, FailedCall):
            raise self._finished_call
        raise StopIteration

    def _await_step(self) -> Step | None:
        """Return the next step. If none is ready, wait for a change unless the call has ended, and return None."""
        step = self._next_step()
        if step is None and self.is_active():
            self._wait_for_more()
        return step

    def _apply_step(self, step: Step) -> bytes | None:
        """Wait for the delay of ``step``, and return its message.

        None if ``step`` has no message, or the call has ended.
        """
        seconds, content = step
        due = time.monotonic() + seconds
        while self.is_active() and (remaining := due - time.monotonic()) > 0:
            self._wait(remaining)
        if not self.is_active():
            return None
        if content is None:
            self._resolve_stall()
        elif isinstance(content, GrpcStatus):
            self._finish(create_finished_call(content))
        else:
            return content
        return None

    def initial_metadata(self) -> Any:
        with self._changed:
            while self.is_active() and self._replay.response is None:
                self._wait_for_more()
            if self._error is not None:
                raise self._error
            return self._replay.response.status.initial_metadata if self._replay.response is not None else ()

    @property
    def _target(self) -> FinishedCall:
        """The end of the call. If the caller has not read all messages yet, wait until the replay reaches the end."""
        with self._changed:
            while self.is_active():
                with self._catch_miss():
                    if (status := self._replay.status) is not None:
                        return create_finished_call(status)
                    self._wait_for_more()
            if self._error is not None:
                raise self._error
            assert self._finished_call is not None
            return self._finished_call

    def _continue(self) -> None:
        pass


class ReplayedFuture(ReplayedCall):
    """A replayed call whose response is a single message."""

    def __init__(self, replay: GrpcReplay, deserialize: Callable[[bytes], Any], deadline: float | None) -> None:
        super().__init__(replay, deserialize, deadline)
        self._response: Any = None
        self._timer: threading.Timer | None = None
        with self._changed:
            self._continue()

    def _continue(self) -> None:
        while self.is_active() and self._timer is None and (step := self._next_step()) is not None:
            seconds, content = step
            if not seconds:
                self._apply(content)
                continue
            self._timer = threading.Timer(seconds, self._on_timer, (content,))
            self._timer.daemon = True
            self._timer.start()

    def _on_timer(self, content: bytes | GrpcStatus | None) -> None:
        with self._changed:
            self._timer = None
            self._apply(content)
            self._continue()

    def _apply(self, content: bytes | GrpcStatus | None) -> None:
        if isinstance(content, GrpcStatus):
            self._finish(create_finished_call(content, self._response))
        elif content is None:
            self._resolve_stall()
        else:
            self._response = self._deserialize(content)

    def _notify_finished(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super()._notify_finished()

    @property
    def _target(self) -> FinishedCall:
        return self._await_end(None)

    def _await_end(self, timeout: float | None) -> FinishedCall:
        due = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self.is_active():
                if due is None and self._timer is None:
                    self._wait_for_more()
                elif due is None:
                    self._wait(threading.TIMEOUT_MAX)
                elif not self._wait(max(0.0, due - time.monotonic())):
                    raise grpc.FutureTimeoutError
            if self._error is not None:
                raise self._error
            assert self._finished_call is not None
            return self._finished_call

    def result(self, timeout: float | None = None) -> Any:
        return self._await_end(timeout).result()

    def exception(self, timeout: float | None = None) -> Any:
        return self._await_end(timeout).exception()

    def traceback(self, timeout: float | None = None) -> Any:
        return self._await_end(timeout).traceback()


def send_requests(
    find_call: Callable[[], ReplayedCall | None],
    replay: StreamRequestReplay,
    requests: Iterator[Any],
    to_json: Callable[[Any], bytes],
) -> None:
    """Send the caller's messages to a replayed call. Stop early if the call has ended or was garbage-collected.

    Args:
        find_call: Returns the call, or None if the call was garbage-collected. Can be a weak reference to the call.
        replay: The replay of the call.
        requests: The caller's messages.
        to_json: Converts a message to protobuf JSON.
    """
    while True:
        outcome = _next_request(requests, to_json)
        call = find_call()
        if call is None or not call.is_active():
            return
        if isinstance(outcome, bytes):
            call.send_message(replay, outcome)
        elif outcome is None:
            call.end_requests(replay)
            return
        else:
            call.fail(outcome)
            return
        # the next request may take long to produce, and this reference would keep the call alive if the caller drops it
        del call


def _next_request(requests: Iterator[Any], to_json: Callable[[Any], bytes]) -> bytes | BaseException | None:
    try:
        return to_json(next(requests))
    except StopIteration:
        return None
    except FailedCall as failed:
        return failed
    except Exception as error:
        # the same status as in a live call
        failure = FailedCall(GrpcStatus(grpc.StatusCode.UNKNOWN, "Exception iterating requests!"))
        failure.__cause__ = error
        return failure
    except BaseException as violation:
        return violation
