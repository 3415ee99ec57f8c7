"""The answers of mock libraries are not network traffic: they are neither recorded nor a miss."""

import asyncio
from contextlib import contextmanager

import httpx
import pytest
import requests
from local_provider import ProviderAnswer

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.tape import Tape

respx = pytest.importorskip("respx")
MOCKED = "https://mocked.test/x"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


def get(url):
    with httpx.Client() as client:
        return client.get(url).text


def get_async(url):
    async def main():
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).text

    return asyncio.run(main())


@contextmanager
def mock(url, **options):
    with respx.mock(assert_all_called=False, **options) as router:
        router.get(MOCKED).respond(text="mocked")
        router.route(url__startswith=url).pass_through()
        yield router


USING = pytest.mark.parametrize("options", [{}, {"using": "httpx"}], ids=["httpcore", "httpx"])
GET = pytest.mark.parametrize("send", [get, get_async])


@GET
@USING
@pytest.mark.parametrize("mode", ["replay", "record", "record-missing", "live"])
def test_a_mocked_request_never_reaches_the_tape(path, provider, send, options, mode):
    with activate(Tape(path, mode=mode, test="t.py::test")) as tape, mock(provider.url, **options) as router:
        assert send(MOCKED) == "mocked"
        assert router.calls.call_count == 1
    assert tape.sent == []
    assert tape.violations == []
    assert tape.save() is None


@GET
@USING
def test_a_request_that_the_mock_lets_pass_is_recorded_and_replayed(path, provider, send, options):
    provider.reply = lambda _: ProviderAnswer(b"real")
    with activate(Tape(path, mode="record", test="t.py::test")) as tape, mock(provider.url, **options) as router:
        assert [send(MOCKED), send(provider.url)] == ["mocked", "real"]
        assert router.calls.call_count == 2
    assert tape.save().count == 1
    assert len(provider.requests) == 1
    with activate(Tape(path)) as tape, mock(provider.url, **options) as router:
        assert [send(MOCKED), send(provider.url)] == ["mocked", "real"]
        assert router.calls.call_count == 2
    assert len(tape.played) == 1
    assert len(provider.requests) == 1


@GET
def test_a_mock_that_was_started_before_the_tape_answers(path, provider, send):
    with mock(provider.url), activate(Tape(path)) as tape:
        assert send(MOCKED) == "mocked"
    assert tape.violations == []


@GET
def test_a_request_that_passes_and_has_no_recording_is_a_miss(path, provider, send):
    with activate(Tape(path)) as tape, mock(provider.url), pytest.raises(CassetteMiss):
        send(provider.url)
    assert len(tape.violations) == 1
    assert provider.requests == []


def test_requests_after_the_mock_are_replayed_again(path, provider):
    provider.reply = lambda _: ProviderAnswer(b"real")
    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        with mock(provider.url):
            get(MOCKED)
        assert get(provider.url) == "real"
    tape.save()
    with activate(Tape(path)), mock(provider.url):
        get(MOCKED)
    with activate(Tape(path)):
        assert get(provider.url) == "real"


def test_a_mocked_error_is_raised(path):
    with activate(Tape(path)) as tape, respx.mock() as router:
        router.get(MOCKED).mock(side_effect=httpx.ConnectError("mocked"))
        with pytest.raises(httpx.ConnectError, match="mocked"):
            get(MOCKED)
    assert tape.violations == []


def test_a_side_effect_may_send_a_request_of_its_own(path, provider):
    provider.reply = lambda _: ProviderAnswer(b"real")
    with activate(Tape(path, mode="record", test="t.py::test")) as tape, mock(provider.url) as router:
        router.get("https://other.test/").mock(side_effect=lambda _: httpx.Response(200, text=get(provider.url)))
        assert get("https://other.test/") == "real"
    assert [sent.url for sent in tape.sent] == [provider.url]


def test_other_clients_are_unaffected(path, provider):
    provider.reply = lambda _: ProviderAnswer(b"real")
    with activate(Tape(path, mode="record", test="t.py::test")) as tape, mock(provider.url):
        assert requests.get(provider.url).text == "real"
    assert tape.save().count == 1
