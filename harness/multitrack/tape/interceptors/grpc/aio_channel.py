"""The seam at gRPC's asyncio channels: below the calls that they make.

A call is made with its channel's core, and makes its own from that. Here it is given another one, that asks the tape
first; so channels, stubs and callables made earlier are caught, too, interceptors run above it, and the caller holds
grpc's own calls.
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
from multitrack.tape.interceptors.grpc.aio_calls import TapedCall
from multitrack.tape.interceptors.grpc.callables import Beginning
from multitrack.tape.interceptors.grpc.grpc_call import Method, method_url
from multitrack.tape.patching import Patch

Init = Callable[..., None]


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """The swaps that bring every call on an asyncio channel of ``grpc`` before the tape."""
    del module
    kinds = callables.of_asyncio_channels()
    unary, streams = kinds.plain[::2], kinds.plain[1::2]
    return [
        *(Patch(kind, "__init__", _taping(current_tape, streams_responses=False)) for kind in unary),
        *(Patch(kind, "__init__", _taping(current_tape, streams_responses=True)) for kind in streams),
        *(Patch(kind, "__init__", _running_here(current_tape)) for kind in kinds.intercepted),
    ]


def _taping(current_tape: CurrentTape, *, streams_responses: bool) -> Callable[[Init], Init]:
    def make(original: Init) -> Init:
        names = tuple(callables.signature(original).parameters)

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            tape = current_tape()
            if tape is None:
                return original(self, *args, **kwargs)
            beginning = Beginning(names, (self, *args), kwargs)
            writer = _Writer(beginning.serializer)
            channel = _TapedChannel(tape, beginning, writer, streams_responses)
            beginning.replace(channel=channel, request_serializer=writer, **_loop_here())
            return original(**beginning.arguments)

        return __init__

    return make


def _running_here(current_tape: CurrentTape) -> Callable[[Init], Init]:
    def make(original: Init) -> Init:
        names = tuple(callables.signature(original).parameters)

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            if current_tape() is None:
                return original(self, *args, **kwargs)
            beginning = Beginning(names, (self, *args), kwargs)
            beginning.replace(**_loop_here())
            return original(**beginning.arguments)

        return __init__

    return make


def _loop_here() -> dict[str, Any]:
    """The loop that runs. A channel keeps the one that it was made on; a client that was made in an earlier test, on a
    loop that is closed by now, is answered all the same."""
    try:
        return {"loop": asyncio.get_running_loop()}
    except RuntimeError:
        return {}


class _Writer:
    """Serializes requests, and knows what the last one was."""

    def __init__(self, serializer: Callable[[Any], bytes] | None) -> None:
        self._serializer = serializer
        self.kind = message_type(serializer)

    def __call__(self, message: Any) -> Any:
        self.kind = message_type(self._serializer) or type_of(message)
        return message if self._serializer is None else self._serializer(message)

    def json(self, wire: bytes | None) -> bytes:
        """The last message, which has these bytes on the wire, as protobuf JSON."""
        return wire_to_json(_sent(wire), self.kind).encode()


def _sent(wire: bytes | None) -> bytes:
    # gRPC logs that a message cannot be serialized, and sends an empty one
    return wire or b""


class _TapedChannel:
    """The core of a channel, for one call."""

    def __init__(self, tape: Router, beginning: Beginning, writer: _Writer, streams_responses: bool) -> None:
        self._tape = tape
        self._real = beginning.channel
        self._writer = writer
        self._by_hand = beginning.is_written_by_hand
        self._method = Method(
            url=method_url(callables.asyncio_target(self._real), beginning.method),
            response_type=message_type(beginning.deserializer),
            streams_responses=streams_responses,
        )

    def call(self, method: bytes, deadline: float | None, *rest: Any) -> Any:
        """The core of a call to ``method``."""
        live = functools.partial(self._real.call, method, deadline, *rest)
        if self._real.closed():
            return live()  # which says so
        return TapedCall(
            self._tape,
            self._method,
            channel=self._real,
            live=live,
            request=lambda wire, metadata: self._method.request(_sent(wire), self._writer.kind, metadata),
            write=self._writer.json,
            deadline=deadline,
            by_hand=self._by_hand,
        )
