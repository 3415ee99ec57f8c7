"""The interceptor for httpx and httpx2: their network transports.

It patches the innermost transport, below every wrapping transport. It does not patch in-process transports (mock, ASGI,
WSGI), because they are separate classes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import ModuleType
from typing import Any

from multitrack.tape.exchange import Ending, Headers, Passthrough, Replay, Request, Response, ResponseRecorder, Router
from multitrack.tape.failure import During, Failure, system_error
from multitrack.tape.interceptors import CurrentTape, abandoned, http1, respx_mocker, tripwire
from multitrack.tape.patching import Patch


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches for ``module``, httpx or httpx2."""
    replay_response = _create_replayer(module)
    record_response = _create_recorder(module)
    record_errors = _create_error_recorder(module)

    def wrap_sync(original: Callable[..., Any]) -> Callable[..., Any]:
        def handle_request(transport: Any, request: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return original(transport, request)
            if respx_mocker.is_mocked(getattr(transport, "_pool", None)):
                with suppress(respx_mocker.RequestPassedThrough), respx_mocker.ask():
                    return original(transport, request)
            route = tape.route(_convert_request(request, request.read()))
            if isinstance(route, Replay):
                return replay_response(route, request)
            with tripwire.disable(), respx_mocker.skip():
                if isinstance(route, Passthrough):
                    return original(transport, request)
                with record_errors(route):
                    return record_response(original(transport, request), route)

        return handle_request

    def wrap_async(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle_async_request(transport: Any, request: Any) -> Any:
            tape = current_tape()
            if tape is None:
                return await original(transport, request)
            if respx_mocker.is_mocked(getattr(transport, "_pool", None)):
                with suppress(respx_mocker.RequestPassedThrough), respx_mocker.ask():
                    return await original(transport, request)
            route = tape.route(_convert_request(request, await request.aread()))
            if isinstance(route, Replay):
                await _wait_if_abandoned(route.response, tape)
                return replay_response(route, request)
            with tripwire.disable(), respx_mocker.skip():
                if isinstance(route, Passthrough):
                    return await original(transport, request)
                with record_errors(route):
                    return record_response(await original(transport, request), route)

        return handle_async_request

    return [
        Patch(module.HTTPTransport, "handle_request", wrap_sync),
        Patch(module.AsyncHTTPTransport, "handle_async_request", wrap_async),
    ]


def _convert_request(request: Any, body: bytes) -> Request:
    headers = tuple((name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
    return Request(request.method.upper(), str(request.url), headers, body)


async def _wait_if_abandoned(response: Response, tape: Router) -> None:
    if abandoned.is_abandoned(response):
        import anyio

        await anyio.sleep(abandoned.seconds_to_wait(response))
        raise abandoned.report_miss(tape)


def _create_error_recorder(module: ModuleType) -> Callable[[ResponseRecorder], AbstractContextManager[None]]:
    @contextmanager
    def record_errors(recording: ResponseRecorder) -> Iterator[None]:
        try:
            yield
        except module.TransportError as error:
            recording.record_failure(error, during=_classify_phase(error))
            raise
        except Exception as error:
            recording.record_failure(error)
            raise
        except BaseException:  # raised by the caller: it was cancelled or interrupted
            recording.record_end("left")
            raise

    return record_errors


def _classify_phase(error: Exception) -> During:
    name = type(error).__name__
    if name.startswith(("Connect", "Proxy")):
        return "handshake" if type(system_error(error)).__module__ == "ssl" else "connect"
    return "send" if name.startswith("Write") else "read"


def _create_replayer(module: ModuleType) -> Callable[[Replay, Any], Any]:
    def create_end_error(response: Response, request: Any) -> Exception:
        if response.failure is not None:
            return _create_error(module, response.failure, request)
        reason = {
            "left": "the recorded client stopped reading early",
            "broken": "the connection was closed early",
            "unanswered": "the recorded client gave up before the response started",
        }[response.ending]
        error: Exception = module.RemoteProtocolError(f"the recorded response ends here: {reason}", request=request)
        return error

    class HttpxReplayStream(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        """The body of a recorded response, chunk by chunk."""

        def __init__(self, replay: Replay, request: Any) -> None:
            self._replay = replay
            self._request = request

        def __iter__(self) -> Iterator[bytes]:
            for wait, chunk in self._replay.chunks():
                if wait:
                    time.sleep(wait)
                yield chunk
            self._raise_unless_complete()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for wait, chunk in self._replay.chunks():
                if wait:
                    import anyio

                    await anyio.sleep(wait)
                yield chunk
            if self._is_left_subscription():
                import anyio

                await anyio.sleep(abandoned.seconds_to_wait(self._replay.response))
            self._raise_unless_complete()

        def _is_left_subscription(self) -> bool:
            """Return whether the recorded stream pushes messages, and the client stopped reading it during the
            recording.

            On such a stream, a long time can pass without a message. If the replayed stream ended, the client would
            open it again, and its second request would be a miss.
            """
            response = self._replay.response
            is_stream = (response.header("content-type") or "").lower().startswith("text/event-stream")
            return response.ending == "left" and is_stream and self._request.method == "GET"

        def _raise_unless_complete(self) -> None:
            if self._replay.response.ending != "complete":
                raise create_end_error(self._replay.response, self._request)

    def replay_response(replay: Replay, request: Any) -> Any:
        response = replay.response
        if response.ending == "unanswered":
            raise create_end_error(response, request)
        return module.Response(
            response.status,
            # httpx only accepts ASCII text here, but file names in responses may contain other characters
            headers=[
                (http1.encode_text(name), http1.encode_text(value)) for name, value in _correct_length(replay, request)
            ],
            stream=HttpxReplayStream(replay, request),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": response.reason.encode("ascii", "replace"),
            },
        )

    return replay_response


def _correct_length(replay: Replay, request: Any) -> Headers:
    """Return the response's headers with the ``content-length`` or ``transfer-encoding`` of the replayed body."""
    response = replay.response
    if http1.has_no_body(response.status, request.method) or response.ending != "complete":
        return response.headers
    if response.header("content-length") is not None:
        # in a cassette, the body is decoded and redacted, so its length is different
        length = str(replay.length)
        return tuple((name, length if name == "content-length" else value) for name, value in response.headers)
    if http1.is_streamed(replay):
        return (*response.headers, ("transfer-encoding", "chunked"))
    return (*response.headers, ("content-length", str(replay.length)))


def _create_error(module: ModuleType, failure: Failure, request: Any) -> Exception:
    """Return the exception of ``module`` (httpx or httpx2) for ``failure``.

    If the recorded exception is one of httpx, the result has the same class. If another client raised it, the result
    is the nearest equivalent in ``module``.
    """
    cause = failure.to_system_error()
    kind = getattr(module, failure.error, None)
    if not (isinstance(kind, type) and issubclass(kind, module.TransportError)):
        prefix = {"connect": "Connect", "handshake": "Connect", "send": "Write", "read": "Read"}[failure.during]
        kind = getattr(module, f"{prefix}{'Timeout' if failure.is_timeout else 'Error'}")
        if failure.error in ("RemoteDisconnected", "BadStatusLine", "IncompleteRead"):
            kind = module.RemoteProtocolError
    error: Exception = kind(failure.message, request=request)
    error.__cause__ = cause
    return error


def _create_recorder(module: ModuleType) -> Callable[[Any, ResponseRecorder], Any]:
    class HttpxRecordingStream(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        """A live response body. It records each chunk that arrives, and passes the chunk to the caller."""

        def __init__(self, live: Any, recording: ResponseRecorder) -> None:
            self._live = live
            self._recording = recording

        def __iter__(self) -> Iterator[bytes]:
            with self._record_end():
                for chunk in self._live:
                    self._recording.record_chunk(chunk)
                    yield chunk

        async def __aiter__(self) -> AsyncIterator[bytes]:
            with self._record_end():
                async for chunk in self._live:
                    self._recording.record_chunk(chunk)
                    yield chunk

        @contextmanager
        def _record_end(self) -> Iterator[None]:
            ending: Ending = "complete"
            failure: BaseException | None = None
            try:
                yield
            except Exception as error:
                ending = "broken"
                failure = error if isinstance(error, module.TransportError) else None
                raise
            except BaseException:  # raised by the caller: it closed the stream or was cancelled
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

    def record_response(response: Any, recording: ResponseRecorder) -> Any:
        headers: Headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw
        )
        recording.record_head(response.status_code, response.reason_phrase, headers)
        response.stream = HttpxRecordingStream(response.stream, recording)
        return response

    return record_response
