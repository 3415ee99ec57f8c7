"""The Responses API of OpenAI's clients, with ``response_model`` on its `create`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import openai
from openai.resources import responses

from multitrack.clients.openai_answer import AnswerStream, asked, document_of, going_on, read_of, usage_of

if TYPE_CHECKING:
    from openai import AsyncStream, Omit, Stream
    from openai.types.responses import Response, ResponseStreamEvent
    from typing_extensions import TypeForm

    from multitrack.extraction import Extraction, ExtractionStream, OnError

T = TypeVar("T")

_WIRE = "openai.responses"


class Responses(responses.Responses):
    """``client.responses``, whose `create` takes ``response_model``."""

    @overload
    def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> Response: ...
    @overload
    def create(
        self, *, stream: Literal[True], response_model: None = None, **arguments: Any
    ) -> Stream[ResponseStreamEvent]: ...
    @overload
    def create(
        self, *, stream: bool, response_model: None = None, **arguments: Any
    ) -> Response | Stream[ResponseStreamEvent]: ...
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
        """As `Completions.create`, over the Responses API."""
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
        return responses.Responses(self._client).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return responses.Responses(self._client).with_streaming_response


class AsyncResponses(responses.AsyncResponses):
    """``client.responses`` of an async client, whose `create` takes ``response_model``."""

    @overload
    async def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> Response: ...
    @overload
    async def create(
        self, *, stream: Literal[True], response_model: None = None, **arguments: Any
    ) -> AsyncStream[ResponseStreamEvent]: ...
    @overload
    async def create(
        self, *, stream: bool, response_model: None = None, **arguments: Any
    ) -> Response | AsyncStream[ResponseStreamEvent]: ...
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
        """As `Completions.create`, over the Responses API."""
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
        return responses.AsyncResponses(self._client).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return responses.AsyncResponses(self._client).with_streaming_response


def responses_of(client: openai.OpenAI | openai.AsyncOpenAI) -> Responses | AsyncResponses:
    """``client.responses`` for ``client``, of its kind."""
    return AsyncResponses(client) if isinstance(client, openai.AsyncOpenAI) else Responses(client)
