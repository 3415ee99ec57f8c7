"""The seam at gRPC's synchronous channels: at the classes of their multi-callables.

So channels, stubs and callables made earlier are caught, too, and interceptors run above it. Requests that stream
are sent, live and to the tape, as the caller makes them, since one may wait for the response to another.
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
from multitrack.tape.interceptors.grpc.calls import (
    Failed,
    RecordedFuture,
    RecordedStream,
    Replayed,
    ReplayedFuture,
    ReplayedStream,
    feed,
)
from multitrack.tape.interceptors.grpc.grpc_call import Call, Method, Status, Take, method_url
from multitrack.tape.interceptors.grpc.replay import Answer, Dialogue, Recorded, Script
from multitrack.tape.patching import Patch

Function = Callable[..., Any]
Live = Callable[[], Any]
Read = Callable[[bytes], Any]
Feed = Callable[[Callable[[], Replayed | None]], None]


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """The swaps that bring every call on a synchronous channel of ``grpc`` before the tape."""
    del module
    kinds = callables.of_channels()
    found: list[Patch] = []
    for owner in (*kinds.unary_unary, *kinds.stream_unary):
        # a plain call does not show its metadata, so it is recorded by way of `with_call`
        with_call = vars(owner)["with_call"]
        catching = _conversing if owner in kinds.stream_unary else _catching
        for name, door in (
            ("__call__", _Response(with_call)),
            ("with_call", _ResponseAndCall(with_call)),
            ("future", _Future()),
        ):
            found.append(Patch(owner, name, catching(current_tape, door)))
    found.extend(Patch(owner, "__call__", _catching(current_tape, _Stream())) for owner in kinds.unary_stream)
    found.extend(Patch(owner, "__call__", _conversing(current_tape, _Stream())) for owner in kinds.stream_stream)
    return found


class _Door(ABC):
    """One of the methods by which a multi-callable is called, and what it hands to its caller."""

    live: Function | None = None
    """What makes the call when it is recorded, if not the method itself."""
    streams_responses = False

    @abstractmethod
    def replay(self, script: Script, read: Read, deadline: float | None, feed: Feed | None) -> Any:
        """What a tape answers. ``feed`` sends the requests that stream."""

    @abstractmethod
    def record(self, live: Live, take: Take) -> Any: ...


class _ResponseAndCall(_Door):
    def __init__(self, with_call: Function) -> None:
        self.live = with_call

    def replay(self, script: Script, read: Read, deadline: float | None, feed: Feed | None) -> Any:
        call = ReplayedFuture(script, read, deadline)
        if feed is not None:
            feed(lambda: call)
        return call.result(), call

    def record(self, live: Live, take: Take) -> Any:
        with _told(take):
            response, call = live()
        take.ended(call)
        return response, call


class _Response(_ResponseAndCall):
    def replay(self, script: Script, read: Read, deadline: float | None, feed: Feed | None) -> Any:
        return super().replay(script, read, deadline, feed)[0]

    def record(self, live: Live, take: Take) -> Any:
        return super().record(live, take)[0]


class _Future(_Door):
    def replay(self, script: Script, read: Read, deadline: float | None, feed: Feed | None) -> Any:
        return _fed(ReplayedFuture(script, read, deadline), feed)

    def record(self, live: Live, take: Take) -> Any:
        with _told(take):
            return RecordedFuture(live(), take)


class _Stream(_Door):
    streams_responses = True

    def replay(self, script: Script, read: Read, deadline: float | None, feed: Feed | None) -> Any:
        return _fed(ReplayedStream(script, read, deadline), feed)

    def record(self, live: Live, take: Take) -> Any:
        with _told(take):
            return RecordedStream(live(), take)


def _fed(call: Replayed, feed: Feed | None) -> Replayed:
    if feed is not None:
        # what the requests are made of may come from the caller, so they cannot be waited for here
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(feed, weakref.ref(call)), name="multitrack-requests", daemon=True).start()
    return call


@contextmanager
def _told(take: Take) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        take.ended(cast(Call, error))
        raise
    except Exception as error:
        take.failed(error)
        raise
    except BaseException:
        take.left()
        raise


def _catching(current_tape: CurrentTape, door: _Door) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        signature = callables.signature(original)
        message_name = list(signature.parameters)[1]

        @functools.wraps(original)
        def caught(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return original(callee, *args, **kwargs)
            bound = signature.bind(callee, *args, **kwargs)
            message, metadata = bound.arguments[message_name], _kept_metadata(bound)
            method = _method(callee, door)
            request = method.request(_written(callee, message), _kind(callee, message), metadata)
            route = tape.route(request)
            if isinstance(route, Replay):
                script = Answer(Recorded.of(method, route, tape))
                return door.replay(script, _reader(callee), _deadline(bound), None)
            if isinstance(route, Passthrough):
                return original(*bound.args, **bound.kwargs)
            take = Take(route, method, request)
            tapped = callables.with_coders(callee, callables.serializer(callee), _tapping(callee, take))
            live = functools.partial(door.live or original, tapped, *bound.args[1:], **bound.kwargs)
            return door.record(live, take)

        return caught

    return make


def _conversing(current_tape: CurrentTape, door: _Door) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        signature = callables.signature(original)
        requests_name = list(signature.parameters)[1]

        @functools.wraps(original)
        def caught(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return original(callee, *args, **kwargs)
            bound = signature.bind(callee, *args, **kwargs)
            requests, metadata = bound.arguments[requests_name], _kept_metadata(bound)
            method = _method(callee, door)
            request = method.opening(metadata)
            route = tape.route_stream(request)
            if isinstance(route, Conversation):
                dialogue = Dialogue(method, request, route, tape)

                def write(message: Any) -> bytes:
                    return wire_to_json(_written(callee, message), _kind(callee, message)).encode()

                return door.replay(
                    dialogue,
                    _reader(callee),
                    _deadline(bound),
                    lambda call: feed(call, dialogue, requests, write),
                )
            if isinstance(route, Passthrough):
                return original(*bound.args, **bound.kwargs)
            take = Take(route, method, request)
            bound.arguments[requests_name] = _heard(requests, take)
            tapped = callables.with_coders(callee, _hearing(callee, take), _tapping(callee, take))
            live = functools.partial(door.live or original, tapped, *bound.args[1:], **bound.kwargs)
            return door.record(live, take)

        return caught

    return make


def _kept_metadata(bound: inspect.BoundArguments) -> Any:
    """The metadata of a call, which may have been given as an iterator."""
    metadata = bound.arguments.get("metadata")
    if metadata is not None:
        bound.arguments["metadata"] = metadata = tuple(metadata)
    return metadata


def _deadline(bound: inspect.BoundArguments) -> float | None:
    timeout = bound.arguments.get("timeout")
    return None if timeout is None else time.monotonic() + timeout


def _method(callee: Any, door: _Door) -> Method:
    return Method(
        url=method_url(callables.target(callee), callables.method(callee)),
        response_type=message_type(callables.deserializer(callee)),
        streams_responses=door.streams_responses,
    )


def _kind(callee: Any, message: Any) -> Any:
    return message_type(callables.serializer(callee)) or type_of(message)


def _written(callee: Any, message: Any) -> bytes:
    serializer = callables.serializer(callee)
    if serializer is None:
        wire: bytes = message
        return wire
    try:
        return serializer(message)
    except Exception as error:
        # as a live call tells it
        raise Failed(Status(grpc.StatusCode.INTERNAL, "Exception serializing request!")) from error


def _hearing(callee: Any, take: Take) -> Callable[[Any], bytes]:
    serializer = callables.serializer(callee)

    def heard(message: Any) -> bytes:
        wire: bytes = message if serializer is None else serializer(message)
        take.sent(wire_to_json(wire, _kind(callee, message)).encode())
        return wire

    return heard


def _heard(requests: Iterator[Any], take: Take) -> Iterator[Any]:
    while True:
        try:
            message = next(requests)
        except StopIteration:
            take.closed()
            return
        except BaseException as error:
            # gRPC makes a status of it that no server sent
            take.left()
            if isinstance(error, Exception):
                raise
            # of anything else its thread would die, and the call never end
            raise RuntimeError("a request could not be made") from error
        yield message


def _reader(callee: Any) -> Read:
    return callables.deserializer(callee) or _unread


def _unread(wire: bytes) -> bytes:
    return wire


def _tapping(callee: Any, take: Take) -> Read:
    read = _reader(callee)

    def tapped(wire: bytes) -> Any:
        take.arrived(wire)
        return read(wire)

    return tapped
