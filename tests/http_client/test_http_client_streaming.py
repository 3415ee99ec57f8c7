"""Responses are streamed, both while they are recorded and when they are replayed."""

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


def read_with_requests(url):
    with requests.Session() as session, session.get(url, stream=True) as response:
        yield from response.iter_content(None)


def read_with_urllib3(url):
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, preload_content=False)
        yield from response.stream(65536)
        response.release_conn()


def read_with_urllib3_read1(url):
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, preload_content=False)
        while part := response.read1(65536):
            yield part
        response.release_conn()


def read_with_urllib(url):
    with urllib.request.urlopen(url) as response:
        while part := response.read1():
            yield part


def read_with_urllib_lines(url):
    with urllib.request.urlopen(url) as response:
        event = []
        for line in response:
            event.append(line)
            if line.strip() == b"":
                yield b"".join(event)
                event.clear()


def read_with_readinto(url):
    with urllib.request.urlopen(url) as response:
        for event in EVENTS:
            buffer = bytearray(len(event))
            assert response.readinto(buffer) == len(event)
            yield bytes(buffer)
        assert response.read() == b""


READERS = [read_with_requests, read_with_urllib3, read_with_urllib, read_with_urllib_lines, read_with_readinto]
# new in urllib3 2.2
READERS += [read_with_urllib3_read1] if hasattr(urllib3.HTTPResponse, "read1") else []


@pytest.mark.parametrize("read", READERS)
def test_each_part_reaches_the_caller_before_the_next_is_sent(read, router, server):
    received = []
    with activate(router):
        for part in read(server.url + "/stream"):
            received.append(part)
            # each chunk is recorded before the caller receives it
            assert router.recorders[0].chunks == received
            server.received.release()
    assert received == EVENTS
    assert router.recorders[0].ending == "complete"

    server.stop()
    router.mode = "replay"
    with activate(router):
        assert list(read(server.url + "/stream")) == EVENTS


def abandon_by_closing(response):
    response.close()


def abandon_by_dropping(response):
    del response
    gc.collect()


@pytest.mark.parametrize("abandon", [abandon_by_closing, abandon_by_dropping])
def test_a_response_that_is_not_read_to_its_end_is_recorded_as_left(abandon, router, server):
    with activate(router), requests.Session() as session:
        parts = session.get(server.url + "/stream", stream=True).iter_content(None)
        assert next(parts) == EVENTS[0]
        abandon(parts)
        del parts
        gc.collect()
    server.received.release(9)
    [recorder] = router.recorders
    assert recorder.ending == "left"
    assert recorder.chunks == EVENTS[:1]


def test_replaying_a_response_that_was_not_read_to_its_end_fails_there(router, server):
    with activate(router), requests.Session() as session:
        with session.get(server.url + "/stream", stream=True) as response:
            assert next(response.iter_content(None)) == EVENTS[0]
        server.received.release(9)
        router.mode = "replay"
        parts = session.get(server.url + "/stream", stream=True).iter_content(None)
        assert next(parts) == EVENTS[0]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(parts)


@pytest.mark.parametrize("path", ["/cut", "/cut-chunked"])
def test_a_broken_connection_is_recorded_and_replayed(path, router, server):
    if path == "/cut" and urllib3.__version__.startswith("1."):
        pytest.skip("urllib3 1 accepts a response that is too short")
    errors = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)
    with activate(router), requests.Session() as session, pytest.raises(errors):
        session.get(server.url + path)
    [recorder] = router.recorders
    assert recorder.ending == "broken"
    assert recorder.chunks == [b"only this"]

    server.stop()
    router.mode = "replay"
    with activate(router), requests.Session() as session, pytest.raises(errors):
        session.get(server.url + path)


def test_a_timeout_between_two_parts_is_recorded_as_broken(router, server):
    with activate(router), requests.Session() as session:
        parts = session.get(server.url + "/stream", stream=True, timeout=0.2).iter_content(None)
        assert next(parts) == EVENTS[0]
        with pytest.raises(requests.exceptions.ConnectionError, match="Read timed out"):
            next(parts)
    assert router.recorders[0].ending == "broken"
    server.received.release(9)


def test_a_body_that_is_not_a_stream_is_replayed_whole_and_with_its_length(router, server):
    router.mode = "replay"
    body = b'[{"a": 1},\n\n{"b": 2}]'
    recorded = Response(200, "OK", (("Content-Type", "application/json"), ("connection", "close")), body)
    router.recorded["GET", server.url + "/", b""].append(recorded)
    with activate(router), closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.getheaders() == [
            ("Content-Type", "application/json"),
            ("content-length", str(len(body))),
        ]
        assert response.peek() == body
        assert response.read() == body


@pytest.mark.parametrize(
    ("reason", "value", "read"),
    [
        ("Not Acceptable", "plain", "plain"),
        ("", "caf\xe9", "caf\xe9"),
        ("Bad\r\nX-A: b", "a\nb: c", "a b: c"),
    ],
)
def test_any_reason_and_header_value_in_a_cassette_can_be_replayed(reason, value, read, router, server):
    router.mode = "replay"
    router.recorded["GET", server.url + "/", b""].append(Response(406, reason, (("x-value", value),), b"body"))
    with activate(router), closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 406
        assert response.reason == reason.replace("\r\n", " ")
        assert response.getheaders() == [("x-value", read), ("content-length", "4")]
        assert response.read() == b"body"
