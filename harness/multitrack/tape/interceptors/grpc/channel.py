"""The interceptor for gRPC's synchronous channels, which patches the classes of gRPC's multi-callables.

Channels, stubs and callables that exist already are intercepted, too. The interceptors that a project passes to gRPC
see a call before this interceptor does. Each streamed request is sent and matched when the caller produces it,
because a caller can wait for a response before it produces the next request.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import grpc

from multitrack.tape.exchange import Conversation, Passthrough, Replay
from multitrack.tape.google.protobuf import message_type, type_of, wire_to_json
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.interceptors.grpc import callables
from multitrack.tape.interceptors.grpc.call_styles import (
    CallStyle,
    Deserialize,
    Function,
    FutureStyle,
    ResponseAndCallStyle,
    ResponseStyle,
    StreamStyle,
)
from multitrack.tape.interceptors.grpc.calls import FailedCall
from multitrack.tape.interceptors.grpc.grpc_call import GrpcCallRecording, GrpcMethod, GrpcStatus, method_url
from multitrack.tape.interceptors.grpc.grpc_replay import (
    RecordedGrpcResponse,
    StreamRequestReplay,
    UnaryRequestReplay,
)
from multitrack.tape.interceptors.grpc.replayed_calls import send_requests
from multitrack.tape.patching import Patch


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
            ("__call__", ResponseStyle(with_call)),
            ("with_call", ResponseAndCallStyle(with_call)),
            ("future", FutureStyle()),
        ):
            found.append(Patch(owner, name, wrap(current_tape, style)))
    found.extend(
        Patch(owner, "__call__", _wrap_unary_request(current_tape, StreamStyle())) for owner in kinds.unary_stream
    )
    found.extend(
        Patch(owner, "__call__", _wrap_stream_requests(current_tape, StreamStyle())) for owner in kinds.stream_stream
    )
    return found


def _wrap_unary_request(current_tape: CurrentTape, style: CallStyle) -> Callable[[Function], Function]:
    def wrap(original: Function) -> Function:
        signature = callables.signature(original)

        @functools.wraps(original)
        def route_call(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return original(callee, *args, **kwargs)
            call = _BoundCall(original, style, signature.bind(callee, *args, **kwargs))
            message, method = call.sent, call.method
            request = method.create_request(_serialize(callee, message), _find_type(callee, message), call.metadata)
            route = tape.route(request)
            if isinstance(route, Replay):
                replay = UnaryRequestReplay(RecordedGrpcResponse.from_replay(method, route, tape))
                return style.replay(replay, _find_deserializer(callee), call.deadline, None)
            if isinstance(route, Passthrough):
                return call.make()
            return call.record(GrpcCallRecording(route, method, request), callables.serializer(callee))

        return route_call

    return wrap


def _wrap_stream_requests(current_tape: CurrentTape, style: CallStyle) -> Callable[[Function], Function]:
    def wrap(original: Function) -> Function:
        signature = callables.signature(original)

        @functools.wraps(original)
        def route_call(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return original(callee, *args, **kwargs)
            call = _BoundCall(original, style, signature.bind(callee, *args, **kwargs))
            requests, method = call.sent, call.method
            request = method.create_stream_request(call.metadata)
            route = tape.route_stream(request)
            if isinstance(route, Conversation):
                replay = StreamRequestReplay(method, request, route, tape)

                def to_json(message: Any) -> bytes:
                    return wire_to_json(_serialize(callee, message), _find_type(callee, message)).encode()

                return style.replay(
                    replay,
                    _find_deserializer(callee),
                    call.deadline,
                    lambda find_call: send_requests(find_call, replay, requests, to_json),
                )
            if isinstance(route, Passthrough):
                return call.make()
            recording = GrpcCallRecording(route, method, request)
            call.sent = _record_end_of_requests(requests, recording)
            return call.record(recording, _record_requests(callee, recording))

        return route_call

    return wrap


class _BoundCall:
    """A call to one of gRPC's multi-callables, with its arguments."""

    def __init__(self, original: Function, style: CallStyle, bound: inspect.BoundArguments) -> None:
        self._original = original
        self._style = style
        self._bound = bound
        self._callee_name, self._sent_name, *_ = bound.signature.parameters
        # copied, because the metadata may be an iterator, which can be read only once
        self.metadata = bound.arguments.get("metadata")
        if self.metadata is not None:
            bound.arguments["metadata"] = self.metadata = tuple(self.metadata)
        self.method = GrpcMethod(
            url=method_url(callables.target(self._callee), callables.method(self._callee)),
            response_type=message_type(callables.deserializer(self._callee)),
            streams_responses=style.streams_responses,
        )

    @property
    def _callee(self) -> Any:
        return self._bound.arguments[self._callee_name]

    @property
    def sent(self) -> Any:
        """The request message. An iterator of messages if the client sends a stream."""
        return self._bound.arguments[self._sent_name]

    @sent.setter
    def sent(self, value: Any) -> None:
        self._bound.arguments[self._sent_name] = value

    @property
    def deadline(self) -> float | None:
        """The time when the call must end, on the monotonic clock. None if the caller waits forever."""
        timeout = self._bound.arguments.get("timeout")
        return None if timeout is None else time.monotonic() + timeout

    def make(self) -> Any:
        """Make the call over the network."""
        return self._original(*self._bound.args, **self._bound.kwargs)

    def record(self, recording: GrpcCallRecording, serialize: Callable[[Any], bytes] | None) -> Any:
        """Send the call to the network, record it, and return the result for the caller.

        Args:
            recording: Receives the messages of the call.
            serialize: The serializer of the messages that are sent.
        """
        callee = callables.with_serializers(self._callee, serialize, _record_responses(self._callee, recording))
        call_live = functools.partial(
            self._style.call_live or self._original, callee, *self._bound.args[1:], **self._bound.kwargs
        )
        return self._style.record(call_live, recording)


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
            recording.fail_requests()
            if isinstance(error, Exception):
                raise
            # anything else would end gRPC's thread, and the call would never end
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
