"""Every client based on ``http.client`` replays its recordings without a server."""

from __future__ import annotations

import json

import pytest

from multitrack.tape.active import activate

CONNECTION_HEADERS = {"date", "server", "connection", "content-encoding", "content-length", "transfer-encoding"}


def comparable(response):
    """Return the parts of a response that must be equal on replay.

    Other headers describe the connection, or were added by the client.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    kept = {name: value for name, value in headers.items() if name not in CONNECTION_HEADERS and name[0] != "-"}
    return response.status, response.reason, response.body, kept


REQUESTS = {
    "get": ("GET", "/echo?a=1&b=%20", None, None),
    "post": ("POST", "/echo", b'{"prompt": "caf\xc3\xa9"}', {"content-type": "application/json"}),
    "gzip": ("GET", "/gzip", None, {"accept-encoding": "gzip"}),
    "head": ("HEAD", "/status/200", None, None),
    "no content": ("GET", "/status/204", None, None),
    "error": ("GET", "/status/503", None, None),
    "redirect": ("GET", "/redirect", None, None),
    "until close": ("GET", "/until-close", None, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("kind", ["server", "tls_server"])
def test_the_replay_equals_the_recording(client, record, router, kind, sent, request):
    server = request.getfixturevalue(kind)
    method, target, body, headers = sent
    recorded = record(lambda: client(method, server.url + target, body, headers))
    server.stop()
    connections = server.connections
    with activate(router):
        replayed = client(method, server.url + target, body, headers)
    assert comparable(replayed) == comparable(recorded)
    assert server.connections == connections
    live, repeated = router.requests
    assert live == repeated
    assert live.method == method
    assert live.url == server.url + target
    assert live.body == (body or b"")


def test_the_recording_receives_the_whole_response(client, server, router):
    with activate(router):
        client("POST", server.url + "/gzip", b"question", {"accept-encoding": "gzip"})
    [recorder] = router.recorders
    assert recorder.ending == "complete"
    assert recorder.status == 200
    assert recorder.reason == "OK"
    assert dict(recorder.headers)["content-encoding"] == "gzip"
    # the recorder receives the body in the encoding in which it was sent
    assert b"".join(recorder.chunks)[:2] == b"\x1f\x8b"
    assert recorder.request.header("accept-encoding") == "gzip"


def test_several_requests_of_one_client_are_replayed_in_any_order(client, record, router, server):
    bodies = [b"%d" % number for number in range(5)]
    recorded = record(lambda: [client("POST", server.url + "/echo", body).body for body in bodies])
    server.stop()
    with activate(router):
        assert [client("POST", server.url + "/echo", body).body for body in reversed(bodies)] == recorded[::-1]
    assert [json.loads(body)["body"] for body in recorded] == ["0", "1", "2", "3", "4"]


def test_a_client_with_an_open_connection_is_intercepted_and_goes_live_again_afterwards(client, record, router, server):
    before = client("GET", server.url + "/echo?before")
    record(lambda: client("GET", server.url + "/echo?during"))
    with activate(router):
        client("GET", server.url + "/echo?during")
    after = client("GET", server.url + "/echo?after")
    assert [json.loads(response.body)["count"] for response in (before, after)] == [1, 3]


def test_passthrough_goes_live_and_is_not_recorded(client, router, server):
    router.mode = "passthrough"
    with activate(router):
        responses = [client("POST", server.url + "/echo", b"x") for _ in range(2)]
    assert [json.loads(response.body)["count"] for response in responses] == [1, 2]
    assert router.recorders == []
    assert len(router.requests) == 2
