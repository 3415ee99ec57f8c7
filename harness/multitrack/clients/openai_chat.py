"""The chat completions of OpenAI's clients, with ``response_model`` on their `create`.

The openai package's own resource classes are extended, and put on a client in the place of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import openai
from openai.resources import chat

from multitrack.clients.openai_answer import AnswerStream, asked, document_of, going_on, read_of, usage_of

if TYPE_CHECKING:
    from openai import AsyncStream, Omit, Stream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from typing_extensions import TypeForm

    from multitrack.extraction import Extraction, ExtractionStream, OnError

T = TypeVar("T")

_WIRE = "openai.chat"


class Completions(chat.Completions):
    """``client.chat.completions``, whose `create` takes ``response_model``."""

    @overload
    def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> ChatCompletion: ...
    @overload
    def create(
        self, *, stream: Literal[True], response_model: None = None, **arguments: Any
    ) -> Stream[ChatCompletionChunk]: ...
    @overload
    def create(
        self, *, stream: bool, response_model: None = None, **arguments: Any
    ) -> ChatCompletion | Stream[ChatCompletionChunk]: ...
    @overload
    def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[False] | Omit | None = ...,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    def create(self, *, response_model: Any = None, **arguments: Any) -> Any:
        """As the SDK's own; with ``response_model``, an `Extraction`, or an `ExtractionStream` if streamed.

        ``max_retries`` asks again for bad calls; `Toolset.parse` says what ``on_error``, ``allow_empty`` and
        ``context`` do, and `Toolset.schemas` what ``strict`` does.

        Then raises TypeError for a ``response_model`` or an argument that cannot be, before any request, and
        the family of `ExtractionError` for an answer that gives no valid models. Errors of the SDK's own pass
        through.
        """
        if response_model is None:
            return super().create(**arguments)
        question, arguments = asked(_WIRE, response_model, arguments)
        if question.streams:
            with question.sending():
                stream = super().create(stream=True, **arguments)
            return question.streaming(AnswerStream(stream, _WIRE))
        while True:
            with question.sending():
                raw = super().create(**going_on(_WIRE, arguments, question))
            extraction = question.answered(read_of(raw), raw=raw, usage=usage_of(raw), written=document_of)
            if extraction is not None:
                return extraction

    @property
    def with_raw_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.Completions(self._client).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.Completions(self._client).with_streaming_response


class AsyncCompletions(chat.AsyncCompletions):
    """``client.chat.completions`` of an async client, whose `create` takes ``response_model``."""

    @overload
    async def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> ChatCompletion: ...
    @overload
    async def create(
        self, *, stream: Literal[True], response_model: None = None, **arguments: Any
    ) -> AsyncStream[ChatCompletionChunk]: ...
    @overload
    async def create(
        self, *, stream: bool, response_model: None = None, **arguments: Any
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...
    @overload
    async def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[False] | Omit | None = ...,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    async def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    async def create(
        self,
        *,
        response_model: TypeForm[Iterable[T]],
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        strict: bool = False,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    async def create(self, *, response_model: Any = None, **arguments: Any) -> Any:
        """As `Completions.create`."""
        if response_model is None:
            return await super().create(**arguments)
        question, arguments = asked(_WIRE, response_model, arguments)
        if question.streams:
            with question.sending():
                stream = await super().create(stream=True, **arguments)
            return question.streaming(AnswerStream(stream, _WIRE))
        while True:
            with question.sending():
                raw = await super().create(**going_on(_WIRE, arguments, question))
            extraction = question.answered(read_of(raw), raw=raw, usage=usage_of(raw), written=document_of)
            if extraction is not None:
                return extraction

    @property
    def with_raw_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.AsyncCompletions(self._client).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return chat.AsyncCompletions(self._client).with_streaming_response


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
