"""The seam at gRPC's synchronous channels: at the classes of their multi-callables.

So channels, stubs and callables made earlier are caught, too, and interceptors run above it. Requests that
stream are read whole before the call, since the tape has to know them; methods that stream both ways, where
a request may wait for a response, are refused while a tape is active.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, cast

import grpc

from multitrack.errors import CassetteMiss, LiveCall
from multitrack.tape.exchange import Passthrough, Replay, Request, Response, Router
from multitrack.tape.protobuf import message_type, type_of
from multitrack.tape.seams import Current, grpc_callables
from multitrack.tape.seams.grpc_calls import (
    Answered,
    Failed,
    RecordedFuture,
    RecordedStream,
    ReplayedStream,
    over,
)
from multitrack.tape.seams.grpc_exchange import Call, Method, Status, Take, method_url
from multitrack.tape.swaps import Swap

Function = Callable[..., Any]
Live = Callable[[], Any]
Read = Callable[[bytes], Any]


def swaps(module: ModuleType, current: Current) -> list[Swap]:
    """The swaps that bring every call on a synchronous channel of ``grpc`` before the tape."""
    del module
    kinds = grpc_callables.of_channels()
    found: list[Swap] = []
    for owner in (*kinds.unary_unary, *kinds.stream_unary):
        # a plain call does not show its metadata, so it is recorded by way of `with_call`
        with_call = vars(owner)["with_call"]
        for name, door in (
            ("__call__", _Response(with_call)),
            ("with_call", _ResponseAndCall(with_call)),
            ("future", _Future()),
        ):
            found.append(Swap(owner, name, _catching(current, door, owner in kinds.stream_unary)))
    streams = _catching(current, _Stream(), False)
    found.extend(Swap(owner, "__call__", streams) for owner in kinds.unary_stream)
    found.extend(Swap(owner, "__call__", _refusing(current)) for owner in kinds.stream_stream)
    return found


class _Door(ABC):
    """One of the methods by which a multi-callable is called, and what it hands to its caller."""

    live: Function | None = None
    """What makes the call when it is recorded, if not the method itself."""

    @abstractmethod
    def replay(self, method: Method, response: Response, read: Read, tape: Router) -> Any: ...

    @abstractmethod
    def record(self, live: Live, take: Take) -> Any: ...


class _ResponseAndCall(_Door):
    def __init__(self, with_call: Function) -> None:
        self.live = with_call

    def replay(self, method: Method, response: Response, read: Read, tape: Router) -> Any:
        call = _answered(method, response, read, tape)
        return call.result(), call

    def record(self, live: Live, take: Take) -> Any:
        try:
            response, call = live()
        except grpc.RpcError as error:
            take.ended(cast(Call, error))
            raise
        except BaseException as error:
            take.failed(error)
            raise
        take.ended(call)
        return response, call


class _Response(_ResponseAndCall):
    def replay(self, method: Method, response: Response, read: Read, tape: Router) -> Any:
        return super().replay(method, response, read, tape)[0]

    def record(self, live: Live, take: Take) -> Any:
        return super().record(live, take)[0]


class _Future(_Door):
    def replay(self, method: Method, response: Response, read: Read, tape: Router) -> Any:
        return _answered(method, response, read, tape)

    def record(self, live: Live, take: Take) -> Any:
        return RecordedFuture(_started(live, take), take)


class _Stream(_Door):
    def replay(self, method: Method, response: Response, read: Read, tape: Router) -> Any:
        wires = _messages(method, response, tape)
        beyond = functools.partial(_read_on, method, tape)
        return ReplayedStream(Status.recorded(response), response.ending, wires, read, beyond)

    def record(self, live: Live, take: Take) -> Any:
        return RecordedStream(_started(live, take), take)


def _answered(method: Method, response: Response, read: Read, tape: Router) -> Answered:
    wires = _messages(method, response, tape)
    return over(Status.recorded(response), read(wires[0]) if wires else None)


def _messages(method: Method, response: Response, tape: Router) -> list[bytes]:
    try:
        return method.messages(response)
    except CassetteMiss as miss:
        tape.refuse(miss)
        raise


def _read_on(method: Method, tape: Router) -> CassetteMiss:
    miss = CassetteMiss(
        f"the answer to POST {method.url} was left early when it was recorded, and is now read on: "
        "the tape holds no more of it\n  record it again (pytest --record)"
    )
    tape.refuse(miss)
    return miss


def _started(live: Live, take: Take) -> Any:
    try:
        return live()
    except BaseException as error:
        take.failed(error)
        raise


def _catching(current: Current, door: _Door, streams_requests: bool) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        signature = inspect.signature(original)
        message_name = list(signature.parameters)[1]

        @functools.wraps(original)
        def caught(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current()
            if tape is None:
                return original(callee, *args, **kwargs)
            bound = signature.bind(callee, *args, **kwargs)
            given = bound.arguments
            messages = _sent(given[message_name]) if streams_requests else [given[message_name]]
            metadata = given.get("metadata")
            if metadata is not None:
                given["metadata"] = metadata = tuple(metadata)
            method = _method(callee, messages, streams_requests, isinstance(door, _Stream))
            route = tape.route(method.request(_serialized(callee, messages), metadata))
            if isinstance(route, Replay):
                return door.replay(method, route.response, _reader(callee), tape)
            if streams_requests:
                given[message_name] = iter(messages)
            if isinstance(route, Passthrough):
                return original(*bound.args, **bound.kwargs)
            take = Take(route, method)
            tapped = grpc_callables.with_deserializer(callee, _tapping(_reader(callee), take))
            live = functools.partial(door.live or original, tapped, *bound.args[1:], **bound.kwargs)
            return door.record(live, take)

        return caught

    return make


def _refusing(current: Current) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        @functools.wraps(original)
        def caught(callee: Any, *args: Any, **kwargs: Any) -> Any:
            tape = current()
            if tape is None:
                return original(callee, *args, **kwargs)
            url = method_url(grpc_callables.target(callee), grpc_callables.method(callee))
            host = url.removeprefix("grpc://").partition("/")[0]
            refusal = LiveCall(
                f"POST {url} streams requests and responses at once, which a tape cannot hold\n"
                f'  let it through unrecorded: ignore_hosts = ["{host}"]'
            )
            try:
                route = tape.route(Request("POST", url, (), b"[]"))
            except CassetteMiss as miss:
                tape.refuse(refusal)
                raise refusal from miss
            if isinstance(route, Passthrough):
                return original(callee, *args, **kwargs)
            if not isinstance(route, Replay):
                route.failed(refusal)
            tape.refuse(refusal)
            raise refusal

        return caught

    return make


def _method(callee: Any, messages: list[Any], streams_requests: bool, streams_responses: bool) -> Method:
    serializer = grpc_callables.serializer(callee)
    return Method(
        url=method_url(grpc_callables.target(callee), grpc_callables.method(callee)),
        request_type=message_type(serializer) or (type_of(messages[0]) if messages else None),
        response_type=message_type(grpc_callables.deserializer(callee)),
        streams_requests=streams_requests,
        streams_responses=streams_responses,
    )


def _sent(requests: Iterable[Any]) -> list[Any]:
    try:
        return list(requests)
    except Exception as error:
        # as a live call tells it
        raise Failed(Status(grpc.StatusCode.UNKNOWN, "Exception iterating requests!")) from error


def _serialized(callee: Any, messages: list[Any]) -> list[bytes]:
    serializer = grpc_callables.serializer(callee)
    if serializer is None:
        return messages
    try:
        return [serializer(message) for message in messages]
    except Exception as error:
        # as a live call tells it
        raise Failed(Status(grpc.StatusCode.INTERNAL, "Exception serializing request!")) from error


def _reader(callee: Any) -> Read:
    return grpc_callables.deserializer(callee) or _unread


def _unread(wire: bytes) -> bytes:
    return wire


def _tapping(read: Read, take: Take) -> Read:
    def tapped(wire: bytes) -> Any:
        take.arrived(wire)
        return read(wire)

    return tapped
