"""Ask respx for an answer before Multitrack handles a request.

The default mocker of respx works below httpx's transports. Without this module, the mocker would not see the
requests.

An answer from respx is not network traffic. Only a call to respx shows whether it answers a request. The interceptor
for httpx therefore calls respx first, and continues if respx lets the request pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.patching import Patch


class RequestPassedThrough(BaseException):
    """Raised if respx does not answer a request. Derives from ``BaseException``, so that httpx does not wrap it."""


_may_respx_answer: ContextVar[bool | None] = ContextVar("multitrack_may_respx_answer", default=None)
"""True while respx is asked for an answer, False while it is skipped because it was asked already. ``None`` otherwise.
"""


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for ``module``, which is ``respx.mocks``."""
    del current_tape
    mocker = module.AbstractRequestMocker
    return [
        Patch(mocker, "_send_sync_request", _wrap_sync),
        Patch(mocker, "_send_async_request", _wrap_async),
    ]


def is_mocked(pool: object) -> bool:
    """Return whether respx has replaced the methods of httpcore's connection ``pool``."""
    method = getattr(pool, "handle_request", None) or getattr(pool, "handle_async_request", None)
    return getattr(method, "__module__", "") == "respx.mocks"


@contextmanager
def ask() -> Iterator[None]:
    """Raise ``RequestPassedThrough`` if respx does not answer a request that is sent in the block."""
    token = _may_respx_answer.set(True)
    try:
        yield
    finally:
        _may_respx_answer.reset(token)


@contextmanager
def skip() -> Iterator[None]:
    """Skip respx within the block, because respx has already counted the request."""
    token = _may_respx_answer.set(False)
    try:
        yield
    finally:
        _may_respx_answer.reset(token)


def _wrap_sync(original: Any) -> Any:
    def send(cls: Any, request: Any, /, *, target_spec: Callable[..., Any], instance: Any, **arguments: Any) -> Any:
        if _may_respx_answer.get() is False:
            return target_spec(instance, **arguments)
        target = _pass_through if _may_respx_answer.get() else target_spec
        return original.__func__(cls, request, target_spec=target, instance=instance, **arguments)

    return classmethod(send)


def _wrap_async(original: Any) -> Any:
    async def send(
        cls: Any, request: Any, /, *, target_spec: Callable[..., Any], instance: Any, **arguments: Any
    ) -> Any:
        if _may_respx_answer.get() is False:
            return await target_spec(instance, **arguments)
        target = _pass_through if _may_respx_answer.get() else target_spec
        return await original.__func__(cls, request, target_spec=target, instance=instance, **arguments)

    return classmethod(send)


def _pass_through(*_: Any, **__: Any) -> Any:
    raise RequestPassedThrough
