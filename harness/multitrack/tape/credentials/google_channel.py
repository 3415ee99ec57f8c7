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

from multitrack.tape.credentials import replaying
from multitrack.tape.credentials.google import StandInCredentials

# The method that each kind of interceptor has, by the name of its class in `grpc` and in `grpc.aio`.
_KINDS = {
    "UnaryUnaryClientInterceptor": "intercept_unary_unary",
    "UnaryStreamClientInterceptor": "intercept_unary_stream",
    "StreamUnaryClientInterceptor": "intercept_stream_unary",
    "StreamStreamClientInterceptor": "intercept_stream_stream",
}


def guard(credentials: StandInCredentials) -> Any:
    """An interceptor for a sync channel."""

    def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        _check(credentials)
        return continuation(details, request)

    return _interceptor(grpc, tuple(_KINDS), intercept)


def async_guards(credentials: StandInCredentials) -> list[Any]:
    """Interceptors for an asyncio channel, where each serves one kind of call."""

    async def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        _check(credentials)
        return await continuation(details, request)

    return [_interceptor(grpc.aio, (kind,), intercept) for kind in _KINDS]


def _check(credentials: StandInCredentials) -> None:
    if not replaying():
        credentials.found()


def _interceptor(module: ModuleType, kinds: tuple[str, ...], intercept: Callable[..., Any]) -> Any:
    bases = tuple(getattr(module, kind) for kind in kinds)
    return type("Guard", bases, {_KINDS[kind]: intercept for kind in kinds})()
