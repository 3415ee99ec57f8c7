"""Send requests to a tape as an interceptor does, without a network."""

from __future__ import annotations

from datetime import UTC, datetime

from multitrack.tape.exchange import Replay, Request
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.tape import Tape

URL = "https://api.example.com/v1/chat"
JSON = (("content-type", "application/json"),)


def request(body=b"", url=URL, headers=JSON, method="POST"):
    return Request(method, url, tuple(headers), body if isinstance(body, bytes) else body.encode())


class RecordedCassette:
    """A cassette: ``put`` records to it, ``play`` replays from it."""

    def __init__(self, path):
        self.path = path
        self.cache = CassetteCache()

    def put(self, *exchanges, test="t.py::test", clock=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), **options):
        """Record ``exchanges``: pairs of a request and a response, which is a body or (status, headers, body)."""
        tape = Tape(self.path, mode="record", test=test, clock=lambda: clock, **options)
        for sent, response in exchanges:
            status, headers, body = response if isinstance(response, tuple) else (200, JSON, response)
            recording = tape.route(sent)
            recording.record_head(status, "OK", headers)
            recording.record_chunk(body if isinstance(body, bytes) else body.encode())
            recording.record_end()
        saved = tape.save()
        assert saved.state == "written", saved.reason
        return self.text

    def play(self, *sent, **options):
        """Replay the requests ``sent`` with one tape, and return the bodies of the responses."""
        tape = Tape(self.path, cache=self.cache, **options)
        routes = [tape.route(each) for each in sent]
        assert all(isinstance(route, Replay) for route in routes)
        return [route.response.body.decode() for route in routes]

    @property
    def text(self):
        return self.path.read_text(encoding="utf-8")
