"""What is private in grpc and needed here: the classes behind a channel's multi-callables, and behind the calls of an
asyncio channel.

Their attributes and constructors are no public interface
(https://github.com/grpc/grpc/blob/master/src/python/grpcio/grpc/_channel.py and ``aio/_call.py`` beside it); no other
file names them.
"""

from __future__ import annotations

import copy
import ctypes
import functools
import gc
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]
Metadata = tuple[tuple[str, str | bytes], ...]


@functools.cache
def signature(function: Callable[..., Any]) -> inspect.Signature:
    """The parameters of one of grpc's functions. Kept, since finding them out takes longer than a replayed call, and a
    seam is swapped in for each test."""
    return inspect.signature(function)


@dataclass(frozen=True, slots=True)
class Callables:
    """The classes whose instances `Channel.unary_unary` and its like give, by what streams."""

    unary_unary: tuple[type, ...]
    unary_stream: tuple[type, ...]
    stream_unary: tuple[type, ...]
    stream_stream: tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Channels:
    """The classes of channels, as `grpc.secure_channel` and `grpc.aio.secure_channel` make them."""

    plain: type
    asyncio: type


def channels() -> Channels:
    """The classes of channels of both kinds."""
    return Channels(import_module("grpc._channel").Channel, import_module("grpc.aio._channel").Channel)


def channel_target(channel: Any) -> str:
    """What a synchronous channel was opened to, as the caller wrote it."""
    return _text(channel._channel.target())


def asyncio_channel_target(channel: Any) -> str:
    """What an asyncio channel was opened to, as the caller wrote it."""
    return asyncio_target(channel._channel)


def of_channels() -> Callables:
    """The classes of synchronous channels."""
    channel = import_module("grpc._channel")
    return Callables(
        unary_unary=(channel._UnaryUnaryMultiCallable,),
        unary_stream=(channel._UnaryStreamMultiCallable, channel._SingleThreadedUnaryStreamMultiCallable),
        stream_unary=(channel._StreamUnaryMultiCallable,),
        stream_stream=(channel._StreamStreamMultiCallable,),
    )


def target(callee: Any) -> str:
    """What the channel was opened to, as the caller wrote it."""
    return _text(callee._target)


def method(callee: Any) -> str:
    """The full method name, ``/package.Service/Method``."""
    return _text(callee._method)


def serializer(callee: Any) -> Serializer | None:
    """What turns a request into bytes; None if it is bytes already."""
    found: Serializer | None = callee._request_serializer
    return found


def deserializer(callee: Any) -> Deserializer | None:
    """What turns bytes into a response; None if bytes are wanted."""
    found: Deserializer | None = callee._response_deserializer
    return found


def with_coders(callee: Any, serializer: Serializer | None, deserializer: Deserializer) -> Any:
    """A copy of ``callee`` on the same channel that writes its requests and reads its responses by these."""
    changed = copy.copy(callee)
    changed._request_serializer = serializer
    changed._response_deserializer = deserializer
    return changed


@dataclass(frozen=True, slots=True)
class AsyncioCalls:
    """The classes of the calls of asyncio channels: ``plain`` ones, each of which is one RPC, and those that run
    interceptors first."""

    plain: tuple[type, ...]
    intercepted: tuple[type, ...]


def of_asyncio_channels() -> AsyncioCalls:
    """The classes of asyncio channels."""
    call, interceptor = import_module("grpc.aio._call"), import_module("grpc.aio._interceptor")
    kinds = ("UnaryUnaryCall", "UnaryStreamCall", "StreamUnaryCall", "StreamStreamCall")
    return AsyncioCalls(
        tuple(getattr(call, kind) for kind in kinds),
        tuple(getattr(interceptor, f"Intercepted{kind}") for kind in kinds),
    )


class Beginning:
    """The ``arguments``, by name, for the constructor of an asyncio call, whose parameters have these ``names``."""

    def __init__(self, names: Iterable[str], given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        self.arguments: dict[str, Any] = {**dict(zip(names, given, strict=False)), **named}

    @property
    def channel(self) -> Any:
        """The channel's core, whose method ``call`` makes the core of a call."""
        return self.arguments["channel"]

    @property
    def method(self) -> str:
        """The full method name, ``/package.Service/Method``."""
        return _text(self.arguments["method"])

    @property
    def serializer(self) -> Serializer | None:
        found: Serializer | None = self.arguments["request_serializer"]
        return found

    @property
    def deserializer(self) -> Deserializer | None:
        found: Deserializer | None = self.arguments["response_deserializer"]
        return found

    @property
    def is_written_by_hand(self) -> bool:
        """Whether the caller streams its requests by ``write`` and not by an iterator."""
        return self.arguments.get("request_iterator", ()) is None

    def replace(self, **arguments: Any) -> None:
        """Give the constructor other ``arguments``."""
        for name, argument in arguments.items():
            if name not in self.arguments:
                raise TypeError(f"grpc's asyncio calls are made without {name!r}: this grpcio is not known here")
            self.arguments[name] = argument


# Of AioChannel before grpcio 1.82, after the head of every object: the channel, its loop, its target, its state.
# https://github.com/grpc/grpc/blob/v1.66.2/src/python/grpcio/grpc/_cython/_cygrpc/aio/channel.pxd.pxi
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_HEAD = object.__basicsize__
_LOOP, _TARGET, _SIZE = _HEAD + _POINTER, _HEAD + 2 * _POINTER, _HEAD + 4 * _POINTER


def asyncio_target(channel: Any) -> str:
    """What the asyncio channel with this core was opened to, as the caller wrote it."""
    if hasattr(channel, "target"):
        return _text(channel.target)
    # older ones hold it, and do not tell
    loops = [id(loop) for loop in gc.get_referents(channel)]
    if type(channel).__basicsize__ != _SIZE or loops != [_word(channel, _LOOP)]:
        raise RuntimeError("this grpcio does not tell what an asyncio channel was opened to: upgrade it to 1.82")
    held = ctypes.cast(_word(channel, _TARGET), ctypes.py_object).value
    return _text(held)


def _word(owner: object, offset: int) -> int:
    return ctypes.c_size_t.from_address(id(owner) + offset).value


def asyncio_status(code: int, details: str, trailing: Metadata) -> Any:
    """What the core of a call tells of its end."""
    return import_module("grpc._cython.cygrpc").AioRpcStatus(code, details, trailing, details)


def status_of(core: Any) -> tuple[int, str, Metadata, Metadata]:
    """The code, details, initial and trailing metadata of an asyncio call that is over, by its core."""
    status = core._status
    return status.code(), status.details() or "", core._initial_metadata or (), status.trailing_metadata() or ()


def initial_metadata_of(core: Any) -> Metadata:
    """The initial metadata of an asyncio call that has begun."""
    return core._initial_metadata or ()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
