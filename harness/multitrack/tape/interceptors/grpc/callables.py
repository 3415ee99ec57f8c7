"""Private parts of grpc that the interceptors need: the classes of multi-callables and of asyncio calls.

The attributes and the constructors of these classes are not a public interface
(https://github.com/grpc/grpc/blob/master/src/python/grpcio/grpc/_channel.py and ``aio/_call.py`` next to it). No other
module uses them.
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

from grpc import aio

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]
Metadata = tuple[tuple[str, str | bytes], ...]

EOF: Any = aio.EOF  # type: ignore[attr-defined]  # grpc-stubs do not declare it


@functools.cache
def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the parameters of one of grpc's functions.

    The result is cached, because inspecting a function takes longer than a replayed call, and every test patches grpc.
    """
    return inspect.signature(function)


@dataclass(frozen=True, slots=True)
class Callables:
    """The classes of the objects that ``Channel.unary_unary`` and its three siblings return."""

    unary_unary: tuple[type, ...]
    unary_stream: tuple[type, ...]
    stream_unary: tuple[type, ...]
    stream_stream: tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Channels:
    """The classes of the channels that ``grpc.secure_channel`` and ``grpc.aio.secure_channel`` create."""

    plain: type
    asyncio: type


def channels() -> Channels:
    """Return the classes of synchronous and of asyncio channels."""
    return Channels(import_module("grpc._channel").Channel, import_module("grpc.aio._channel").Channel)


def create_core_channel() -> Any:
    """Return the Cython object of a channel that never connects, because nobody makes a call on it."""
    return import_module("grpc._cython.cygrpc").Channel(b"localhost", (), None)


def channel_target(channel: Any) -> str:
    """Return the target that the caller passed when it created a synchronous channel."""
    return _decode(channel._channel.target())


def asyncio_channel_target(channel: Any) -> str:
    """Return the target that the caller passed when it created an asyncio channel."""
    return asyncio_target(channel._channel)


def multi_callables() -> Callables:
    """Return the multi-callable classes of synchronous channels."""
    channel = import_module("grpc._channel")
    return Callables(
        unary_unary=(channel._UnaryUnaryMultiCallable,),
        unary_stream=(channel._UnaryStreamMultiCallable, channel._SingleThreadedUnaryStreamMultiCallable),
        stream_unary=(channel._StreamUnaryMultiCallable,),
        stream_stream=(channel._StreamStreamMultiCallable,),
    )


def target(callee: Any) -> str:
    """Return the target that the caller passed when it created the channel."""
    return _decode(callee._target)


def method(callee: Any) -> str:
    """Return the full method name, ``/package.Service/Method``."""
    return _decode(callee._method)


def serializer(callee: Any) -> Serializer | None:
    """Return the function that serializes a request. None if requests are bytes already."""
    found: Serializer | None = callee._request_serializer
    return found


def deserializer(callee: Any) -> Deserializer | None:
    """Return the function that parses a response. None if responses stay bytes."""
    found: Deserializer | None = callee._response_deserializer
    return found


def with_serializers(callee: Any, serializer: Serializer | None, deserializer: Deserializer) -> Any:
    """Return a copy of ``callee`` on the same channel, with the given ``serializer`` and ``deserializer``."""
    changed = copy.copy(callee)
    changed._request_serializer = serializer
    changed._response_deserializer = deserializer
    return changed


@dataclass(frozen=True, slots=True)
class AsyncioCalls:
    """The classes of calls on asyncio channels.

    Attributes:
        plain: The classes whose instances each represent one RPC.
        intercepted: The classes whose instances run the caller's gRPC interceptors first.
    """

    plain: tuple[type, ...]
    intercepted: tuple[type, ...]


def asyncio_calls() -> AsyncioCalls:
    """Return the classes of calls on asyncio channels."""
    call, interceptor = import_module("grpc.aio._call"), import_module("grpc.aio._interceptor")
    kinds = ("UnaryUnaryCall", "UnaryStreamCall", "StreamUnaryCall", "StreamStreamCall")
    return AsyncioCalls(
        tuple(getattr(call, kind) for kind in kinds),
        tuple(getattr(interceptor, f"Intercepted{kind}") for kind in kinds),
    )


class AioCallArguments:
    """The arguments for the constructor of an asyncio gRPC call.

    Args:
        names: The names of the constructor's parameters.
        positional: The positional arguments.
        named: The keyword arguments.

    Attributes:
        by_name: All arguments, keyed by their names.
    """

    def __init__(self, names: Iterable[str], positional: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        self.by_name: dict[str, Any] = {**dict(zip(names, positional, strict=False)), **named}

    @property
    def channel(self) -> Any:
        """The Cython object of the channel. Its ``call`` method creates the Cython object of a call."""
        return self.by_name["channel"]

    @property
    def method(self) -> str:
        """The full method name, ``/package.Service/Method``."""
        return _decode(self.by_name["method"])

    @property
    def serializer(self) -> Serializer | None:
        found: Serializer | None = self.by_name["request_serializer"]
        return found

    @property
    def deserializer(self) -> Deserializer | None:
        found: Deserializer | None = self.by_name["response_deserializer"]
        return found

    @property
    def uses_write(self) -> bool:
        """True if the caller streams its requests with ``write`` instead of an iterator."""
        return self.by_name.get("request_iterator", ()) is None

    def replace(self, **arguments: Any) -> None:
        """Set new values for the named ``arguments``."""
        for name, argument in arguments.items():
            if name not in self.by_name:
                raise TypeError(f"asyncio calls have no argument {name!r}: this version of grpcio is not supported")
            self.by_name[name] = argument


# The fields of AioChannel before grpcio 1.82, after the object header: the channel, its loop, its target, its state.
# https://github.com/grpc/grpc/blob/v1.66.2/src/python/grpcio/grpc/_cython/_cygrpc/aio/channel.pxd.pxi
_POINTER_SIZE = ctypes.sizeof(ctypes.c_void_p)
_HEADER_SIZE = object.__basicsize__
_LOOP_OFFSET, _TARGET_OFFSET = _HEADER_SIZE + _POINTER_SIZE, _HEADER_SIZE + 2 * _POINTER_SIZE
_CHANNEL_SIZE = _HEADER_SIZE + 4 * _POINTER_SIZE


def asyncio_target(channel: Any) -> str:
    """Return the target that the caller passed when it created ``channel``, the Cython object of an asyncio channel."""
    if hasattr(channel, "target"):
        return _decode(channel.target)
    # older versions store the target without an attribute for it
    loops = [id(loop) for loop in gc.get_referents(channel)]
    if type(channel).__basicsize__ != _CHANNEL_SIZE or loops != [_read_pointer(channel, _LOOP_OFFSET)]:
        raise RuntimeError(
            "cannot find the target of an asyncio channel in this version of grpcio: upgrade grpcio to 1.82 or later"
        )
    target = ctypes.cast(_read_pointer(channel, _TARGET_OFFSET), ctypes.py_object).value
    return _decode(target)


def _read_pointer(owner: object, offset: int) -> int:
    return ctypes.c_size_t.from_address(id(owner) + offset).value


def create_core_status(code: int, details: str, trailing: Metadata) -> Any:
    """Return a status in the form that the Cython object of a call uses."""
    return import_module("grpc._cython.cygrpc").AioRpcStatus(code, details, trailing, details)


def find_status(core: Any) -> tuple[int, str, Metadata, Metadata]:
    """Return the code, details, initial and trailing metadata of a finished asyncio call."""
    status = core._status
    return status.code(), status.details() or "", core._initial_metadata or (), status.trailing_metadata() or ()


def find_initial_metadata(core: Any) -> Metadata:
    """Return the initial metadata of an asyncio call that has started. ``core`` is the call's Cython object."""
    return core._initial_metadata or ()


def _decode(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
