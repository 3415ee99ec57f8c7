"""Listens to the bytes of a live HTTP/1.1 answer, and tells them to its recording."""

from __future__ import annotations

from collections.abc import Container
from http.client import IncompleteRead

from multitrack.tape.exchange import ResponseRecorder
from multitrack.tape.failure import During
from multitrack.tape.interceptors import http1


class Listener:
    """Hears one answer to a request of ``method``, beside the client that reads it; those with the codes in
    ``interim`` are passed over.

    What comes after its end is not heard: the connection may go on to another request. ``message`` is what was heard
    so far; ``began`` is true once its head was told.
    """

    def __init__(self, recording: ResponseRecorder, method: str, interim: Container[int]) -> None:
        self._recording = recording
        self.message = http1.response(method, interim)
        self.began = False
        self._over = False

    def received(self, data: bytes) -> None:
        """``data`` came in."""
        if self._over:
            return
        continued = self.message.within_chunk
        try:
            parts = self.message.feed(data)
        except ValueError as error:
            self.broke(error)
            return
        if not self.began and self.message.start is not None:
            code, reason = http1.status(self.message.start)
            if not code:
                return  # the client refuses it, too
            self._recording.record_head(code, reason, self.message.headers)
            self.began = True
        for part in parts:
            self._recording.record_chunk(part, continued=continued)
            continued = False
        if self.message.over:
            self._over = True
            self._recording.record_end(trailers=self.message.trailers)

    def lost(self, error: BaseException | None) -> None:
        """The connection ended, by ``error`` unless the other side closed it. Where no answer began, `broke` is to
        tell what the client makes of that."""
        self.message.close()
        if self._over or not self.began:
            return
        self._over = True
        if error is None and self.message.missing:
            error = IncompleteRead(b"", self.message.missing)
        self._recording.record_end("complete" if self.message.over else "broken", error=error)

    def broke(self, error: BaseException, during: During | None = None) -> None:
        """The client gave up, with ``error``; ``during`` where it can be raised again."""
        if self._over:
            return
        self._over = True
        if self.began:
            self._recording.record_end("broken", error=None if during is None else error)
        else:
            self._recording.record_failure(error, during=during)

    def left(self) -> None:
        """The client closed the connection, or went away."""
        if not self._over:
            self._over = True
            self._recording.record_end("left")
