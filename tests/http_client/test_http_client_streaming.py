"""A stream stays a stream: while it is recorded, and when it is replayed."""

from __future__ import annotations

import gc
import http.client
import urllib.request
from contextlib import closing

import pytest
import requests
import urllib3

from multitrack.tape.active import activate
from multitrack.tape.exchange import Response

EVENTS = [b"data: one\n\n", b"data: two\r\n\r\n", b"data: thr\xc3\xa9e\n\n", b"data: [DONE]\n\n"]


def by_requests(url):
    with requests.Session() as session, session.get(url, stream=True) as answer:
        yield from answer.iter_content(None)


def by_urllib3(url):
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, preload_content=False)
        yield from answer.stream(65536)
        answer.release_conn()


def by_urllib3_read1(url):
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, preload_content=False)
        while part := answer.read1(65536):
            yield part
        answer.release_conn()


def by_urllib(url):
    with urllib.request.urlopen(url) as answer:
        while part := answer.read1():
            yield part


def by_urllib_lines(url):
    with urllib.request.urlopen(url) as answer:
        event = []
        for line in answer:
            event.append(line)
            if line.strip() == b"":
                yield b"".join(event)
                event.clear()


def by_readinto(url):
    with urllib.request.urlopen(url) as answer:
        for event in EVENTS:
            buffer = bytearray(len(event))
            assert answer.readinto(buffer) == len(event)
            yield bytes(buffer)
        assert answer.read() == b""


READERS = [by_requests, by_urllib3, by_urllib, by_urllib_lines, by_readinto]
# not before urllib3 2.2
READERS += [by_urllib3_read1] if hasattr(urllib3.HTTPResponse, "read1") else []


@pytest.mark.parametrize("read", READERS)
def test_each_part_reaches_the_caller_while_the_server_holds_the_rest(read, router, server):
    seen = []
    with activate(router):
        for part in read(server.url + "/stream"):
            seen.append(part)
            # told to the recording no later than to the caller
            assert router.recorders[0].chunks == seen
            server.seen.release()
    assert seen == EVENTS
    assert router.recorders[0].ending == "complete"

    server.stop()
    router.mode = "replay"
    with activate(router):
        assert list(read(server.url + "/stream")) == EVENTS


def leave_by_closing(answer):
    answer.close()


def leave_by_forgetting(answer):
    del answer
    gc.collect()


@pytest.mark.parametrize("leave", [leave_by_closing, leave_by_forgetting])
def test_left_early(leave, router, server):
    with activate(router), requests.Session() as session:
        parts = session.get(server.url + "/stream", stream=True).iter_content(None)
        assert next(parts) == EVENTS[0]
        leave(parts)
        del parts
        gc.collect()
    server.seen.release(9)
    [recorder] = router.recorders
    assert (recorder.ending, recorder.chunks) == ("left", EVENTS[:1])


def test_what_was_left_early_ends_there_on_replay_and_not_cleanly(router, server):
    with activate(router), requests.Session() as session:
        with session.get(server.url + "/stream", stream=True) as answer:
            assert next(answer.iter_content(None)) == EVENTS[0]
        server.seen.release(9)
        router.mode = "replay"
        parts = session.get(server.url + "/stream", stream=True).iter_content(None)
        assert next(parts) == EVENTS[0]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(parts)


@pytest.mark.parametrize("path", ["/cut", "/cut-chunked"])
def test_a_connection_that_breaks_in_the_middle(path, router, server):
    if path == "/cut" and urllib3.__version__.startswith("1."):
        pytest.skip("urllib3 1 takes an answer that is too short for a whole one")
    errors = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)
    with activate(router), requests.Session() as session, pytest.raises(errors):
        session.get(server.url + path)
    [recorder] = router.recorders
    assert (recorder.ending, recorder.chunks) == ("broken", [b"only this"])

    server.stop()
    router.mode = "replay"
    with activate(router), requests.Session() as session, pytest.raises(errors):
        session.get(server.url + path)


def test_a_timeout_in_the_middle(router, server):
    with activate(router), requests.Session() as session:
        parts = session.get(server.url + "/stream", stream=True, timeout=0.2).iter_content(None)
        assert next(parts) == EVENTS[0]
        with pytest.raises(requests.exceptions.ConnectionError, match="Read timed out"):
            next(parts)
    assert router.recorders[0].ending == "broken"
    server.seen.release(9)


def test_other_bodies_come_whole_and_with_their_length(router, server):
    router.mode = "replay"
    body = b'[{"a": 1},\n\n{"b": 2}]'
    recorded = Response(200, "OK", (("Content-Type", "application/json"), ("connection", "close")), body)
    router.recorded["GET", server.url + "/", b""].append(recorded)
    with activate(router), closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.getheaders() == [
            ("Content-Type", "application/json"),
            ("content-length", str(len(body))),
        ]
        assert answer.peek() == body
        assert answer.read() == body


@pytest.mark.parametrize(
    ("reason", "value", "read"),
    [
        ("Not Acceptable", "plain", "plain"),
        ("", "caf\xe9", "caf\xe9"),
        ("Bad\r\nX-A: b", "a\nb: c", "a b: c"),
    ],
)
def test_heads_as_tapes_may_hold_them(reason, value, read, router, server):
    router.mode = "replay"
    router.recorded["GET", server.url + "/", b""].append(Response(406, reason, (("x-value", value),), b"body"))
    with activate(router), closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.reason) == (406, reason.replace("\r\n", " "))
        assert answer.getheaders() == [("x-value", read), ("content-length", "4")]
        assert answer.read() == b"body"
