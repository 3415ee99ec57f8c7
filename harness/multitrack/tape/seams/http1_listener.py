"""Listens to the bytes of a live HTTP/1.1 answer, and tells them to its recording."""

from __future__ import annotations

from collections.abc import Container

from multitrack.tape.exchange import Ending, Recording
from multitrack.tape.seams import http1


class Listener:
    """Hears one answer to a request of ``method``, beside the client that reads it; those with the codes in
    ``interim`` are passed over.

    What comes after its end is not heard: the connection may go on to another request.
    """

    def __init__(self, recording: Recording, method: str, interim: Container[int]) -> None:
        self._recording = recording
        self._message = http1.response(method, interim)
        self._began = False
        self._over = False

    def received(self, data: bytes) -> None:
        """``data`` came in."""
        if self._over:
            return
        try:
            parts = self._message.feed(data)
        except ValueError as error:
            self.broke(error)
            return
        if not self._began and self._message.start is not None:
            code, reason = http1.status(self._message.start)
            if not code:
                return  # the client refuses it, too
            self._recording.began(code, reason, self._message.headers)
            self._began = True
        for part in parts:
            self._recording.received(part)
        if self._message.over:
            self._end("complete")

    def lost(self) -> None:
        """The connection ended; where no answer began, `broke` tells of what error that was."""
        self._message.close()
        if self._began:
            self._end("complete" if self._message.over else "broken")

    def broke(self, error: BaseException) -> None:
        """Reading failed."""
        self._end("broken", error)

    def left(self, error: BaseException) -> None:
        """The client closed the connection. Where no answer began, that is because of ``error``."""
        self._end("left", error)

    def _end(self, ending: Ending, error: BaseException | None = None) -> None:
        if self._over:
            return
        self._over = True
        if self._began:
            self._recording.ended(ending, trailers=self._message.trailers)
        elif error is not None:
            self._recording.failed(error)
