"""Record and replay synchronous gRPC calls.

A grpc multi-callable has one method for each style of call, such as ``future``.
"""

from __future__ import annotations

import contextvars
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc

from multitrack.tape.interceptors.grpc.grpc_call import GrpcCall, GrpcCallRecording
from multitrack.tape.interceptors.grpc.grpc_replay import GrpcReplay
from multitrack.tape.interceptors.grpc.recording_calls import RecordingFuture, RecordingStream
from multitrack.tape.interceptors.grpc.replayed_calls import ReplayedCall, ReplayedFuture, ReplayedStream

Function = Callable[..., Any]
CallLive = Callable[[], Any]
Deserialize = Callable[[bytes], Any]
SendRequests = Callable[[Callable[[], ReplayedCall | None]], None]


class CallStyle(ABC):
    """A way to make a synchronous gRPC call, such as ``future``. Each style is a method of grpc's multi-callables."""

    call_live: Function | None = None
    """The function that makes the call when it is recorded. None for the original method."""
    streams_responses = False

    @abstractmethod
    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        """Replay a call, and return its result.

        ``send`` sends the messages of a streaming request. For a request with a single message, ``send`` is None.
        """

    @abstractmethod
    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        """Make a live call, record it, and return its result."""


class ResponseAndCallStyle(CallStyle):
    """The call style of ``with_call``, which returns the response and the call."""

    def __init__(self, with_call: Function) -> None:
        self.call_live = with_call

    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        call = ReplayedFuture(replay, deserialize, deadline)
        if send is not None:
            send(lambda: call)
        return call.result(), call

    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        with _record_errors(recording):
            response, call = call_live()
        recording.record_call(call)
        return response, call


class ResponseStyle(ResponseAndCallStyle):
    """The style for calling a method with a single response through ``__call__``, which returns this response."""

    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        return super().replay(replay, deserialize, deadline, send)[0]

    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        return super().record(call_live, recording)[0]


class FutureStyle(CallStyle):
    """The call style of ``future``, which returns a future for the response."""

    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        return _send_in_thread(ReplayedFuture(replay, deserialize, deadline), send)

    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        with _record_errors(recording):
            return RecordingFuture(call_live(), recording)


class StreamStyle(CallStyle):
    """The style for calling a method with streamed responses through ``__call__``, which returns an iterator."""

    streams_responses = True

    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        return _send_in_thread(ReplayedStream(replay, deserialize, deadline), send)

    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        with _record_errors(recording):
            return RecordingStream(call_live(), recording)


def _send_in_thread(call: ReplayedCall, send: SendRequests | None) -> ReplayedCall:
    if send is not None:
        # the caller may produce the requests after this method returns, so this method cannot wait for them
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(send, weakref.ref(call)), name="multitrack-requests", daemon=True).start()
    return call


@contextmanager
def _record_errors(recording: GrpcCallRecording) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        recording.record_call(cast(GrpcCall, error))
        raise
    except Exception as error:
        recording.record_failure(error)
        raise
    except BaseException:
        recording.abandon()
        raise
