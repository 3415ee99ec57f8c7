"""Add extraction to Anthropic's clients, sync and async, including those for Amazon Bedrock and Vertex AI.

This module is imported only when a client is passed to ``from_anthropic``, because it imports the SDK.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anthropic
from anthropic import AsyncStream, Stream
from anthropic.resources import AsyncMessages as SdkAsyncMessages
from anthropic.resources import Messages as SdkMessages
from anthropic.types import Message, RawMessageStreamEvent, Usage

from multitrack.clients.create_mixin import AsyncCreateMixin, CreateMixin
from multitrack.clients.instructor_names import look_up_attribute
from multitrack.clients.mode import Mode, resolve_mode

_AUTO = {"type": "auto"}
# Each platform has a pair of classes, and newer releases of the SDK have more platforms. The classes have no public
# base class in common.
_CLIENTS = tuple(
    value
    for name, value in vars(anthropic).items()
    if isinstance(value, type) and name.startswith(("Anthropic", "AsyncAnthropic")) and not issubclass(value, Exception)
)


class Messages(CreateMixin[Message, Stream[RawMessageStreamEvent]], SdkMessages):
    """``client.messages``; its ``create`` accepts ``response_model``."""

    _wire = "anthropic"
    _sdk = SdkMessages
    _usage_type = Usage
    _tool_choice = _AUTO
    _checks_tool_choice = False


class AsyncMessages(AsyncCreateMixin[Message, AsyncStream[RawMessageStreamEvent]], SdkAsyncMessages):
    """``client.messages`` of an async client; its ``create`` accepts ``response_model``."""

    _wire = "anthropic"
    _sdk = SdkAsyncMessages
    _usage_type = Usage
    _tool_choice = _AUTO
    _checks_tool_choice = False


if TYPE_CHECKING:
    # type checkers do not find them in the package itself
    from anthropic.lib.bedrock import AnthropicBedrock, AsyncAnthropicBedrock
    from anthropic.lib.vertex import AnthropicVertex, AsyncAnthropicVertex

    class _Extracting:
        create: Any
        create_with_completion: Any

    class ParallelAnthropic(_Extracting, anthropic.Anthropic):
        """The type of an ``Anthropic`` client with extraction."""

        @cached_property
        def messages(self) -> Messages: ...

    class AsyncParallelAnthropic(_Extracting, anthropic.AsyncAnthropic):
        """The type of an ``AsyncAnthropic`` client with extraction."""

        @cached_property
        def messages(self) -> AsyncMessages: ...

    class ParallelAnthropicBedrock(_Extracting, AnthropicBedrock):
        """The type of an ``AnthropicBedrock`` client with extraction."""

        messages: Messages

    class AsyncParallelAnthropicBedrock(_Extracting, AsyncAnthropicBedrock):
        """The type of an ``AsyncAnthropicBedrock`` client with extraction."""

        messages: AsyncMessages

    class ParallelAnthropicVertex(_Extracting, AnthropicVertex):
        """The type of an ``AnthropicVertex`` client with extraction."""

        messages: Messages

    class AsyncParallelAnthropicVertex(_Extracting, AsyncAnthropicVertex):
        """The type of an ``AsyncAnthropicVertex`` client with extraction."""

        messages: AsyncMessages


def copy_with_extraction(client: Any, mode: Mode | None) -> Any:
    """Return a copy of ``client`` that extracts models and uses the same connections. ``client`` is not changed."""
    mode = resolve_mode(mode, Mode.ANTHROPIC_PARALLEL_TOOLS, function="from_anthropic")
    if not isinstance(client, _CLIENTS):
        raise TypeError(
            f"from_anthropic requires an anthropic.Anthropic or anthropic.AsyncAnthropic, or one of the SDK's clients "
            f"for other platforms such as anthropic.AnthropicBedrock, not {type(client).__name__}"
        )
    extracting: Any = copy.copy(client)
    attributes = vars(extracting)
    # on replay, the guards of the original client read the project and the workspace of the original client
    if (guard := attributes.get("_guard_copy")) is not None:
        guard(extracting)
    resource: Any = (AsyncMessages if _is_async(client) else Messages)(extracting)
    attributes["messages"] = resource
    attributes["create"] = resource.create
    attributes["create_with_completion"] = resource.create_with_completion
    # `with_options` creates a new client, which would not have extraction
    for name in ("copy", "with_options"):
        own = vars(client).get(name) or getattr(type(client), name).__get__(extracting)
        attributes[name] = _extend_copy(own, mode)
    return extracting


def _is_async(client: object) -> bool:
    # the base class that the async clients have in common is private, so they are recognized by name
    return any(base.__name__.startswith("Async") for base in type(client).__mro__ if base in _CLIENTS)


def _extend_copy(copy_client: Callable[..., Any], mode: Mode) -> Callable[..., Any]:
    def copy_and_add(*arguments: Any, **options: Any) -> Any:
        return copy_with_extraction(copy_client(*arguments, **options), mode)

    return copy_and_add


def _look_up_client_attribute(client: object, name: str) -> Any:
    if "create_with_completion" in vars(client):
        return look_up_attribute(client, name)
    return object.__getattribute__(client, name)


# A client with extraction stays an instance of the SDK's own class, so only that class can explain a missing attribute.
# Clients without extraction raise the same error as without Multitrack.
for _client_class in _CLIENTS:
    if not hasattr(_client_class, "__getattr__"):
        setattr(_client_class, "__getattr__", _look_up_client_attribute)  # noqa: B010
