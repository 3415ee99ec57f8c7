"""Add extraction to OpenAI's clients, sync and async.

This module is imported only when a client is passed to ``from_openai`` or ``patch``, because it imports the SDK.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import openai

from multitrack.clients.instructor_names import look_up_attribute
from multitrack.clients.mode import Mode, resolve_mode
from multitrack.clients.openai_resources import (
    AsyncChat,
    AsyncResponses,
    Chat,
    Responses,
    chat_resource,
    responses_resource,
)

C = TypeVar("C", openai.OpenAI, openai.AsyncOpenAI)

if TYPE_CHECKING:

    class ParallelOpenAI(openai.OpenAI):
        """The type of an ``OpenAI`` client with extraction."""

        create: Any
        create_with_completion: Any

        @cached_property
        def chat(self) -> Chat: ...
        @cached_property
        def responses(self) -> Responses: ...

    class AsyncParallelOpenAI(openai.AsyncOpenAI):
        """The type of an ``AsyncOpenAI`` client with extraction."""

        create: Any
        create_with_completion: Any

        @cached_property
        def chat(self) -> AsyncChat: ...
        @cached_property
        def responses(self) -> AsyncResponses: ...


def copy_with_extraction(client: C, mode: Mode | None, *, function: str) -> C:
    """Return a copy of ``client`` that has extraction and uses the same connections. ``client`` stays unchanged."""
    return add_extraction(copy.copy(_check_client(client, function)), mode, function=function)


def add_extraction(client: C, mode: Mode | None, *, function: str) -> C:
    """Add extraction to ``client`` in place, and return the client."""
    mode = resolve_mode(mode, Mode.PARALLEL_TOOLS, Mode.RESPONSES_PARALLEL_TOOLS, function=function)
    attributes = vars(_check_client(client, function))
    if mode is Mode.PARALLEL_TOOLS:
        attributes["chat"] = chat_resource(client)
        resource: Any = attributes["chat"].completions
    else:
        resource = attributes["responses"] = responses_resource(client)
    attributes["create"] = resource.create
    attributes["create_with_completion"] = resource.create_with_completion
    # `with_options` creates a new client, which would not have extraction
    for name in ("copy", "with_options"):
        attributes[name] = _extend_copy(getattr(type(client), name).__get__(client), mode, function)
    return client


def _extend_copy(copy_client: Callable[..., C], mode: Mode, function: str) -> Callable[..., C]:
    def copy_and_add(*arguments: Any, **options: Any) -> C:
        return add_extraction(copy_client(*arguments, **options), mode, function=function)

    return copy_and_add


def _check_client(client: C, function: str) -> C:
    if isinstance(client, (openai.OpenAI, openai.AsyncOpenAI)):
        return client
    raise TypeError(f"{function} requires an openai.OpenAI or openai.AsyncOpenAI, not {type(client).__name__}")


def _look_up_client_attribute(client: object, name: str) -> Any:
    if "create_with_completion" in vars(client):
        return look_up_attribute(client, name)
    return object.__getattribute__(client, name)


# A client with extraction stays an instance of the SDK's own class, so only that class can explain a missing attribute.
# Clients without extraction raise the same error as without Multitrack.
for _client_class in (openai.OpenAI, openai.AsyncOpenAI):
    if not hasattr(_client_class, "__getattr__"):
        setattr(_client_class, "__getattr__", _look_up_client_attribute)  # noqa: B010
