"""Extract models from a streamed response while it arrives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from multitrack.errors import ExtractionError, StreamNotFinished
from multitrack.extraction.continuation import Continuation
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.response_reader import ResponseReader, ValidatedResponse
from multitrack.tool_call import ToolCall
from multitrack.wires import StreamDecoder

T_co = TypeVar("T_co", covariant=True)


class StreamSource(ABC):
    """A streamed response as an SDK returns it, in chunks of the SDK's own type."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self.decoder = decoder

    @property
    @abstractmethod
    def raw(self) -> Any:
        """The SDK's object for the response."""

    @property
    @abstractmethod
    def usage(self) -> Any:
        """The SDK's usage object; None until it has been received."""

    @abstractmethod
    def chunks(self) -> Iterator[Any] | AsyncIterator[Any]:
        """Iterate over the chunks as they arrive. Any exception means that the stream ended early."""

    @abstractmethod
    def feed(self, chunk: Any) -> list[ToolCall]:
        """Decode ``chunk`` and return the calls that it completes."""

    @abstractmethod
    def close(self) -> Awaitable[Any] | None:
        """Close the connection. Returns an awaitable if the chunks are asynchronous."""


class ExtractionStream(Generic[T_co]):
    """A streamed response as an iterator of validated models. Each model is yielded as soon as its tool call is
    complete.

    Iterate with ``for``, or with ``async for`` if the client is asynchronous. To stop early and close the connection,
    use ``with`` or ``async with``, or call ``close``. After the last model, ``extraction`` is the complete result.

    Raises:
        ExtractionError: If the response or one of its calls is invalid. The error is raised after the last valid
            model. Its type shows what is wrong, and its ``calls`` attribute has every call. With
            ``on_error="collect"``, the error is stored in ``extraction.errors`` instead.
        StreamBroken: If the stream ended early or with an error, even with ``on_error="collect"``.
    """

    def __init__(
        self,
        reader: ResponseReader[T_co],
        source: StreamSource,
        build_continuation: Callable[[Mapping[str, Any], Sequence[ToolCall]], Continuation] | None = None,
    ) -> None:
        """Create the stream of the models in ``source``.

        Args:
            reader: Validates the calls.
            source: The streamed response.
            build_continuation: Called with the document of the response and its calls. Returns the ``Continuation``.
                None if the conversation cannot be continued.
        """
        self._reader = reader
        self._build_continuation = build_continuation
        self._source = source
        self._chunks = source.chunks()
        self._ready: deque[T_co] = deque()
        self._yielded: set[int] = set()
        self._result: Extraction[T_co] | ExtractionError | None = None
        self._unraised: ExtractionError | None = None
        self._is_finished = False

    @property
    def extraction(self) -> Extraction[T_co]:
        """The complete result, available after the last model.

        Raises:
            StreamNotFinished: If the stream has not been read to its end.
            ExtractionError: If reading the stream raised this error.
        """
        match self._result:
            case None:
                reason = "was closed before it ended" if self._is_finished else "has not ended yet"
                raise StreamNotFinished(f"the stream {reason}; read all its models before you access .extraction")
            case ExtractionError() as error:
                raise error
            case extraction:
                return extraction

    @property
    def raw(self) -> Any:
        """The SDK's object: OpenAI's ``Stream``, or a tuple of the Gemini responses received so far."""
        return self._source.raw

    @property
    def usage(self) -> Any:
        """The SDK's usage object; None until the provider has sent it.

        OpenAI sends it at the end of a chat stream if ``stream_options={"include_usage": True}`` is passed:
        https://platform.openai.com/docs/api-reference/chat/create#chat_create-stream_options
        """
        return self._source.usage

    def close(self) -> Awaitable[None]:
        """Close the connection and discard unread models. Await the result if the client is asynchronous."""
        self._is_finished = True
        self._ready.clear()
        return self._source.close() or _CompletedAwaitable()

    def __iter__(self) -> Iterator[T_co]:
        self._sync_chunks()
        return self

    def __next__(self) -> T_co:
        chunks = self._sync_chunks()
        while not self._ready and not self._is_finished:
            try:
                chunk = next(chunks, _END)
            except Exception as error:
                self._finish_broken(error)
            else:
                self._process(chunk)
            if self._is_finished:
                self._source.close()
        return self._next_model(StopIteration)

    def __enter__(self) -> Self:
        self._sync_chunks()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[T_co]:
        self._async_chunks()
        return self

    async def __anext__(self) -> T_co:
        chunks = self._async_chunks()
        while not self._ready and not self._is_finished:
            try:
                chunk = await anext(chunks, _END)
            except Exception as error:
                self._finish_broken(error)
            else:
                self._process(chunk)
            if self._is_finished:
                await (self._source.close() or _CompletedAwaitable())
        return self._next_model(StopAsyncIteration)

    async def __aenter__(self) -> Self:
        self._async_chunks()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _sync_chunks(self) -> Iterator[Any]:
        if isinstance(self._chunks, Iterator):
            return self._chunks
        raise TypeError("this stream comes from an asynchronous client; use an async for loop or an async with block")

    def _async_chunks(self) -> AsyncIterator[Any]:
        if isinstance(self._chunks, AsyncIterator):
            return self._chunks
        raise TypeError("this stream comes from a synchronous client; use a for loop or a with block")

    def _process(self, chunk: Any) -> None:
        decoder = self._source.decoder
        calls = decoder.close() if chunk is _END else self._source.feed(chunk)
        self._add_ready(model for call in calls if (model := self._reader.read_early_call(call)) is not None)
        if chunk is _END or decoder.has_ended:
            self._finish()

    def _finish(self) -> None:
        answer = self._source.decoder.answer
        if answer.is_complete:
            self._set_result(self._reader.read(answer, raw=self.raw, usage=self.usage))
        else:
            reason = answer.error or "before the response was complete"
            self._set_result(self._reader.read_broken(answer, reason, raw=self.raw, usage=self.usage))

    def _finish_broken(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        answer = self._source.decoder.answer
        self._set_result(self._reader.read_broken(answer, reason, raw=self.raw, usage=self.usage), cause=error)

    def _add_ready(self, models: Iterable[T_co]) -> None:
        for model in models:
            self._ready.append(model)
            self._yielded.add(id(model))

    def _set_result(self, validated: ValidatedResponse, cause: Exception | None = None) -> None:
        self._is_finished = True
        # even if the decoder considered a call incomplete: the stream yields exactly the models of its extraction
        self._add_ready(model for model in validated.extraction if id(model) not in self._yielded)
        try:
            extraction = self._result = self._reader.unwrap(validated)
            if self._build_continuation is not None:
                extraction.continuation = self._build_continuation(self._source.decoder.document, extraction.calls)
        except ExtractionError as error:
            error.__cause__ = cause
            self._result = self._unraised = error

    def _next_model(self, end: type[StopIteration] | type[StopAsyncIteration]) -> T_co:
        if self._ready:
            return self._ready.popleft()
        error, self._unraised = self._unraised, None
        raise error or end


_END: Any = object()


class _CompletedAwaitable:
    """An awaitable that is complete from the start, for a stream that closes without asynchronous work."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()
