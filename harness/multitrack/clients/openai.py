"""OpenAI's clients, sync and async, made to extract.

Imported when a client is given to `from_openai` or `patch`, so that nobody else needs the SDK.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import openai

from multitrack.clients.mode import Mode, chosen
from multitrack.clients.openai_chat import AsyncChat, Chat, chat_of
from multitrack.clients.openai_responses import AsyncResponses, Responses, responses_of

C = TypeVar("C", openai.OpenAI, openai.AsyncOpenAI)

if TYPE_CHECKING:

    class ParallelOpenAI(openai.OpenAI):
        """An ``OpenAI`` client as `from_openai` gives it."""

        create: Any

        @cached_property
        def chat(self) -> Chat: ...
        @cached_property
        def responses(self) -> Responses: ...

    class AsyncParallelOpenAI(openai.AsyncOpenAI):
        """An ``AsyncOpenAI`` client as `from_openai` gives it."""

        create: Any

        @cached_property
        def chat(self) -> AsyncChat: ...
        @cached_property
        def responses(self) -> AsyncResponses: ...


def extracting(client: C, mode: Mode | None, *, by: str) -> C:
    """A copy of ``client`` that extracts, on the same connections; ``client`` itself stays as it is."""
    return extract_with(copy.copy(_checked(client, by)), mode, by=by)


def extract_with(client: C, mode: Mode | None, *, by: str) -> C:
    """``client`` itself, made to extract."""
    mode = chosen(mode, Mode.PARALLEL_TOOLS, Mode.RESPONSES_PARALLEL_TOOLS, by=by)
    own = vars(_checked(client, by))
    if mode is Mode.PARALLEL_TOOLS:
        own["chat"] = chat_of(client)
        own["create"] = own["chat"].completions.create
    else:
        own["responses"] = responses_of(client)
        own["create"] = own["responses"].create
    # `with_options` makes a new client, which would be the SDK's plain one
    for name in ("copy", "with_options"):
        own[name] = _extracting_too(getattr(type(client), name).__get__(client), mode, by)
    return client


def _extracting_too(copying: Callable[..., C], mode: Mode, by: str) -> Callable[..., C]:
    def copied(*arguments: Any, **options: Any) -> C:
        return extract_with(copying(*arguments, **options), mode, by=by)

    return copied


def _checked(client: C, by: str) -> C:
    if isinstance(client, (openai.OpenAI, openai.AsyncOpenAI)):
        return client
    raise TypeError(f"{by} takes an openai.OpenAI or openai.AsyncOpenAI, not {type(client).__name__}")
