"""The interceptor for gRPC's asyncio channels.

The interceptor works at the lowest level. A grpc channel wraps a core object, and this core creates another core
object for each call. The interceptor replaces the call's core with an object that asks the tape first. Channels,
stubs and callables that were created earlier are therefore intercepted, too. gRPC interceptors still run, and the
caller gets grpc's own call objects.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from multitrack.tape.exchange import Router
from multitrack.tape.google.protobuf import message_type, type_of, wire_to_json
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.interceptors.grpc import callables
from multitrack.tape.interceptors.grpc.aio_core import RoutedCore
from multitrack.tape.interceptors.grpc.callables import AioCallArguments
from multitrack.tape.interceptors.grpc.grpc_call import GrpcMethod, method_url
from multitrack.tape.patching import Patch

Init = Callable[..., None]


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches that route every call on an asyncio channel of ``grpc``."""
    del module
    kinds = callables.asyncio_calls()
    unary, streams = kinds.plain[::2], kinds.plain[1::2]
    return [
        *(Patch(kind, "__init__", _wrap_call(current_tape, streams_responses=False)) for kind in unary),
        *(Patch(kind, "__init__", _wrap_call(current_tape, streams_responses=True)) for kind in streams),
        *(Patch(kind, "__init__", _wrap_intercepted_call(current_tape)) for kind in kinds.intercepted),
    ]


def _wrap_call(current_tape: CurrentTape, *, streams_responses: bool) -> Callable[[Init], Init]:
    def wrap(original: Init) -> Init:
        names = tuple(callables.signature(original).parameters)

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            tape = current_tape()
            if tape is None:
                return original(self, *args, **kwargs)
            arguments = AioCallArguments(names, (self, *args), kwargs)
            serializer = _RequestSerializer(arguments.serializer)
            channel = _ChannelCore(tape, arguments, serializer, streams_responses)
            arguments.replace(channel=channel, request_serializer=serializer, **_running_loop())
            return original(**arguments.by_name)

        return __init__

    return wrap


def _wrap_intercepted_call(current_tape: CurrentTape) -> Callable[[Init], Init]:
    def wrap(original: Init) -> Init:
        names = tuple(callables.signature(original).parameters)

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            if current_tape() is None:
                return original(self, *args, **kwargs)
            arguments = AioCallArguments(names, (self, *args), kwargs)
            arguments.replace(**_running_loop())
            return original(**arguments.by_name)

        return __init__

    return wrap


def _running_loop() -> dict[str, Any]:
    """Return the running loop as a keyword argument for a call.

    Without this argument, the call would use the loop on which the channel was created. If an earlier test created
    the channel, that loop can be closed by now.
    """
    try:
        return {"loop": asyncio.get_running_loop()}
    except RuntimeError:
        return {}


class _RequestSerializer:
    """A serializer for request messages. It remembers the last message's class, which ``to_json`` needs."""

    def __init__(self, serializer: Callable[[Any], bytes] | None) -> None:
        self._serializer = serializer
        self.message_type = message_type(serializer)

    def __call__(self, message: Any) -> Any:
        self.message_type = message_type(self._serializer) or type_of(message)
        return message if self._serializer is None else self._serializer(message)

    def to_json(self, wire: bytes | None) -> bytes:
        """Convert ``wire``, the bytes of the most recently serialized message, to protobuf JSON."""
        return wire_to_json(_find_sent_bytes(wire), self.message_type).encode()


def _find_sent_bytes(wire: bytes | None) -> bytes:
    # if a message cannot be serialized, gRPC logs the error and sends an empty message
    return wire or b""


class _ChannelCore:
    """A substitute for a channel's core while one call is created. The substitute gives the call a ``RoutedCore``."""

    def __init__(
        self, tape: Router, arguments: AioCallArguments, serializer: _RequestSerializer, streams_responses: bool
    ) -> None:
        self._tape = tape
        self._real = arguments.channel
        self._serializer = serializer
        self._uses_write = arguments.uses_write
        self._method = GrpcMethod(
            url=method_url(callables.asyncio_target(self._real), arguments.method),
            response_type=message_type(arguments.deserializer),
            streams_responses=streams_responses,
        )

    def call(self, method: bytes, deadline: float | None, *rest: Any) -> Any:
        """Create the core of a call to ``method``."""
        create_live = functools.partial(self._real.call, method, deadline, *rest)
        if self._real.closed():
            return create_live()  # raises the error for a closed channel
        return RoutedCore(
            self._tape,
            self._method,
            channel=self._real,
            create_live=create_live,
            create_request=lambda wire, metadata: self._method.create_request(
                _find_sent_bytes(wire), self._serializer.message_type, metadata
            ),
            to_json=self._serializer.to_json,
            deadline=deadline,
            uses_write=self._uses_write,
        )
