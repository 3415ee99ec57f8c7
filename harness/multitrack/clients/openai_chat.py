"""The chat completions of OpenAI's clients, with ``response_model`` on their `create`.

The openai package's own resource classes are extended, and put on a client in the place of its own.
"""

from __future__ import annotations

from functools import cached_property

import openai
from openai import AsyncStream, Stream
from openai.resources import chat
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from multitrack.clients.openai_create import AsyncCreate, Create


class Completions(Create[ChatCompletion, Stream[ChatCompletionChunk]], chat.Completions):
    """``client.chat.completions``, whose `create` takes ``response_model``."""

    _wire = "openai.chat"
    _sdk = chat.Completions


class AsyncCompletions(AsyncCreate[ChatCompletion, AsyncStream[ChatCompletionChunk]], chat.AsyncCompletions):
    """``client.chat.completions`` of an async client, whose `create` takes ``response_model``."""

    _wire = "openai.chat"
    _sdk = chat.AsyncCompletions


class Chat(chat.Chat):
    """``client.chat``, with our `Completions`."""

    @cached_property
    def completions(self) -> Completions:
        """``client.chat.completions``."""
        return Completions(self._client)


class AsyncChat(chat.AsyncChat):
    """``client.chat`` of an async client, with our `AsyncCompletions`."""

    @cached_property
    def completions(self) -> AsyncCompletions:
        """``client.chat.completions``."""
        return AsyncCompletions(self._client)


def chat_of(client: openai.OpenAI | openai.AsyncOpenAI) -> Chat | AsyncChat:
    """``client.chat`` for ``client``, of its kind."""
    return AsyncChat(client) if isinstance(client, openai.AsyncOpenAI) else Chat(client)
