"""The answers of mocket and HTTPretty, which replace Python's sockets, are neither recorded nor a miss."""

import asyncio
import gc
import socket
import urllib.request
from contextlib import contextmanager

import httpx
import pytest
import requests
from local_provider import ProviderAnswer

from multitrack.errors import CassetteMiss, LiveCall
from multitrack.tape.active import activate
from multitrack.tape.stand_in_word import STAND_IN_WORD
from multitrack.tape.tape import Tape

httpretty = pytest.importorskip("httpretty")
mocket = pytest.importorskip("mocket")
mocket_http = pytest.importorskip("mocket.mocks.mockhttp")

pytestmark = [
    pytest.mark.slow,
    # neither mock closes all of the real sockets that it replaces
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MOCKED = ["http://mocked.test/x", "https://mocked.test/x", "http://mocked.test:8080/x"]


def get_httpx(url):
    return httpx.get(url).text


def get_httpx_async(url):
    async def main():
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).text

    return asyncio.run(main())


def get_requests(url):
    return requests.get(url).text


def get_urllib(url):
    with urllib.request.urlopen(url) as response:
        return response.read().decode()


@contextmanager
def use_mocket(*urls):
    for url in urls:
        mocket_http.Entry.single_register("GET", url, body="mocked")
    with mocket.Mocketizer():
        yield


@contextmanager
def use_httpretty(*urls):
    with httpretty.enabled():
        for url in urls:
            httpretty.register_uri("GET", url, body="mocked")
        yield


MOCKS = pytest.mark.parametrize("mock", [use_mocket, use_httpretty])
GET = pytest.mark.parametrize("get", [get_httpx, get_requests, get_urllib])


@pytest.fixture(scope="module", autouse=True)
def _collect_sockets():
    """Collect the mocks' sockets while the warnings about them are ignored, and not during a later test."""
    yield
    gc.collect()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


@MOCKS
@GET
@pytest.mark.parametrize("url", MOCKED)
@pytest.mark.parametrize("mode", ["replay", "record"])
def test_a_mocked_request_never_reaches_the_tape(path, mock, get, url, mode):
    with activate(Tape(path, mode=mode, test="t.py::test")) as tape, mock(url):
        assert get(url) == "mocked"
    assert tape.sent == []
    assert tape.violations == []
    assert tape.save() is None


# HTTPretty supports no asyncio
@pytest.mark.parametrize("url", MOCKED)
def test_a_mocked_request_over_asyncio_never_reaches_the_tape(path, url):
    with activate(Tape(path)) as tape, use_mocket(url):
        assert get_httpx_async(url) == "mocked"
    assert tape.sent == []
    assert tape.violations == []


@MOCKS
@GET
def test_a_mock_that_was_started_before_the_tape_answers(path, mock, get):
    with mock(MOCKED[0]), activate(Tape(path)) as tape:
        assert get(MOCKED[0]) == "mocked"
    assert tape.violations == []


@MOCKS
def test_a_client_without_an_interceptor_reaches_the_mock(path, mock):
    with mock(MOCKED[0]), activate(Tape(path)) as tape:
        connection = socket.create_connection(("mocked.test", 80))
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: mocked.test\r\n\r\n")
        assert connection.recv(65536)
        connection.close()
    assert tape.violations == []


@MOCKS
@GET
def test_a_request_to_another_host_is_replayed(path, provider, mock, get):
    provider.reply = lambda _: ProviderAnswer(b"real")
    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        assert get(provider.url) == "real"
    assert tape.save().count == 1
    with activate(Tape(path)) as tape, mock(MOCKED[0]):
        assert get(provider.url) == "real"
        assert get(MOCKED[0]) == "mocked"
    assert len(tape.played) == 1
    assert len(provider.requests) == 1


@MOCKS
@GET
def test_a_request_to_another_host_without_a_recording_is_a_miss(path, mock, get):
    with activate(Tape(path)) as tape, mock(MOCKED[0]), pytest.raises(CassetteMiss):
        get("http://other.test/")
    assert len(tape.violations) == 1


@pytest.mark.parametrize("opens_tape_first", [True, False])
def test_a_raw_socket_to_another_host_is_still_blocked(path, opens_tape_first):
    tape = Tape(path)
    blocks = [activate(tape), use_mocket(MOCKED[0])]
    first, second = blocks if opens_tape_first else reversed(blocks)
    with first, second, pytest.raises(LiveCall), socket.create_connection(("192.0.2.1", 80), timeout=0.1) as connection:
        connection.sendall(b"x")
    assert len(tape.violations) == 1


@MOCKS
def test_requests_after_the_mock_are_replayed_again(path, mock):
    with activate(Tape(path)) as tape:
        with mock(MOCKED[0]):
            assert get_requests(MOCKED[0]) == "mocked"
        with pytest.raises(CassetteMiss):
            get_requests(MOCKED[0])
    assert len(tape.violations) == 1


@MOCKS
def test_a_request_with_a_stand_in_for_a_key_reaches_the_mock(path, mock):
    with activate(Tape(path)) as tape, mock(MOCKED[0]):
        response = httpx.get(MOCKED[0], headers={"authorization": f"Bearer {STAND_IN_WORD}"})
    assert response.text == "mocked"
    assert tape.violations == []
