"""OpenAI's resources with a ``create`` method that accepts ``response_model``: Chat Completions and Responses.

The classes extend the openai package's own resource classes. Their instances replace the resources of a client.
"""

from __future__ import annotations

from functools import cached_property

import openai
from openai import AsyncStream, Stream
from openai.resources import chat, responses
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent, ResponseUsage

from multitrack.clients.create_mixin import AsyncCreateMixin, CreateMixin


class Completions(CreateMixin[ChatCompletion, Stream[ChatCompletionChunk]], chat.Completions):
    """``client.chat.completions`` with a ``create`` that accepts ``response_model``."""

    _wire = "openai.chat"
    _sdk = chat.Completions
    _usage_type = CompletionUsage


class AsyncCompletions(AsyncCreateMixin[ChatCompletion, AsyncStream[ChatCompletionChunk]], chat.AsyncCompletions):
    """``client.chat.completions`` of an async client, with a ``create`` that accepts ``response_model``."""

    _wire = "openai.chat"
    _sdk = chat.AsyncCompletions
    _usage_type = CompletionUsage


class Chat(chat.Chat):
    """``client.chat``, with Multitrack's ``Completions`` as its ``completions``."""

    @cached_property
    def completions(self) -> Completions:
        """``client.chat.completions``."""
        return Completions(self._client)


class AsyncChat(chat.AsyncChat):
    """``client.chat`` of an async client, with Multitrack's ``AsyncCompletions`` as its ``completions``."""

    @cached_property
    def completions(self) -> AsyncCompletions:
        """``client.chat.completions``."""
        return AsyncCompletions(self._client)


class Responses(CreateMixin[Response, Stream[ResponseStreamEvent]], responses.Responses):
    """``client.responses`` with a ``create`` that accepts ``response_model``."""

    _wire = "openai.responses"
    _sdk = responses.Responses
    _usage_type = ResponseUsage


class AsyncResponses(AsyncCreateMixin[Response, AsyncStream[ResponseStreamEvent]], responses.AsyncResponses):
    """``client.responses`` of an async client, with a ``create`` that accepts ``response_model``."""

    _wire = "openai.responses"
    _sdk = responses.AsyncResponses
    _usage_type = ResponseUsage


def chat_resource(client: openai.OpenAI | openai.AsyncOpenAI) -> Chat | AsyncChat:
    """Return a replacement for ``client.chat`` that supports extraction. The replacement is async if ``client`` is."""
    return AsyncChat(client) if isinstance(client, openai.AsyncOpenAI) else Chat(client)


def responses_resource(client: openai.OpenAI | openai.AsyncOpenAI) -> Responses | AsyncResponses:
    """Return a replacement for ``client.responses`` that supports extraction. The replacement is async if ``client``
    is.
    """
    return AsyncResponses(client) if isinstance(client, openai.AsyncOpenAI) else Responses(client)
