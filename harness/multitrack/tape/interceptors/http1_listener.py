"""Record a live HTTP/1.1 response from the same bytes that the client parses."""

from __future__ import annotations

from collections.abc import Container
from http.client import IncompleteRead

from multitrack.tape.exchange import ResponseRecorder
from multitrack.tape.failure import During
from multitrack.tape.interceptors import http1


class HttpResponseListener:
    """A listener that records one response by parsing the bytes that arrive on its connection.

    It ignores bytes after the end of the response, because the connection can be used again for another request.

    Args:
        recording: Receives the parsed response.
        method: The method of the request.
        interim: The status codes of interim responses, which are not recorded.

    Attributes:
        parser: The parser, with the bytes that have arrived so far.
        has_started: Whether the head of the response was recorded.
    """

    def __init__(self, recording: ResponseRecorder, method: str, interim: Container[int]) -> None:
        self._recording = recording
        self.parser = http1.response_parser(method, interim)
        self.has_started = False
        self._has_ended = False

    def receive(self, data: bytes) -> None:
        """Record ``data``, which arrived on the connection."""
        if self._has_ended:
            return
        continued = self.parser.is_within_chunk
        try:
            parts = self.parser.feed(data)
        except ValueError as error:
            self.fail(error)
            return
        if not self.has_started and self.parser.start_line is not None:
            code, reason = http1.parse_status_line(self.parser.start_line)
            if not code:
                return  # the client rejects it, too
            self._recording.record_head(code, reason, self.parser.headers)
            self.has_started = True
        for part in parts:
            self._recording.record_chunk(part, continued=continued)
            continued = False
        if self.parser.is_complete:
            self._has_ended = True
            self._recording.record_end(trailers=self.parser.trailers)

    def end_connection(self, error: BaseException | None) -> None:
        """Record that the connection ended. Do nothing if the response had not started.

        To end a connection before the response has started, call ``fail`` with the error that the client raises.

        Args:
            error: The reason; None if the server closed the connection.
        """
        self.parser.close()
        if self._has_ended or not self.has_started:
            return
        self._has_ended = True
        if error is None and self.parser.missing_bytes:
            error = IncompleteRead(b"", self.parser.missing_bytes)
        self._recording.record_end("complete" if self.parser.is_complete else "broken", error=error)

    def fail(self, error: BaseException, during: During | None = None) -> None:
        """Record that the client failed with ``error``.

        ``during`` is the phase of the request. It is None if the error cannot be raised again on replay.
        """
        if self._has_ended:
            return
        self._has_ended = True
        if self.has_started:
            self._recording.record_end("broken", error=None if during is None else error)
        else:
            self._recording.record_failure(error, during=during)

    def abandon(self) -> None:
        """Record that the client closed the connection, or gave up."""
        if not self._has_ended:
            self._has_ended = True
            self._recording.record_end("left")
