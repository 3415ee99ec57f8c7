"""What is private in grpc and needed here: the classes behind a channel's multi-callables.

Their attributes and constructors are no public interface
(https://github.com/grpc/grpc/blob/master/src/python/grpcio/grpc/_channel.py); no other file names them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Deserializer = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Callables:
    """The classes whose instances `Channel.unary_unary` and its like give, by what streams."""

    unary_unary: tuple[type, ...]
    unary_stream: tuple[type, ...]
    stream_unary: tuple[type, ...]
    stream_stream: tuple[type, ...]


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


def serializer(callee: Any) -> Callable[[Any], bytes] | None:
    """What turns a request into bytes; None if it is bytes already."""
    found: Callable[[Any], bytes] | None = callee._request_serializer
    return found


def deserializer(callee: Any) -> Deserializer | None:
    """What turns bytes into a response; None if bytes are wanted."""
    found: Deserializer | None = callee._response_deserializer
    return found


def with_deserializer(callee: Any, replacement: Deserializer) -> Any:
    """A copy of ``callee`` on the same channel that reads its responses by ``replacement``."""
    changed = copy.copy(callee)
    changed._response_deserializer = replacement
    return changed


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
