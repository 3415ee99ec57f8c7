"""The `create` of OpenAI's resources, sync and async, with ``response_model``: one for all wires of theirs.

Each stands before the openai package's own class among the bases of a resource, and asks by that one's `create`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, overload

from multitrack.clients.openai_answer import AnswerStream, asked, document_of, going_on, read_of, usage_of

if TYPE_CHECKING:
    from openai import Omit
    from typing_extensions import TypeForm

    from multitrack.extraction import Extraction, ExtractionStream, OnError

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")


class Create(Generic[R, S]):
    """A `create` that takes ``response_model``; without, it gives the SDK's response ``R``, or its stream ``S``."""

    _wire: ClassVar[str]
    _sdk: ClassVar[Any]
    """The SDK's own class of the resource."""

    @overload
    def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> R: ...
    @overload
    def create(self, *, stream: Literal[True], response_model: None = None, **arguments: Any) -> S: ...
    @overload
    def create(self, *, stream: bool, response_model: None = None, **arguments: Any) -> R | S: ...
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
        own: Any = super()
        if response_model is None:
            return own.create(**arguments)
        question, arguments = asked(self._wire, response_model, arguments)
        if question.streams:
            with question.sending():
                stream = own.create(stream=True, **arguments)
            return question.streaming(AnswerStream(stream, self._wire))
        while True:
            with question.sending():
                raw = own.create(**going_on(self._wire, arguments, question))
            extraction = question.answered(read_of(raw), raw=raw, usage=usage_of(raw), written=document_of)
            if extraction is not None:
                return extraction

    @property
    def with_raw_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return _plain(self).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return _plain(self).with_streaming_response


class AsyncCreate(Generic[R, S]):
    """As `Create`, of an asynchronous client."""

    _wire: ClassVar[str]
    _sdk: ClassVar[Any]

    @overload
    async def create(
        self, *, stream: Literal[False] | Omit | None = ..., response_model: None = None, **arguments: Any
    ) -> R: ...
    @overload
    async def create(self, *, stream: Literal[True], response_model: None = None, **arguments: Any) -> S: ...
    @overload
    async def create(self, *, stream: bool, response_model: None = None, **arguments: Any) -> R | S: ...
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
        """As `Create.create`."""
        own: Any = super()
        if response_model is None:
            return await own.create(**arguments)
        question, arguments = asked(self._wire, response_model, arguments)
        if question.streams:
            with question.sending():
                stream = await own.create(stream=True, **arguments)
            return question.streaming(AnswerStream(stream, self._wire))
        while True:
            with question.sending():
                raw = await own.create(**going_on(self._wire, arguments, question))
            extraction = question.answered(read_of(raw), raw=raw, usage=usage_of(raw), written=document_of)
            if extraction is not None:
                return extraction

    @property
    def with_raw_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return _plain(self).with_raw_response

    @property
    def with_streaming_response(self) -> Any:
        """The SDK's own: a raw response has no models."""
        return _plain(self).with_streaming_response


def _plain(resource: Any) -> Any:
    return resource._sdk(resource._client)
