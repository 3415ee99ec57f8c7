"""The result of an extraction while its answer is still arriving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from multitrack.errors import ExtractionError, StreamNotFinished
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.reader import Reader, Verdict
from multitrack.toolcall import ToolCall
from multitrack.wires import StreamDecoder

T_co = TypeVar("T_co", covariant=True)


class StreamSource(ABC):
    """A streamed answer as an SDK hands it over, in pieces of the SDK's own kind."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self.decoder = decoder

    @property
    @abstractmethod
    def raw(self) -> Any:
        """What the SDK gave for the answer."""

    @property
    @abstractmethod
    def usage(self) -> Any:
        """The SDK's usage object, None while none has come."""

    @abstractmethod
    def pieces(self) -> Iterator[Any] | AsyncIterator[Any]:
        """The pieces as they arrive; whatever it raises broke the stream."""

    @abstractmethod
    def feed(self, piece: Any) -> list[ToolCall]:
        """The calls that ``piece`` completes."""

    @abstractmethod
    def close(self) -> Awaitable[Any] | None:
        """Let go of the connection. Awaitable where the pieces are asynchronous."""


class ExtractionStream(Generic[T_co]):
    """The validated models of an answer, each the moment its call is complete.

    Read it with ``for``, or with ``async for`` where the client is asynchronous; ``with``, or ``async with``,
    and `close` end the connection at once. When all is read, `extraction` is the whole result, and what is
    wrong with the answer is raised: the family of `ExtractionError`, with every call good and bad, and
    `StreamBroken` for a stream that ended early or with an error.
    """

    def __init__(self, reader: Reader[T_co], source: StreamSource) -> None:
        self._reader = reader
        self._source = source
        self._pieces = source.pieces()
        self._ready: deque[T_co] = deque()
        self._result: Extraction[T_co] | ExtractionError | None = None
        self._untold: ExtractionError | None = None
        self._over = False

    @property
    def extraction(self) -> Extraction[T_co]:
        """The whole result. Raises `StreamNotFinished` before the end, and what the end raised after it."""
        match self._result:
            case None:
                reason = "the stream was closed before its end" if self._over else "the stream has not ended"
                raise StreamNotFinished(f"{reason}; read all its models first, then ask for .extraction")
            case ExtractionError() as error:
                raise error
            case extraction:
                return extraction

    @property
    def raw(self) -> Any:
        """What the SDK gave for the answer: OpenAI's ``Stream``, or the responses of Gemini that have come."""
        return self._source.raw

    @property
    def usage(self) -> Any:
        """The SDK's usage object, None while the provider has sent none. OpenAI sends one at the end of a chat
        stream for ``stream_options={"include_usage": True}``:
        https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options"""
        return self._source.usage

    def close(self) -> Awaitable[None]:
        """Close the connection at once; what has not been read is lost. Await it where the client is asynchronous."""
        self._over = True
        self._ready.clear()
        return self._source.close() or _Closed()

    def __iter__(self) -> Iterator[T_co]:
        self._synchronous()
        return self

    def __next__(self) -> T_co:
        pieces = self._synchronous()
        while not self._ready and not self._over:
            try:
                piece = next(pieces, _END)
            except Exception as error:
                self._break_off(error)
            else:
                self._take(piece)
            if self._over:
                self._source.close()
        return self._delivered(StopIteration)

    def __enter__(self) -> Self:
        self._synchronous()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[T_co]:
        self._asynchronous()
        return self

    async def __anext__(self) -> T_co:
        pieces = self._asynchronous()
        while not self._ready and not self._over:
            try:
                piece = await anext(pieces, _END)
            except Exception as error:
                self._break_off(error)
            else:
                self._take(piece)
            if self._over:
                await (self._source.close() or _Closed())
        return self._delivered(StopAsyncIteration)

    async def __aenter__(self) -> Self:
        self._asynchronous()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _synchronous(self) -> Iterator[Any]:
        if isinstance(self._pieces, Iterator):
            return self._pieces
        raise TypeError("the client of this stream is asynchronous: use async for, and async with")

    def _asynchronous(self) -> AsyncIterator[Any]:
        if isinstance(self._pieces, AsyncIterator):
            return self._pieces
        raise TypeError("the client of this stream is not asynchronous: use for, and with")

    def _take(self, piece: Any) -> None:
        decoder = self._source.decoder
        calls = decoder.close() if piece is _END else self._source.feed(piece)
        self._ready.extend(model for call in calls if (model := self._reader.arrived(call)) is not None)
        if piece is _END or decoder.has_ended:
            self._end()

    def _end(self) -> None:
        answer = self._source.decoder.answer
        if answer.is_complete:
            self._settle(self._reader.read(answer, raw=self.raw, usage=self.usage))
        else:
            reason = answer.error or "it ended before the answer did"
            self._settle(self._reader.read_broken(answer, reason, raw=self.raw, usage=self.usage))

    def _break_off(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        answer = self._source.decoder.answer
        self._settle(self._reader.read_broken(answer, reason, raw=self.raw, usage=self.usage), cause=error)

    def _settle(self, verdict: Verdict, cause: Exception | None = None) -> None:
        self._over = True
        try:
            self._result = self._reader.settled(verdict)
        except ExtractionError as error:
            error.__cause__ = cause
            self._result = self._untold = error

    def _delivered(self, end: type[StopIteration] | type[StopAsyncIteration]) -> T_co:
        if self._ready:
            return self._ready.popleft()
        untold, self._untold = self._untold, None
        raise untold or end


_END: Any = object()


class _Closed:
    """What there is to await of a stream that is closed already: nothing."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()
