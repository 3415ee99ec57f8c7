"""Send requests to a tape as an interceptor does, without a network."""

from __future__ import annotations

from datetime import UTC, datetime

from multitrack.tape.exchange import Replay, Request
from multitrack.tape.tape import Tape

URL = "https://api.example.com/v1/chat"
JSON = (("content-type", "application/json"),)


def request(body=b"", url=URL, headers=JSON, method="POST"):
    return Request(method, url, tuple(headers), body if isinstance(body, bytes) else body.encode())


class Recorded:
    """One tape file; `put` records on it, `play` replays from it."""

    def __init__(self, path):
        self.path = path

    def put(self, *exchanges, test="t.py::test", clock=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), **options):
        """Record ``exchanges``: each a request and the body of its answer, or (status, headers, body)."""
        tape = Tape(self.path, mode="record", test=test, clock=lambda: clock, **options)
        for sent, answer in exchanges:
            status, headers, body = answer if isinstance(answer, tuple) else (200, JSON, answer)
            recording = tape.route(sent)
            recording.record_head(status, "OK", headers)
            recording.record_chunk(body if isinstance(body, bytes) else body.encode())
            recording.record_end()
        saved = tape.save()
        assert saved.state == "written", saved.reason
        return self.text

    def play(self, *sent, **options):
        """The bodies that answer the requests ``sent``, from one playing of the tape."""
        tape = Tape(self.path, **options)
        routes = [tape.route(one) for one in sent]
        assert all(isinstance(route, Replay) for route in routes)
        return [route.response.body.decode() for route in routes]

    @property
    def text(self):
        return self.path.read_text(encoding="utf-8")
