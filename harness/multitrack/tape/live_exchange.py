"""Record the response to one live request while it arrives."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from itertools import accumulate, pairwise
from threading import Lock

from multitrack.tape import chunks, event_framing, json_rpc
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.model_paths import models_offered_by
from multitrack.tape.normalize.content_encoding import decode_parts
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.reencoding import is_accepted, is_raw_deflate, split_encodings
from multitrack.wires import registry

Clock = Callable[[], datetime]
"""Returns the current time."""

# not an HTTP status: tools that read the cassette and do not know about failures see a server error
_NO_RESPONSE = 599


class LiveExchange:
    """One request that was sent to the network, and its response (see ``exchange.ResponseRecorder``)."""

    def __init__(self, request: Request, redactor: Redactor, clock: Clock) -> None:
        self._request = request
        self.offered_models = models_offered_by(request)
        self._redactor = redactor
        self._clock = clock
        self._sent = clock()
        self._status, self._reason = 0, ""
        self._headers: Headers = ()
        # one buffer and two arrays: a list of parts would need twice the memory, or more if the parts are small
        self._body = BytesIO()
        self._ends = array("q")
        self._times = array("q")
        """The milliseconds from the request to each chunk, whose end is at the same position in ``_ends``."""
        self._ending: Ending | None = None
        self._failure: Failure | None = None
        self._error: BaseException | None = None
        self._over: datetime | None = None
        self._lock = Lock()

    @property
    def request(self) -> Request:
        """The request, with all messages that it has streamed so far."""
        return self._request.with_sent_messages

    def record_head(self, status: int, reason: str, headers: Headers) -> None:
        """Record the status and the headers."""
        self._headers = tuple((name.lower(), value) for name, value in headers)
        self._redactor.learn_response(self._headers)
        self._status, self._reason = status, reason

    def record_chunk(self, chunk: bytes, *, continued: bool = False) -> None:
        """Record a part of the body. With ``continued``, the part belongs to the same chunk as the previous part."""
        if self._over is not None:
            return
        if continued and self._ends:
            del self._ends[-1], self._times[-1]
        self._body.write(chunk)
        self._times.append(self._milliseconds_until(self._clock()))
        # the last step, because another thread may build the response at the same time
        self._ends.append(self._body.tell())

    def record_end(
        self, ending: Ending = "complete", *, trailers: Headers = (), error: BaseException | None = None
    ) -> None:
        """Record how the response ended. See ``exchange.ResponseRecorder.record_end``."""
        with self._lock:
            if self._over is None:
                self._over = self._clock()
                self._headers += tuple((name.lower(), value) for name, value in trailers)
                self._ending = ending
                self._failure = Failure.from_error(error, "read") if error is not None else None

    def record_failure(self, error: BaseException, *, during: During | None = None) -> None:
        """Record that no response arrived."""
        with self._lock:
            if self._over is None:
                self._over = self._clock()
                self._error = error
                self._failure = Failure.from_error(error, during) if during is not None else None

    @property
    def unreplayable_error(self) -> str | None:
        """The name of the error that prevented a response, if that error cannot be replayed.

        ``None`` if the error can be replayed, or if no error prevented a response.
        """
        if self._status or self._error is None or self._failure is not None:
            return None
        return type(self._error).__name__

    @property
    def has_response(self) -> bool:
        """True if the head of a response arrived."""
        return bool(self._status)

    @property
    def empty_response(self) -> Response:
        """The response to use if there is nothing to store."""
        failure = Failure.from_error(self._error, "read") if self._error is not None else None
        return Response(_NO_RESPONSE, "", (), b"", "unanswered", failure=failure)

    def build_response(self) -> Response | None:
        """Return the part of the response that arrived, decoded. ``None`` if there is nothing to store.

        An exchange that is still open gets the ending ``left``, as if its caller had stopped reading. A body that
        cannot be decoded is stored as received, with its ``content-encoding`` header.
        """
        if not self.has_response:
            if self._failure is None and self._ending is None:
                return None
            wait = self._milliseconds_until(self._over or self._sent)
            waited = Chunks() if self._failure else chunks.chunks_of_wait(wait)
            return Response(_NO_RESPONSE, "", (), b"", "unanswered", waited, self._failure)
        ends = self._ends[:]
        received = self._body.getvalue()[: ends[-1] if ends else 0]
        ending = self._ending or "left"
        encoding = next((value for name, value in self._headers if name == "content-encoding"), None)
        headers = tuple(header for header in self._headers if header[0] != "content-encoding")
        encoding = ", ".join(split_encodings(encoding))
        content = received
        is_framed = event_framing.is_framed(next((value for name, value in headers if name == "content-type"), None))
        if encoding or is_framed:
            pieces = [received[start:end] for start, end in pairwise((0, *ends))]
            try:
                pieces = decode_parts(pieces, encoding, is_complete=ending == "complete")
            except ValueError:
                headers, encoding = self._headers, ""
            if is_framed:
                with suppress(ValueError, RecursionError):
                    pieces, framing = event_framing.decode_events(pieces, is_complete=ending == "complete")
                    encoding = f"{framing}, {encoding}" if encoding else framing
            content = b"".join(pieces)
            ends = array("q", accumulate(map(len, pieces)))
        if ending == "left" and self._has_whole_body(content):
            ending = "complete"
        response = Response(
            self._status,
            self._reason,
            headers,
            content,
            ending,
            failure=self._failure,
            encoding=encoding,
            is_encoding_requested=is_accepted(encoding, self._request.header("accept-encoding")),
            is_raw_deflate=is_raw_deflate(received, encoding),
        )
        return replace(response, chunks=self._measure_chunks(ends, response))

    def _has_whole_body(self, content: bytes) -> bool:
        """Return whether ``content`` is the whole answer.

        Some callers stop reading right after the last byte, and never see the end of the stream.
        """
        headers = dict(reversed(self._headers))
        if "content-length" in headers and "transfer-encoding" not in headers:
            return str(self._body.tell()) == headers["content-length"].strip()
        is_stream = headers.get("content-type", "").lower().startswith("text/event-stream")
        return registry.has_end_mark(content) or (is_stream and json_rpc.is_answered(self._request.body, content))

    def _measure_chunks(self, ends: Sequence[int], response: Response) -> Chunks:
        names = {name for name, _ in self._headers}
        # a sender that knew the length had the whole body; only the network divided it
        if "content-length" in names and "transfer-encoding" not in names:
            return Chunks()
        times: dict[int, int] = {}
        previous = 0
        for end, time in zip(ends, self._times, strict=False):
            # a chunk that decodes to nothing does not end anything
            if end > previous:
                times[end] = time
            previous = end
        if not ends and self._over is not None:
            times[0] = self._milliseconds_until(self._over)
        return chunks.measure_chunks(times, response.body, response.header("content-type"))

    def _milliseconds_until(self, time: datetime) -> int:
        return int((time - self._sent).total_seconds() * 1000)
