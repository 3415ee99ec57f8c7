"""The seam of httpx and httpx2: their network transports.

Below every wrapping transport, and beside in-process transports (mock, ASGI, WSGI), which it never touches.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any

from multitrack.tape.exchange import Ending, Headers, Passthrough, Replay, Request, Response, ResponseRecorder, Router
from multitrack.tape.failure import During, Failure, system_error
from multitrack.tape.interceptors import Current, tripwire, unanswered
from multitrack.tape.patching import Patch


def patches(module: ModuleType, current: Current) -> list[Patch]:
    """The swaps of ``module``, httpx or httpx2."""
    replayed = _replayer(module)
    teed = _tee(module)
    connecting = _connecting(module)

    def sync(original: Callable[..., Any]) -> Callable[..., Any]:
        def handle_request(transport: Any, request: Any) -> Any:
            tape = current()
            if tape is None:
                return original(transport, request)
            route = tape.route(_request(request, request.read()))
            if isinstance(route, Replay):
                return replayed(route, request)
            with tripwire.opened():
                if isinstance(route, Passthrough):
                    return original(transport, request)
                with connecting(route):
                    return teed(original(transport, request), route)

        return handle_request

    def asynchronous(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle_async_request(transport: Any, request: Any) -> Any:
            tape = current()
            if tape is None:
                return await original(transport, request)
            route = tape.route(_request(request, await request.aread()))
            if isinstance(route, Replay):
                await _wait_for_no_answer(route.response, tape)
                return replayed(route, request)
            with tripwire.opened():
                if isinstance(route, Passthrough):
                    return await original(transport, request)
                with connecting(route):
                    return teed(await original(transport, request), route)

        return handle_async_request

    return [
        Patch(module.HTTPTransport, "handle_request", sync),
        Patch(module.AsyncHTTPTransport, "handle_async_request", asynchronous),
    ]


def _request(request: Any, body: bytes) -> Request:
    headers = tuple((name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
    return Request(request.method.upper(), str(request.url), headers, body)


async def _wait_for_no_answer(response: Response, tape: Router) -> None:
    if unanswered.is_abandoned(response):
        import anyio

        await anyio.sleep(unanswered.patience(response))
        raise unanswered.miss(tape)


def _connecting(module: ModuleType) -> Callable[[ResponseRecorder], AbstractContextManager[None]]:
    @contextmanager
    def connecting(recording: ResponseRecorder) -> Iterator[None]:
        try:
            yield
        except module.TransportError as error:
            recording.record_failure(error, during=_during(error))
            raise
        except Exception as error:
            recording.record_failure(error)
            raise
        except BaseException:  # the caller's own: it was cancelled, or interrupted
            recording.record_end("left")
            raise

    return connecting


def _during(error: Exception) -> During:
    name = type(error).__name__
    if name.startswith(("Connect", "Proxy")):
        return "handshake" if type(system_error(error)).__module__ == "ssl" else "connect"
    return "send" if name.startswith("Write") else "read"


def _replayer(module: ModuleType) -> Callable[[Replay, Any], Any]:
    def ended(response: Response, request: Any) -> Exception:
        if response.failure is not None:
            return _error(module, response.failure, request)
        reason = {
            "left": "its caller left it before its end",
            "broken": "the connection was closed before its end",
            "unanswered": "its caller went away before it began",
        }[response.ending]
        error: Exception = module.RemoteProtocolError(f"the recorded answer ends here: {reason}", request=request)
        return error

    class Recorded(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        """The body of a recorded answer, chunk by chunk."""

        def __init__(self, replay: Replay, request: Any) -> None:
            self._replay = replay
            self._request = request

        def __iter__(self) -> Iterator[bytes]:
            for wait, chunk in self._replay.chunks():
                if wait:
                    time.sleep(wait)
                yield chunk
            self._end()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for wait, chunk in self._replay.chunks():
                if wait:
                    import anyio

                    await anyio.sleep(wait)
                yield chunk
            self._end()

        def _end(self) -> None:
            if self._replay.response.ending != "complete":
                raise ended(self._replay.response, self._request)

    def replayed(replay: Replay, request: Any) -> Any:
        response = replay.response
        if response.ending == "unanswered":
            raise ended(response, request)
        return module.Response(
            response.status,
            # httpx takes text for ASCII, and answers have file names in other letters
            headers=[
                (name.encode(), value.encode("latin-1", "replace")) for name, value in _headers(response, request)
            ],
            stream=Recorded(replay, request),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": response.reason.encode("ascii", "replace"),
            },
        )

    return replayed


def _headers(response: Response, request: Any) -> Headers:
    # on the tape, the body is decoded and scrubbed, and its length another one
    length = None if request.method == "HEAD" or response.ending != "complete" else str(len(response.body))
    return tuple(
        (name, length if name == "content-length" and length is not None else value) for name, value in response.headers
    )


def _error(module: ModuleType, failure: Failure, request: Any) -> Exception:
    """The exception of ``module`` for ``failure``: the same that was raised, or the one for what another client met."""
    cause = failure.to_system_error()
    kind = getattr(module, failure.error, None)
    if not (isinstance(kind, type) and issubclass(kind, module.TransportError)):
        place = {"connect": "Connect", "handshake": "Connect", "send": "Write", "read": "Read"}[failure.during]
        kind = getattr(module, f"{place}{'Timeout' if failure.is_timeout else 'Error'}")
        if failure.error in ("RemoteDisconnected", "BadStatusLine", "IncompleteRead"):
            kind = module.RemoteProtocolError
    error: Exception = kind(failure.message, request=request)
    error.__cause__ = cause
    return error


def _tee(module: ModuleType) -> Callable[[Any, ResponseRecorder], Any]:
    class Teed(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        """A live body: each chunk goes to the caller when it arrives, and to the recording."""

        def __init__(self, live: Any, recording: ResponseRecorder) -> None:
            self._live = live
            self._recording = recording

        def __iter__(self) -> Iterator[bytes]:
            with self._reading():
                for chunk in self._live:
                    self._recording.record_chunk(chunk)
                    yield chunk

        async def __aiter__(self) -> AsyncIterator[bytes]:
            with self._reading():
                async for chunk in self._live:
                    self._recording.record_chunk(chunk)
                    yield chunk

        @contextmanager
        def _reading(self) -> Iterator[None]:
            ending: Ending = "complete"
            failure: BaseException | None = None
            try:
                yield
            except Exception as error:
                ending = "broken"
                failure = error if isinstance(error, module.TransportError) else None
                raise
            except BaseException:  # the caller's own: it closed the stream, or was cancelled
                ending = "left"
                raise
            finally:
                self._recording.record_end(ending, error=failure)

        def close(self) -> None:
            self._recording.record_end("left")
            self._live.close()

        async def aclose(self) -> None:
            self._recording.record_end("left")
            await self._live.aclose()

    def teed(response: Any, recording: ResponseRecorder) -> Any:
        headers: Headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw
        )
        recording.record_head(response.status_code, response.reason_phrase, headers)
        response.stream = Teed(response.stream, recording)
        return response

    return teed
