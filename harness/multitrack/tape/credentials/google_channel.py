"""Refuse the calls of a gRPC channel that was created with stand-in credentials, unless a cassette replays.

gRPC asks credentials for a token only after it has connected, and converts their error to a status. An interceptor runs
before gRPC connects, and the interceptor's error is raised unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import grpc
import grpc.aio

Check = Callable[[], None]
"""Raises if a call must not be sent."""

# The method of each kind of interceptor, by the name that its class has in both `grpc` and `grpc.aio`.
_KINDS = {
    "UnaryUnaryClientInterceptor": "intercept_unary_unary",
    "UnaryStreamClientInterceptor": "intercept_unary_stream",
    "StreamUnaryClientInterceptor": "intercept_stream_unary",
    "StreamStreamClientInterceptor": "intercept_stream_stream",
}


def create_guard(check: Check) -> Any:
    """Return an interceptor for a synchronous channel that runs ``check`` before each call."""

    def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        check()
        return continuation(details, request)

    return _create_interceptor(grpc, tuple(_KINDS), intercept)


def create_async_guards(check: Check) -> list[Any]:
    """Return interceptors for an asyncio channel that run ``check``: one for each kind of call."""

    async def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        check()
        return await continuation(details, request)

    return [_create_interceptor(grpc.aio, (kind,), intercept) for kind in _KINDS]


def _create_interceptor(module: ModuleType, kinds: tuple[str, ...], intercept: Callable[..., Any]) -> Any:
    bases = tuple(getattr(module, kind) for kind in kinds)
    return type("ChannelGuard", bases, {_KINDS[kind]: intercept for kind in kinds})()
