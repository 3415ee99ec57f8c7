"""Implement ``grpc.Call`` and ``grpc.Future`` for finished calls, and for calls that delegate to another call.

gRPC interceptors and api_core check calls with ``isinstance``, and call ``.result()``. Both treat instances of these
classes like calls on a live channel.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc

from multitrack.tape.interceptors.grpc.grpc_call import GrpcStatus, Metadata

if TYPE_CHECKING:
    Future = grpc.Future[Any]
else:
    Future = grpc.Future


class FinishedCall(grpc.Call, Future):
    """A gRPC call that has ended, with its response."""

    def __init__(self, status: GrpcStatus, response: Any = None) -> None:
        super().__init__()
        self._status = status
        self._response = response

    def code(self) -> grpc.StatusCode:
        return self._status.code

    def details(self) -> str:
        return self._status.details

    def initial_metadata(self) -> Metadata:
        return self._status.initial_metadata

    def trailing_metadata(self) -> Metadata:
        return self._status.trailing_metadata

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


class FailedCall(FinishedCall, grpc.RpcError):  # type: ignore[misc]  # at run time RpcError has no methods
    """A call that ended with a status other than OK, and the exception for that status."""

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


class CancelledCall(FailedCall):
    def __init__(self) -> None:
        super().__init__(GrpcStatus(grpc.StatusCode.CANCELLED, "Locally cancelled by application!"))

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


def create_finished_call(status: GrpcStatus, response: Any = None) -> FinishedCall:
    """Return a call that ended with ``status``."""
    return FinishedCall(status, response) if status.code is grpc.StatusCode.OK else FailedCall(status)


class DelegatingCall(grpc.Call, Future):
    """A gRPC call that forwards all methods to another call, except the methods that a subclass overrides."""

    @property
    @abstractmethod
    def _target(self) -> Any: ...

    def code(self) -> Any:
        return self._target.code()

    def details(self) -> Any:
        return self._target.details()

    def initial_metadata(self) -> Any:
        return self._target.initial_metadata()

    def trailing_metadata(self) -> Any:
        return self._target.trailing_metadata()

    def debug_error_string(self) -> Any:
        return self._target.debug_error_string()

    def is_active(self) -> Any:
        return self._target.is_active()

    def time_remaining(self) -> Any:
        return self._target.time_remaining()

    def add_callback(self, callback: Callable[[], None]) -> Any:
        return self._target.add_callback(callback)

    def cancel(self) -> Any:
        return self._target.cancel()

    def cancelled(self) -> Any:
        return self._target.cancelled()

    def running(self) -> Any:
        return self._target.running()

    def done(self) -> Any:
        return self._target.done()

    def result(self, timeout: float | None = None) -> Any:
        return self._target.result(timeout)

    def exception(self, timeout: float | None = None) -> Any:
        return self._target.exception(timeout)

    def traceback(self, timeout: float | None = None) -> Any:
        return self._target.traceback(timeout)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        self._target.add_done_callback(lambda _: fn(self))
