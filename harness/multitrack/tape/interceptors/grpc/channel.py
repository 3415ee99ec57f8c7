"""The interceptor for gRPC's synchronous channels: the classes of their multi-callables.

Channels, stubs and callables created earlier are intercepted, too. gRPC interceptors run above this one. Each streamed
request is sent and matched when the caller produces it, because the caller may wait for a response before it produces
the next request.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast

import grpc

from multitrack.tape.exchange import Conversation, Passthrough, Replay
from multitrack.tape.google.protobuf import message_type, type_of, wire_to_json
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.interceptors.grpc import callables
from multitrack.tape.interceptors.grpc.calls import FailedCall
from multitrack.tape.interceptors.grpc.grpc_call import (
    GrpcCall,
    GrpcCallRecording,
    GrpcMethod,
    GrpcStatus,
    method_url,
)
from multitrack.tape.interceptors.grpc.grpc_replay import (
    GrpcReplay,
    RecordedGrpcResponse,
    StreamRequestReplay,
    UnaryRequestReplay,
)
from multitrack.tape.interceptors.grpc.recording_calls import RecordingFuture, RecordingStream
from multitrack.tape.interceptors.grpc.replayed_calls import (
    ReplayedCall,
    ReplayedFuture,
    ReplayedStream,
    send_requests,
)
from multitrack.tape.patching import Patch

Function = Callable[..., Any]
CallLive = Callable[[], Any]
Deserialize = Callable[[bytes], Any]
SendRequests = Callable[[Callable[[], ReplayedCall | None]], None]


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches that route every call on a synchronous channel of ``grpc``."""
    del module
    kinds = callables.multi_callables()
    found: list[Patch] = []
    for owner in (*kinds.unary_unary, *kinds.stream_unary):
        # `__call__` does not return the metadata, so it is recorded through `with_call`
        with_call = vars(owner)["with_call"]
        wrap = _wrap_stream_requests if owner in kinds.stream_unary else _wrap_unary_request
        for name, style in (
            ("__call__", _ResponseStyle(with_call)),
            ("with_call", _ResponseAndCallStyle(with_call)),
            ("future", _FutureStyle()),
        ):
            found.append(Patch(owner, name, wrap(current_tape, style)))
    found.extend(
        Patch(owner, "__call__", _wrap_unary_request(current_tape, _StreamStyle())) for owner in kinds.unary_stream
    )
    found.extend(
        Patch(owner, "__call__", _wrap_stream_requests(current_tape, _StreamStyle())) for owner in kinds.stream_stream
    )
    return found


class _CallStyle(ABC):
    """One of the methods that call a multi-callable, and the kind of its result."""

    call_live: Function | None = None
    """The function that makes the call when it is recorded. None for the original method."""
    streams_responses = False

    @abstractmethod
    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        """Replay a call, and return the result for the caller.

        ``send`` sends streaming requests; it is None for other calls.
        """

    @abstractmethod
    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        """Make a live call, record it, and return the result for the caller."""


class _ResponseAndCallStyle(_CallStyle):
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


class _ResponseStyle(_ResponseAndCallStyle):
    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        return super().replay(replay, deserialize, deadline, send)[0]

    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        return super().record(call_live, recording)[0]


class _FutureStyle(_CallStyle):
    def replay(
        self, replay: GrpcReplay, deserialize: Deserialize, deadline: float | None, send: SendRequests | None
    ) -> Any:
        return _send_in_thread(ReplayedFuture(replay, deserialize, deadline), send)

    def record(self, call_live: CallLive, recording: GrpcCallRecording) -> Any:
        with _record_errors(recording):
            return RecordingFuture(call_live(), recording)


class _StreamStyle(_CallStyle):
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
        # the caller may produce the requests after this method returns, so it cannot wait for them
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


def _wrap_unary_request(current_tape: CurrentTape, style: _CallStyle) -> Callable[[Function], Function]:
    def wrap(original: Function) -> Function:
        signature = callables.signature(original)
        message_name = list(signature.parameters)[1]

        @functools.wraps(original)
        def route_call(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return original(callee, *args, **kwargs)
            bound = signature.bind(callee, *args, **kwargs)
            message, metadata = bound.arguments[message_name], _copy_metadata(bound)
            method = _create_method(callee, style)
            request = method.create_request(_serialize(callee, message), _find_type(callee, message), metadata)
            route = tape.route(request)
            if isinstance(route, Replay):
                replay = UnaryRequestReplay(RecordedGrpcResponse.from_replay(method, route, tape))
                return style.replay(replay, _find_deserializer(callee), _find_deadline(bound), None)
            if isinstance(route, Passthrough):
                return original(*bound.args, **bound.kwargs)
            recording = GrpcCallRecording(route, method, request)
            recorded_callee = callables.with_serializers(
                callee, callables.serializer(callee), _record_responses(callee, recording)
            )
            call_live = functools.partial(style.call_live or original, recorded_callee, *bound.args[1:], **bound.kwargs)
            return style.record(call_live, recording)

        return route_call

    return wrap


def _wrap_stream_requests(current_tape: CurrentTape, style: _CallStyle) -> Callable[[Function], Function]:
    def wrap(original: Function) -> Function:
        signature = callables.signature(original)
        requests_name = list(signature.parameters)[1]

        @functools.wraps(original)
        def route_call(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return original(callee, *args, **kwargs)
            bound = signature.bind(callee, *args, **kwargs)
            requests, metadata = bound.arguments[requests_name], _copy_metadata(bound)
            method = _create_method(callee, style)
            request = method.create_stream_request(metadata)
            route = tape.route_stream(request)
            if isinstance(route, Conversation):
                replay = StreamRequestReplay(method, request, route, tape)

                def to_json(message: Any) -> bytes:
                    return wire_to_json(_serialize(callee, message), _find_type(callee, message)).encode()

                return style.replay(
                    replay,
                    _find_deserializer(callee),
                    _find_deadline(bound),
                    lambda find_call: send_requests(find_call, replay, requests, to_json),
                )
            if isinstance(route, Passthrough):
                return original(*bound.args, **bound.kwargs)
            recording = GrpcCallRecording(route, method, request)
            bound.arguments[requests_name] = _record_end_of_requests(requests, recording)
            recorded_callee = callables.with_serializers(
                callee, _record_requests(callee, recording), _record_responses(callee, recording)
            )
            call_live = functools.partial(style.call_live or original, recorded_callee, *bound.args[1:], **bound.kwargs)
            return style.record(call_live, recording)

        return route_call

    return wrap


def _copy_metadata(bound: inspect.BoundArguments) -> Any:
    """Return the metadata of a call, and keep a copy in ``bound``, because it may be an iterator."""
    metadata = bound.arguments.get("metadata")
    if metadata is not None:
        bound.arguments["metadata"] = metadata = tuple(metadata)
    return metadata


def _find_deadline(bound: inspect.BoundArguments) -> float | None:
    timeout = bound.arguments.get("timeout")
    return None if timeout is None else time.monotonic() + timeout


def _create_method(callee: Any, style: _CallStyle) -> GrpcMethod:
    return GrpcMethod(
        url=method_url(callables.target(callee), callables.method(callee)),
        response_type=message_type(callables.deserializer(callee)),
        streams_responses=style.streams_responses,
    )


def _find_type(callee: Any, message: Any) -> Any:
    return message_type(callables.serializer(callee)) or type_of(message)


def _serialize(callee: Any, message: Any) -> bytes:
    serializer = callables.serializer(callee)
    if serializer is None:
        wire: bytes = message
        return wire
    try:
        return serializer(message)
    except Exception as error:
        # the same status as in a live call
        raise FailedCall(GrpcStatus(grpc.StatusCode.INTERNAL, "Exception serializing request!")) from error


def _record_requests(callee: Any, recording: GrpcCallRecording) -> Callable[[Any], bytes]:
    serializer = callables.serializer(callee)

    def serialize(message: Any) -> bytes:
        wire: bytes = message if serializer is None else serializer(message)
        recording.record_request_message(wire_to_json(wire, _find_type(callee, message)).encode())
        return wire

    return serialize


def _record_end_of_requests(requests: Iterator[Any], recording: GrpcCallRecording) -> Iterator[Any]:
    while True:
        try:
            message = next(requests)
        except StopIteration:
            recording.end_requests()
            return
        except BaseException as error:
            # gRPC converts the error to a status that no server sent
            recording.abandon()
            if isinstance(error, Exception):
                raise
            # anything else would end the thread of gRPC, and the call would never end
            raise RuntimeError("the request iterator failed") from error
        yield message


def _find_deserializer(callee: Any) -> Deserialize:
    return callables.deserializer(callee) or _keep_bytes


def _keep_bytes(wire: bytes) -> bytes:
    return wire


def _record_responses(callee: Any, recording: GrpcCallRecording) -> Deserialize:
    original = _find_deserializer(callee)

    def deserialize(wire: bytes) -> Any:
        recording.add_message(wire)
        return original(wire)

    return deserialize
