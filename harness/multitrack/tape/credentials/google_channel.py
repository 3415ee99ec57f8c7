"""Holds back the calls of a gRPC channel that was made with stand-in credentials, unless a tape replays.

gRPC asks credentials for a token once it has connected, and makes a status of their error. An interceptor comes
before that, and its error stays what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import grpc
import grpc.aio

Check = Callable[[], None]
"""Raises where a call must not go on."""

# The method that each kind of interceptor has, by the name of its class in `grpc` and in `grpc.aio`.
_KINDS = {
    "UnaryUnaryClientInterceptor": "intercept_unary_unary",
    "UnaryStreamClientInterceptor": "intercept_unary_stream",
    "StreamUnaryClientInterceptor": "intercept_stream_unary",
    "StreamStreamClientInterceptor": "intercept_stream_stream",
}


def guard(check: Check) -> Any:
    """An interceptor for a sync channel, which runs ``check`` before each call."""

    def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        check()
        return continuation(details, request)

    return _interceptor(grpc, tuple(_KINDS), intercept)


def async_guards(check: Check) -> list[Any]:
    """Interceptors for an asyncio channel, where each serves one kind of call, as `guard`."""

    async def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        check()
        return await continuation(details, request)

    return [_interceptor(grpc.aio, (kind,), intercept) for kind in _KINDS]


def _interceptor(module: ModuleType, kinds: tuple[str, ...], intercept: Callable[..., Any]) -> Any:
    bases = tuple(getattr(module, kind) for kind in kinds)
    return type("Guard", bases, {_KINDS[kind]: intercept for kind in kinds})()
