"""Read the streamed responses of Google's two SDKs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Generic, Protocol, TypeVar

from multitrack.extraction import StreamSource
from multitrack.tool_call import ToolCall
from multitrack.wires import create_stream_decoder

R = TypeVar("R")
AnyR = TypeVar("AnyR", contravariant=True)


class ResponseConverter(Protocol[AnyR]):
    """An object that converts the responses of an SDK."""

    def dump_response(self, raw: AnyR) -> Mapping[str, Any]:
        """Convert ``raw`` to JSON in the wire format."""

    def get_usage(self, raw: AnyR) -> Any:
        """Return the SDK's usage object in ``raw``."""


class GeminiStreamSource(StreamSource, Generic[R]):
    """A streamed response, read from the ``generator`` that the SDK returned.

    Use ``begin`` or ``begin_async`` to create one. ``chunks`` yields what the generator yields, including the first
    response, which was already read.
    """

    def __init__(
        self,
        converter: ResponseConverter[R],
        generator: Generator[R] | AsyncGenerator[R],
        chunks: Iterator[R] | AsyncIterator[R],
    ) -> None:
        super().__init__(create_stream_decoder("gemini.stream"))
        self._converter = converter
        self._generator = generator
        self._chunks = chunks
        self._received: list[R] = []

    @classmethod
    def begin(cls, converter: ResponseConverter[R], generator: Generator[R]) -> GeminiStreamSource[R]:
        """Read the first response, because only then does the SDK send the request and raise its errors."""
        first = list(islice(generator, 1))
        return cls(converter, generator, chain(first, generator))

    @classmethod
    async def begin_async(cls, converter: ResponseConverter[R], generator: AsyncGenerator[R]) -> GeminiStreamSource[R]:
        """Read the first response of an async client's stream, for the same reason as ``begin``."""
        return cls(converter, generator, _PrependedChunk(await anext(generator, _END), generator))

    @property
    def raw(self) -> tuple[R, ...]:
        return tuple(self._received)

    @property
    def usage(self) -> Any:
        return next((usage for raw in reversed(self._received) if (usage := self._converter.get_usage(raw))), None)

    def chunks(self) -> Iterator[R] | AsyncIterator[R]:
        return self._chunks

    def feed(self, chunk: R) -> list[ToolCall]:
        self._received.append(chunk)
        return self.decoder.feed_chunk(self._converter.dump_response(chunk))

    def close(self) -> Awaitable[None] | None:
        if isinstance(self._generator, AsyncGenerator):
            return _close_generators(self._generator)
        self._generator.close()
        return None


_END: Any = object()


class _PrependedChunk(AsyncIterator[R]):
    """A stream that yields ``first``, which was already read, and then the ``rest``.

    ``first`` is ``_END`` if the stream was empty.
    """

    def __init__(self, first: R, rest: AsyncIterator[R]) -> None:
        self._first = first
        self._rest = rest

    async def __anext__(self) -> R:
        if self._first is _END:
            return await anext(self._rest)
        first, self._first = self._first, _END
        return first


async def _close_generators(generator: AsyncGenerator[Any]) -> None:
    """Close ``generator`` and all generators that it reads from, down to the connection.

    The function cancels a read, which closes all of them. ``aclose`` would close only the outermost generator, and
    leave the others open until garbage collection.
    """
    while True:
        reading = asyncio.ensure_future(anext(generator, _END))
        await asyncio.sleep(0)
        if not reading.done():
            reading.cancel()
        await asyncio.wait([reading])
        # the result of a cancelled read is ignored, and so is the error of a stream that broke in the meantime
        if reading.cancelled() or reading.exception() or reading.result() is _END:
            return
