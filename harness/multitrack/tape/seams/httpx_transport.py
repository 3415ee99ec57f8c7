"""The seam of httpx and httpx2: their network transports.

Below every wrapping transport, and beside in-process transports (mock, ASGI, WSGI), which it never touches.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from multitrack.tape.exchange import Ending, Headers, Passthrough, Recording, Replay, Request, Response
from multitrack.tape.seams import Current, tripwire
from multitrack.tape.swaps import Swap

_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)")


def swaps(module: ModuleType, current: Current) -> list[Swap]:
    """The swaps of ``module``, httpx or httpx2."""
    replayed = _replayer(module)
    teed = _tee(module.SyncByteStream, module.AsyncByteStream)

    def sync(original: Callable[..., Any]) -> Callable[..., Any]:
        def handle_request(transport: Any, request: Any) -> Any:
            tape = current()
            if tape is None:
                return original(transport, request)
            route = tape.route(_request(request, request.read()))
            if isinstance(route, Replay):
                return replayed(route.response, request)
            with tripwire.opened():
                if isinstance(route, Passthrough):
                    return original(transport, request)
                with _connecting(route):
                    return teed(original(transport, request), route)

        return handle_request

    def asynchronous(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle_async_request(transport: Any, request: Any) -> Any:
            tape = current()
            if tape is None:
                return await original(transport, request)
            route = tape.route(_request(request, await request.aread()))
            if isinstance(route, Replay):
                return replayed(route.response, request)
            with tripwire.opened():
                if isinstance(route, Passthrough):
                    return await original(transport, request)
                with _connecting(route):
                    return teed(await original(transport, request), route)

        return handle_async_request

    return [
        Swap(module.HTTPTransport, "handle_request", sync),
        Swap(module.AsyncHTTPTransport, "handle_async_request", asynchronous),
    ]


def _request(request: Any, body: bytes) -> Request:
    headers = tuple((name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
    return Request(request.method.upper(), str(request.url), headers, body)


@contextmanager
def _connecting(recording: Recording) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        recording.failed(error)
        raise


def _replayer(module: ModuleType) -> Callable[[Response, Any], Any]:
    class Recorded(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        """The body of a recorded answer: the events of a stream one by one, anything else at once."""

        def __init__(self, response: Response, request: Any) -> None:
            self._response = response
            self._request = request

        def __iter__(self) -> Iterator[bytes]:
            yield from _pieces(self._response)
            if self._response.ending != "complete":
                raise module.RemoteProtocolError(
                    f"the recorded stream ends here: it was {self._response.ending} before its end",
                    request=self._request,
                )

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self:
                yield piece

    def replayed(response: Response, request: Any) -> Any:
        return module.Response(
            response.status,
            # httpx takes text for ASCII, and answers have file names in other letters
            headers=[(name.encode(), value.encode("latin-1", "replace")) for name, value in response.headers],
            stream=Recorded(response, request),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": response.reason.encode("ascii", "replace"),
            },
        )

    return replayed


def _pieces(response: Response) -> Iterator[bytes]:
    if (response.header("content-type") or "").startswith("text/event-stream"):
        yield from filter(None, _EVENT_END.split(response.body))
    elif response.body:
        yield response.body


def _tee(sync_stream: Any, async_stream: Any) -> Callable[[Any, Recording], Any]:
    class Teed(sync_stream, async_stream):  # type: ignore[misc]
        """A live body: each chunk goes to the caller when it arrives, and to the recording."""

        def __init__(self, live: Any, recording: Recording) -> None:
            self._live = live
            self._recording = recording

        def __iter__(self) -> Iterator[bytes]:
            with self._reading():
                for chunk in self._live:
                    self._recording.received(chunk)
                    yield chunk

        async def __aiter__(self) -> AsyncIterator[bytes]:
            with self._reading():
                async for chunk in self._live:
                    self._recording.received(chunk)
                    yield chunk

        @contextmanager
        def _reading(self) -> Iterator[None]:
            ending: Ending = "complete"
            try:
                yield
            except Exception:
                ending = "broken"
                raise
            except BaseException:  # the caller's own: it closed the stream, or was cancelled
                ending = "left"
                raise
            finally:
                self._recording.ended(ending)

        def close(self) -> None:
            self._recording.ended("left")
            self._live.close()

        async def aclose(self) -> None:
            self._recording.ended("left")
            await self._live.aclose()

    def teed(response: Any, recording: Recording) -> Any:
        headers: Headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw
        )
        recording.began(response.status_code, response.reason_phrase, headers)
        response.stream = Teed(response.stream, recording)
        return response

    return teed
