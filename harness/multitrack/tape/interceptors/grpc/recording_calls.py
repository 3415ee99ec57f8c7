"""Record live gRPC calls on synchronous channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from multitrack.tape.interceptors.grpc.calls import DelegatingCall
from multitrack.tape.interceptors.grpc.grpc_call import GrpcCallRecording


class RecordingFuture(DelegatingCall):
    """A future for a live call. It records the call when the caller asks for the result or drops the future."""

    def __init__(self, live: Any, recording: GrpcCallRecording) -> None:
        self._live = live
        self._recording = recording

    @property
    def _target(self) -> Any:
        return self._live

    def code(self) -> Any:
        with self._record_if_done():
            return self._target.code()

    def result(self, timeout: float | None = None) -> Any:
        with self._record_if_done():
            return self._target.result(timeout)

    def exception(self, timeout: float | None = None) -> Any:
        with self._record_if_done():
            return self._target.exception(timeout)

    def traceback(self, timeout: float | None = None) -> Any:
        with self._record_if_done():
            return self._target.traceback(timeout)

    def cancel(self) -> bool:
        cancelled: bool = self._target.cancel()
        if cancelled:
            self._recording.abandon()
        return cancelled

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        def record(live: Any) -> None:
            self._recording.record_call(live)
            fn(self)

        self._target.add_done_callback(record)

    def __del__(self) -> None:
        if self._target.done():
            self._recording.record_call(self._target)
        else:
            self._recording.abandon()

    @contextmanager
    def _record_if_done(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._target.done():
                self._recording.record_call(self._target)


class RecordingStream(DelegatingCall):
    """A live stream that records each response when the caller receives it."""

    def __init__(self, live: Any, recording: GrpcCallRecording) -> None:
        self._live = live
        self._recording = recording

    @property
    def _target(self) -> Any:
        return self._live

    def __iter__(self) -> RecordingStream:
        return self

    def __next__(self) -> Any:
        try:
            message = next(self._target)
        except (StopIteration, grpc.RpcError):
            self._recording.record_call(self._target)
            raise
        self._recording.record_messages(self._target.initial_metadata())
        return message

    def cancel(self) -> bool:
        cancelled: bool = self._target.cancel()
        if cancelled:
            self._recording.abandon()
        return cancelled

    def __del__(self) -> None:
        if self._target.done():
            self._recording.record_call(self._target)
        else:
            self._recording.abandon()
