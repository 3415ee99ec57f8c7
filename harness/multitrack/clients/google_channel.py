"""Guard the calls on a gRPC channel that was created with stand-in credentials.

gRPC asks the credentials for a token only after it has connected. If the credentials raise an error, gRPC converts
the error to a status. An interceptor runs before gRPC connects, and the interceptor's error is raised unchanged. The
interceptor also adds the stand-in token to the metadata of the call. The tape refuses to send a call that has this
token, even to a host in ``ignore_hosts``.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from types import ModuleType
from typing import Any

import grpc
import grpc.aio

FindMetadata = Callable[[], tuple[tuple[str, str], ...]]
"""Returns the entries to add to a call's metadata. Raises if the call must not be sent."""

# The method that each kind of interceptor implements, by the name of its class in both `grpc` and `grpc.aio`.
_KINDS = {
    "UnaryUnaryClientInterceptor": "intercept_unary_unary",
    "UnaryStreamClientInterceptor": "intercept_unary_stream",
    "StreamUnaryClientInterceptor": "intercept_stream_unary",
    "StreamStreamClientInterceptor": "intercept_stream_stream",
}
_FIELDS = ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")


class _CallDetails(namedtuple("_CallDetails", _FIELDS), grpc.ClientCallDetails):  # type: ignore[misc]
    """The details of a synchronous call. The ``grpc`` package has an abstract class for them, but no concrete one."""


def create_guard(find_metadata: FindMetadata) -> Any:
    """Return an interceptor that adds metadata to each call on a synchronous channel."""

    def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if added := find_metadata():
            # interceptors from other libraries leave out the fields that grpc added later
            fields: dict[str, Any] = {name: getattr(details, name, None) for name in _FIELDS}
            details = _CallDetails(**{**fields, "metadata": (*(details.metadata or ()), *added)})
        return continuation(details, request)

    return _create_interceptor(grpc, tuple(_KINDS), intercept)


def create_async_guards(find_metadata: FindMetadata) -> list[Any]:
    """Return interceptors for an asyncio channel that add metadata to each call: one for each kind of call."""

    async def intercept(_: object, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if added := find_metadata():
            metadata = grpc.aio.Metadata(*(details.metadata or ()), *added)
            details = details._replace(metadata=metadata)
        return await continuation(details, request)

    return [_create_interceptor(grpc.aio, (kind,), intercept) for kind in _KINDS]


def _create_interceptor(module: ModuleType, kinds: tuple[str, ...], intercept: Callable[..., Any]) -> Any:
    bases = tuple(getattr(module, kind) for kind in kinds)
    return type("ChannelGuard", bases, {_KINDS[kind]: intercept for kind in kinds})()
