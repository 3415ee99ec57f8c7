"""Present recorded and live responses as files for ``http.client.HTTPResponse``. Live responses are recorded."""

from __future__ import annotations

import io
import time
from http import HTTPStatus
from http.client import BadStatusLine, RemoteDisconnected
from typing import Any

from multitrack.tape.exchange import Replay, ResponseRecorder
from multitrack.tape.interceptors import http1
from multitrack.tape.interceptors.http1_listener import HttpResponseListener


class ReplayedResponseFile(io.RawIOBase):
    """A recorded response that the client reads piece by piece."""

    def __init__(self, replay: Replay, method: str) -> None:
        response = replay.response
        self._pieces = iter(()) if response.ending == "unanswered" else http1.encode_response(replay, method)
        self._failure = response.failure
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._piece:
            wait, self._piece = next(self._pieces, (0.0, b""))
            if wait:
                time.sleep(wait)
        # if the body is shorter than announced, the client notices by itself
        if not self._piece and self._failure is not None and self._failure.error != "IncompleteRead":
            raise self._failure.to_system_error()
        count = min(len(buffer), len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count


class LiveResponseFile(io.RawIOBase):
    """A file that records a live response while the client reads it."""

    def __init__(self, source: io.RawIOBase, recording: ResponseRecorder, method: str) -> None:
        self._source = source
        self._listener = HttpResponseListener(recording, method, interim=(HTTPStatus.CONTINUE,))

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._source.fileno()

    def readinto(self, buffer: Any) -> int | None:
        try:
            count = self._source.readinto(buffer)
        except OSError as error:
            self._listener.fail(error, "read")
            raise
        if count:
            self._listener.receive(bytes(memoryview(buffer)[:count]))
        elif count == 0:
            self._record_end_of_connection()
        return count

    def close(self) -> None:
        if not self.closed:
            start_line = self._listener.parser.start_line
            if start_line is not None and not self._listener.has_started:
                # http.client rejected the status line and closes the file
                self._listener.fail(BadStatusLine(f"{start_line}\r\n"), "read")
            self._listener.abandon()
            self._source.close()
        super().close()

    def _record_end_of_connection(self) -> None:
        listener = self._listener
        if not listener.has_started:
            listener.fail(RemoteDisconnected("Remote end closed connection without response"), "read")
        listener.end_connection(None)
