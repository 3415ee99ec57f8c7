"""Guard the calls on a gRPC channel that was created with stand-in credentials.

A gRPC interceptor guards the calls. It runs before gRPC connects, and its errors are raised unchanged. An error from
the credentials would be too late: gRPC asks them for a token only after it has connected, and converts their errors
to a status.

The interceptor also adds the stand-in token to the metadata of the call. The tape refuses to send a call that has
this token, even to a host in ``ignore_hosts``.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import grpc
import grpc.aio

FindMetadata = Callable[[], tuple[tuple[str, str], ...]]
"""Returns the entries to add to a call's metadata. Raises if the call must not be sent."""

_FIELDS = ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")


class _CallDetails(namedtuple("_CallDetails", _FIELDS), grpc.ClientCallDetails):  # type: ignore[misc]
    """The details of a synchronous call. The ``grpc`` package has an abstract class for them, but no concrete class."""


def create_guard(find_metadata: FindMetadata) -> Any:
    """Return an interceptor that adds metadata to each call on a synchronous channel."""
    return _GUARD_CLASS(find_metadata)


def create_async_guards(find_metadata: FindMetadata) -> list[Any]:
    """Return interceptors for an asyncio channel that add metadata to each call: one for each kind of call."""
    return [guard_class(find_metadata) for guard_class in _ASYNC_GUARD_CLASSES]


class _Guard:
    def __init__(self, find_metadata: FindMetadata) -> None:
        self.find_metadata = find_metadata


def _intercept(guard: _Guard, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
    if added := guard.find_metadata():
        # interceptors from other libraries leave out the fields that grpc added later
        fields: dict[str, Any] = {name: getattr(details, name, None) for name in _FIELDS}
        details = _CallDetails(**{**fields, "metadata": (*(details.metadata or ()), *added)})
    return continuation(details, request)


async def _intercept_async(guard: _Guard, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
    if added := guard.find_metadata():
        metadata = grpc.aio.Metadata(*(details.metadata or ()), *added)
        details = details._replace(metadata=metadata)
    return await continuation(details, request)


def _create_guard_class(module: ModuleType, kinds: Iterable[str], intercept: Callable[..., Any]) -> type[_Guard]:
    bases = tuple(getattr(module, kind) for kind in kinds)
    return type("ChannelGuard", (_Guard, *bases), {_KINDS[kind]: intercept for kind in kinds})


# The method that each kind of interceptor implements, by the name of its class in both `grpc` and `grpc.aio`.
_KINDS = {
    "UnaryUnaryClientInterceptor": "intercept_unary_unary",
    "UnaryStreamClientInterceptor": "intercept_unary_stream",
    "StreamUnaryClientInterceptor": "intercept_stream_unary",
    "StreamStreamClientInterceptor": "intercept_stream_stream",
}
# created only once, because creating a class takes longer than creating the rest of a channel
_GUARD_CLASS = _create_guard_class(grpc, _KINDS, _intercept)
_ASYNC_GUARD_CLASSES = [_create_guard_class(grpc.aio, (kind,), _intercept_async) for kind in _KINDS]
