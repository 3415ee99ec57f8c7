"""Responses of other recorders are replayed as they are stored, and redacted wherever they are written or shown."""

import gzip
import json
import urllib.request

import httpx
import pytest
import requests
import yaml
from local_provider import ProviderAnswer

from multitrack.tape.active import activate
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

URL = "http://example.test/x"
SECRET = "sk-proj-0123456789abcdefghij"
HEADERS = {
    "Content-Type": ["text/plain; charset=latin-1"],
    "Set-Cookie": [f"session={SECRET}; Path=/", "theme=dark"],
    "Date": ["Thu, 01 Jan 2026 10:00:00 GMT"],
    "x-amzn-requestid": ["3768e7a9"],
    "X-Request-Id": ["req_1"],
    "openai-processing-ms": ["12"],
    "Connection": ["keep-alive"],
    "Transfer-Encoding": ["chunked"],
}


def write_cassette(path, *, headers=HEADERS, body="ok", request_headers=None, url=URL):
    interaction = {
        "request": {"body": None, "headers": request_headers or {}, "method": "GET", "uri": url},
        "response": {"body": {"string": body}, "headers": headers, "status": {"code": 200, "message": "OK"}},
    }
    path.write_text(yaml.dump({"interactions": [interaction], "version": 1}))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


CLIENTS = {
    "httpx": lambda: httpx.get(URL).headers.multi_items(),
    "requests": lambda: requests.get(URL).raw.headers.items(),
    "urllib": lambda: urllib.request.urlopen(URL).headers.items(),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_all_headers_are_replayed(path, client):
    write_cassette(path)
    with activate(Tape(path)):
        headers = [(name.lower(), value) for name, value in CLIENTS[client]()]
    assert ("set-cookie", f"session={SECRET}; Path=/") in headers
    assert ("set-cookie", "theme=dark") in headers
    for name in ("content-type", "date", "x-amzn-requestid", "x-request-id", "openai-processing-ms"):
        [value] = {key.lower(): values for key, values in HEADERS.items()}[name]
        assert (name, value) in headers


def test_the_headers_describe_the_body(path):
    write_cassette(path, headers={**HEADERS, "Content-Length": ["999"]})
    with activate(Tape(path)):
        response = httpx.get(URL)
    assert response.headers["content-length"] == "2"
    assert "transfer-encoding" not in response.headers


def test_the_body_is_replayed_as_it_is_stored(path):
    body = f'{{"token": "{SECRET}",\n "n": 1.0}}\n'
    write_cassette(path, body=body)
    with activate(Tape(path)):
        assert httpx.get(URL).text == body


def test_an_encoded_body_is_replayed_byte_by_byte(path):
    encoded = gzip.compress(b"ok", compresslevel=9)
    write_cassette(path, headers={**HEADERS, "Content-Encoding": ["gzip"]}, body=encoded)
    with activate(Tape(path)):
        response = urllib.request.urlopen(urllib.request.Request(URL, headers={"accept-encoding": "gzip"}))
        assert response.headers["content-encoding"] == "gzip"
        assert response.read() == encoded


def test_an_encoding_that_the_recorder_removed_is_not_announced(path):
    write_cassette(path, headers={**HEADERS, "Content-Encoding": ["gzip"]}, body="ok")
    with activate(Tape(path)):
        response = httpx.get(URL)
    assert response.text == "ok"
    assert "content-encoding" not in response.headers


def test_a_request_may_repeat_a_secret_of_a_response(path):
    """The requests are redacted on both sides, also by secrets in the responses."""
    first = {
        "request": {"body": None, "headers": {}, "method": "POST", "uri": "http://example.test/login"},
        "response": {
            "body": {"string": json.dumps({"access_token": "a-token-of-28-characters-xyz"})},
            "headers": {},
            "status": {"code": 200, "message": "OK"},
        },
    }
    second = {
        "request": {
            "body": '{"session": "a-token-of-28-characters-xyz"}',
            "headers": {"content-type": ["application/json"]},
            "method": "POST",
            "uri": "http://example.test/ask",
        },
        "response": {"body": {"string": "fine"}, "headers": {}, "status": {"code": 200, "message": "OK"}},
    }
    path.write_text(yaml.dump({"interactions": [first, second], "version": 1}))
    with activate(Tape(path)):
        token = httpx.post("http://example.test/login").json()["access_token"]
        assert httpx.post("http://example.test/ask", json={"session": token}).text == "fine"


def test_nothing_that_shows_the_interaction_has_the_secret(path):
    write_cassette(path, body=f"the key is {SECRET}")
    with activate(Tape(path)) as tape:
        httpx.get(URL)
    assert SECRET not in repr(tape.played)
    assert SECRET not in repr(tape.interactions)


def test_a_rewritten_cassette_is_redacted_and_keeps_the_headers(path, provider):
    write_cassette(path, body=f"the key is {SECRET}")
    provider.reply = lambda _: ProviderAnswer(b"new")
    with activate(Tape(path, mode="record-missing", test="t.py::test")) as tape:
        httpx.get(URL)
        httpx.get(provider.url)
    tape.save()
    assert SECRET not in path.read_text()
    with activate(Tape(path)):
        response = httpx.get(URL)
    assert response.text == "the key is __redacted__"
    assert response.headers["x-amzn-requestid"] == "3768e7a9"
    assert "session" in response.cookies


def test_headers_of_our_own_recordings_are_still_chosen(path, provider):
    provider.reply = lambda _: ProviderAnswer(b"new", headers={"x-amzn-requestid": "3768e7a9", "x-kept": "yes"})
    with activate(Tape(path, mode="record", test="t.py::test", settings=Settings(keep_headers=("x-kept",)))) as tape:
        httpx.get(provider.url)
    tape.save()
    with activate(Tape(path)):
        response = httpx.get(provider.url)
    assert "x-amzn-requestid" not in response.headers
    assert response.headers["x-kept"] == "yes"
