"""However a body is passed, the tape receives its bytes, and the server receives the same request as without a tape."""

from __future__ import annotations

import array
import gzip
import http.client
import io
import json
from contextlib import closing

import pytest
import requests
import urllib3

from multitrack.tape.active import activate

BODIES = {
    "bytes": lambda: b"one two three",
    "file": lambda: io.BytesIO(b"one two three"),
    "text file": lambda: io.StringIO("one two three"),
    "iterator": lambda: iter([b"one ", b"two ", b"", b"three"]),
    "array": lambda: array.array("B", b"one two three"),
}


def send_with_http_client(server, body):
    with closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.request("POST", "/echo", body)
        return connection.getresponse().read()


def send_with_requests(server, body):
    with requests.Session() as session:
        return session.post(server.url + "/echo", data=body).content


def send_with_urllib3(server, body):
    with urllib3.PoolManager() as pool:
        return pool.request("POST", server.url + "/echo", body=body).data


@pytest.mark.parametrize("send", [send_with_http_client, send_with_requests, send_with_urllib3])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_each_type_of_body_is_recorded_and_replayed(send, body, router, server):
    with activate(router):
        recorded = send(server, body())
        assert json.loads(recorded)["body"] == "one two three"
        router.mode = "replay"
        assert send(server, body()) == recorded
    assert [request.body for request in router.requests] == [b"one two three"] * 2


def test_a_large_body_is_recorded(router, server):
    body = b"0123456789abcdef" * (1 << 16)
    with activate(router), requests.Session() as session:
        response = session.post(server.url + "/echo", data=io.BytesIO(body))
    assert response.json()["body"].encode() == body
    assert router.requests[0].body == body


def test_a_compressed_body_is_decoded_for_the_tape_and_sent_unchanged(router, server):
    compressed = gzip.compress(b"question")
    with activate(router), requests.Session() as session:
        response = session.post(server.url + "/echo", data=compressed, headers={"Content-Encoding": "gzip"})
    assert response.json()["body"].encode("latin-1") == compressed
    assert router.requests[0].body == b"question"


def test_a_body_in_an_unknown_encoding_is_not_decoded(router, server):
    with activate(router), requests.Session() as session:
        session.post(server.url + "/echo", data=b"?!", headers={"Content-Encoding": "private"})
    assert router.requests[0].body == b"?!"


def test_headers_are_recorded_as_sent(router, server):
    with activate(router), closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.putrequest("get", "/echo")
        connection.putheader("X-Many", "one", "two")
        connection.putheader("X-Many", "three")
        connection.endheaders()
        connection.getresponse().read()
    [request] = router.requests
    assert request.method == "GET"
    assert request.headers == (
        ("host", f"localhost:{server.server_port}"),
        ("accept-encoding", "identity"),
        ("x-many", "one two"),
        ("x-many", "three"),
    )


def test_expect_continue_does_not_wait(router, server):
    """botocore sends the head, and the body once the server has asked for it, or after a second."""
    with activate(router), closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.putrequest("PUT", "/echo")
        connection.putheader("Expect", "100-continue")
        connection.putheader("Content-Length", "4")
        connection.endheaders()
        assert urllib3.util.wait_for_read(connection.sock, timeout=0)
        with connection.sock.makefile("rb", 0) as permission:
            assert permission.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert permission.readline() == b"\r\n"
        connection.send(b"body")
        # the server sends the interim response again, and http.client skips it
        assert json.loads(connection.getresponse().read())["body"] == "body"
    assert router.recorders[0].status == 200
