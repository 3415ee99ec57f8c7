"""Text that is not valid Unicode, in headers and bodies: what is recorded is read again, and replayed as received."""

import asyncio
import json
import urllib.request

import httpx
import pytest
import requests

from multitrack import use_cassette
from multitrack.tape.file import storage

pytestmark = pytest.mark.slow

NAMES = [b'attachment; filename="caf\xe9.txt"', 'attachment; filename="café 東京.txt"'.encode(), b"a\xed\xa0\x80b"]
HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
BODIES = [b'{"word": "\\ud800", "half \\udce9": "\\ud83d\\ude00"}', b'{"word": "\xe9"}', b'{"word": "\xed\xa0\x80"}']


def get_with_urllib(url):
    with urllib.request.urlopen(url) as answer:
        return answer.headers["content-disposition"], answer.read()


def get_with_requests(url):
    answer = requests.get(url)
    return answer.headers.get("content-disposition"), answer.content


def get_with_httpx(url):
    answer = httpx.get(url)
    return [value for name, value in answer.headers.raw if name.lower() == b"content-disposition"], answer.content


def get_with_aiohttp(url):
    aiohttp = pytest.importorskip("aiohttp")

    async def get():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.headers.get("content-disposition"), await answer.read()

    return asyncio.run(get())


CLIENTS = [get_with_urllib, get_with_requests, get_with_httpx, get_with_aiohttp]


@pytest.mark.parametrize("name", NAMES, ids=["latin-1", "utf-8", "half a pair"])
@pytest.mark.parametrize("get", CLIENTS)
def test_a_header_that_is_not_ascii_is_replayed_as_it_was_received(tmp_path, serve, get, name):
    url = serve(HEAD % 2 + b"content-disposition: " + name + b"\r\n\r\n{}")
    with use_cassette(tmp_path / "c.yaml", mode="record"):
        received = get(url)
    with use_cassette(tmp_path / "c.yaml"):
        assert get(url) == received


@pytest.mark.parametrize("body", BODIES, ids=["escapes", "latin-1", "bytes of half a pair"])
@pytest.mark.parametrize("get", CLIENTS)
def test_a_body_that_is_not_valid_unicode_is_replayed_as_it_was_received(tmp_path, serve, get, body):
    url = serve(HEAD % len(body) + b"\r\n" + body)
    for mode in ("record", "replay"):
        with use_cassette(tmp_path / "c.yaml", mode=mode):
            assert get(url)[1] == body


def test_a_request_with_half_a_surrogate_pair_replays(tmp_path, serve):
    url = serve(HEAD % 2 + b"\r\n{}")
    for mode in ("record", "replay"):
        with use_cassette(tmp_path / "c.yaml", mode=mode):
            assert httpx.post(url, content=b'{"a": "\\ud800", "\\udce9": 1}', headers={"x": "y"}).json() == {}


@pytest.mark.parametrize("key", ["body", "parsed_body"])
def test_half_a_surrogate_pair_in_a_cassette_of_another_recorder_is_read(tmp_path, key):
    document = {"word": "\ud800"}
    body = {"body": {"string": json.dumps(document)}} if key == "body" else {"parsed_body": document}
    interaction = {
        "request": {"method": "GET", "uri": "https://h.example/", "headers": {}, "body": None},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, **body},
    }
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"version": 1, "interactions": [interaction]}))
    (found,) = storage.read(path).interactions
    assert json.loads(found.response.body) == document
    with use_cassette(path):
        assert httpx.get("https://h.example/").json() == document
