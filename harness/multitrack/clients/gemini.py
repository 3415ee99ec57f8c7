"""What the clients of Google's two SDKs have in common: `create`, by messages in OpenAI's form.

The SDKs differ in how a request is written and in what their answers are; nothing else is told here twice.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, overload

from pydantic import BaseModel

from multitrack.clients.question import Question
from multitrack.extraction import Extraction, ExtractionStream, OnError, StreamSource
from multitrack.toolcall import ToolCall
from multitrack.wires import create_stream_decoder
from multitrack.wires.gemini_messages import GeminiConversation, convert_messages
from multitrack.wires.gemini_tool_choice import check_parallel_tool_calls, convert_tool_choice

if TYPE_CHECKING:
    from typing_extensions import TypeForm

R = TypeVar("R")
T = TypeVar("T")

Messages = Sequence[Mapping[str, Any] | BaseModel]

_WIRE = "gemini"


class Offered(NamedTuple):
    """What a request offers, as it is on the wire: the ``tools``, and the ``toolConfig`` if there is a choice."""

    tools: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any] | None


class GeminiClient(ABC, Generic[R]):
    """Asks Gemini by an SDK whose responses are ``R``.

    ``ids`` and ``signatures`` say whether its requests have fields for the id of a call, and for the signature of
    the thought before it.
    """

    ids: bool
    signatures: bool

    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[False] = False,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    def create(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    @overload
    def create(
        self, messages: Messages, response_model: None = None, *, stream: Literal[False] = False, **arguments: Any
    ) -> R: ...
    @overload
    def create(
        self, messages: Messages, response_model: None = None, *, stream: Literal[True], **arguments: Any
    ) -> Iterable[R]: ...
    @overload
    def create(
        self, messages: Messages, response_model: None = None, *, stream: bool, **arguments: Any
    ) -> R | Iterable[R]: ...
    def create(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """The `Extraction` of the model's answer to ``messages``, or an `ExtractionStream` if streamed; without
        ``response_model`` the answer itself.

        ``max_retries`` asks again for bad calls; `Toolset.parse` says what ``on_error``, ``allow_empty`` and
        ``context`` do; ``tool_choice`` has OpenAI's form. Other arguments go to the SDK's ``generate_content``.

        Raises TypeError for a ``response_model`` or an argument that cannot be and ValueError for a message that
        Gemini cannot be told, before any request, and the family of `ExtractionError` for an answer that gives no
        valid models. Errors of the SDK's own pass through.
        """
        told = convert_messages(messages, ids=self.ids, signatures=self.signatures)
        if response_model is None:
            return self._send(told, None, **arguments)
        question, offered, arguments = self._asked(response_model, arguments)
        if question.streams:
            with question.sending():
                chunks = self._send(told, offered, stream=True, **arguments)
                # the SDKs send no request, and raise nothing of it, before the first chunk is asked for
                first = list(islice(chunks, 1))
            return question.streaming(_Chunks(self, chunks, chain(first, chunks)))
        while True:
            with question.sending():
                raw = self._send(_going_on(told, question), offered, **arguments)
            if (extraction := question.answered(self.document(raw), raw=raw, usage=self.usage(raw))) is not None:
                return extraction

    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[False] = False,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T]: ...
    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: Literal[True],
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> ExtractionStream[T]: ...
    @overload
    async def create_async(
        self,
        messages: Messages,
        response_model: TypeForm[Iterable[T]],
        *,
        stream: bool,
        on_error: OnError = "raise",
        allow_empty: bool = False,
        max_retries: int = 0,
        context: Any = None,
        **arguments: Any,
    ) -> Extraction[T] | ExtractionStream[T]: ...
    @overload
    async def create_async(
        self, messages: Messages, response_model: None = None, *, stream: Literal[False] = False, **arguments: Any
    ) -> R: ...
    @overload
    async def create_async(
        self, messages: Messages, response_model: None = None, *, stream: Literal[True], **arguments: Any
    ) -> AsyncIterable[R]: ...
    @overload
    async def create_async(
        self, messages: Messages, response_model: None = None, *, stream: bool, **arguments: Any
    ) -> R | AsyncIterable[R]: ...
    async def create_async(self, messages: Messages, response_model: Any = None, **arguments: Any) -> Any:
        """As `create`, by the SDK's asynchronous ``generate_content``."""
        told = convert_messages(messages, ids=self.ids, signatures=self.signatures)
        if response_model is None:
            return await self._send_async(told, None, **arguments)
        question, offered, arguments = self._asked(response_model, arguments)
        if question.streams:
            with question.sending():
                chunks = await self._send_async(told, offered, stream=True, **arguments)
                first = await anext(chunks, _END)
            return question.streaming(_Chunks(self, chunks, _Resumed(first, chunks)))
        while True:
            with question.sending():
                raw = await self._send_async(_going_on(told, question), offered, **arguments)
            if (extraction := question.answered(self.document(raw), raw=raw, usage=self.usage(raw))) is not None:
                return extraction

    def _asked(self, response_model: Any, arguments: dict[str, Any]) -> tuple[Question[Any], Offered, dict[str, Any]]:
        """The question, what it offers, and the arguments that are the SDK's."""
        options = {name: arguments.pop(name) for name in Question.OPTIONS if name in arguments}
        own_tools = options.pop("tools", None) or self._own_tools(arguments)
        question: Question[Any] = Question(_WIRE, response_model, tools=own_tools, **options)
        check_parallel_tool_calls(arguments.pop("parallel_tool_calls", None))
        choice = convert_tool_choice(arguments.pop("tool_choice", None), question.names)
        return question, Offered(question.tools, choice), arguments

    @abstractmethod
    def _send(
        self, told: GeminiConversation, offered: Offered | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        """The SDK's answer, or its generator of answers. Nothing is ``offered`` where no models are asked for."""

    @abstractmethod
    async def _send_async(
        self, told: GeminiConversation, offered: Offered | None, *, stream: bool = False, **arguments: Any
    ) -> Any:
        """As `_send`."""

    @abstractmethod
    def _own_tools(self, arguments: Mapping[str, Any]) -> object:
        """The tools of the caller's own, beside which no others can be sent."""

    @abstractmethod
    def document(self, raw: R) -> Mapping[str, Any]:
        """``raw`` as it is on the wire."""

    @abstractmethod
    def usage(self, raw: R) -> Any:
        """The usage in ``raw``, as the SDK has it."""


def _going_on(told: GeminiConversation, question: Question[Any]) -> GeminiConversation:
    return told._replace(contents=[*told.contents, *question.added]) if question.added else told


class _Chunks(StreamSource, Generic[R]):
    """A streamed answer as the SDK's generator gives it, response by response."""

    def __init__(
        self,
        client: GeminiClient[R],
        chunks: Generator[R] | AsyncGenerator[R],
        pieces: Iterator[R] | AsyncIterator[R],
    ) -> None:
        super().__init__(create_stream_decoder(f"{_WIRE}.stream"))
        self._client = client
        self._chunks = chunks
        self._pieces = pieces
        self._received: list[R] = []

    @property
    def raw(self) -> tuple[R, ...]:
        return tuple(self._received)

    @property
    def usage(self) -> Any:
        return next((usage for raw in reversed(self._received) if (usage := self._client.usage(raw))), None)

    def pieces(self) -> Iterator[R] | AsyncIterator[R]:
        return self._pieces

    def feed(self, piece: R) -> list[ToolCall]:
        self._received.append(piece)
        return self.decoder.feed_chunk(self._client.document(piece))

    def close(self) -> Awaitable[None] | None:
        if isinstance(self._chunks, AsyncGenerator):
            return _unwound(self._chunks)
        self._chunks.close()
        return None


_END: Any = object()


class _Resumed(AsyncIterator[R]):
    """``rest`` with the ``first`` that was taken from it, `_END` if it had none."""

    def __init__(self, first: R, rest: AsyncIterator[R]) -> None:
        self._first = first
        self._rest = rest

    async def __anext__(self) -> R:
        if self._first is _END:
            return await anext(self._rest)
        first, self._first = self._first, _END
        return first


async def _unwound(chunks: AsyncGenerator[Any]) -> None:
    """Close ``chunks`` and all generators that it reads from, down to the connection.

    ``aclose`` would end the outermost one, and leave the others open until garbage is collected; a read that is
    cancelled ends them all.
    """
    while True:
        reading = asyncio.ensure_future(anext(chunks, _END))
        await asyncio.sleep(0)
        if not reading.done():
            reading.cancel()
        await asyncio.wait([reading])
        # what comes of a read that was cancelled, or of a stream that broke meanwhile, is nobody's concern
        if reading.cancelled() or reading.exception() or reading.result() is _END:
            return
