"""The status line and the headers of a response that describe its body are replayed as they were received."""

import asyncio
import http.client
from urllib.parse import urlsplit

import httpx
import httpx2
import pytest
import requests
from local_provider import ProviderAnswer

from multitrack import use_cassette

pytestmark = pytest.mark.slow


def by_httpx(method, url):
    return read(httpx.request(method, url))


def by_httpx2(method, url):
    return read(httpx2.request(method, url))


def by_requests(method, url):
    return read(requests.request(method, url))


def read(answer):
    return answer.status_code, answer.headers.get("content-length"), answer.headers.get("transfer-encoding")


def by_http_client(method, url):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request(method, "/")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("content-length"), answer.getheader("transfer-encoding")


def by_aiohttp(method, url):
    aiohttp = pytest.importorskip("aiohttp")

    async def send():
        async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
            await answer.read()
            return answer.status, answer.headers.get("content-length"), answer.headers.get("transfer-encoding")

    return asyncio.run(send())


CLIENTS = [by_httpx, by_httpx2, by_requests, by_http_client, by_aiohttp]


def pieces():
    yield b"some "
    yield b"pieces"


ANSWERS = {
    "length": lambda _: ProviderAnswer(b'{"a":1}', headers={"content-type": "application/json"}),
    "chunks": lambda _: ProviderAnswer(pieces(), headers={"content-type": "text/plain"}),
    "events": lambda _: ProviderAnswer(iter([b"data: a\n\n"]), headers={"content-type": "text/event-stream"}),
    "empty": lambda _: ProviderAnswer(b""),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("send", CLIENTS)
def test_the_length_of_a_body_is_announced_as_it_was(tmp_path, provider, send, answer):
    provider.reply = ANSWERS[answer]
    with use_cassette(tmp_path / "c.yaml", mode="record"):
        live = send("GET", provider.url)
    with use_cassette(tmp_path / "c.yaml"):
        assert send("GET", provider.url) == live


@pytest.mark.parametrize("status", ["200 OK", "304 Not Modified"])
@pytest.mark.parametrize("send", CLIENTS)
def test_the_length_in_a_response_without_a_body_is_kept(tmp_path, serve, send, status):
    url = serve(f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 500\r\n\r\n".encode())
    with use_cassette(tmp_path / "c.yaml", mode="record"):
        live = send("HEAD", url)
    assert live[1] == "500"
    with use_cassette(tmp_path / "c.yaml"):
        assert send("HEAD", url) == live
