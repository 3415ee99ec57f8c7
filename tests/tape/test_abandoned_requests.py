"""Requests whose callers gave up: before a response, during a response, and when the tape closed."""

import asyncio
import contextlib
import http.client
import threading

import httpx
import httpx2
import pytest
import requests
from local_provider import DONE, STREAM, ProviderAnswer, echo, event
from senders import ALL, HTTPX

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.file import storage
from multitrack.tape.interceptors import abandoned
from multitrack.tape.tape import Tape

MODULES = pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch):
    """Let a replayed asyncio request wait only half a second longer than the recorded request, not ten seconds."""
    monkeypatch.setattr(abandoned, "_GRACE_SECONDS", 0.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tape.yaml"


@pytest.fixture
def held(provider):
    """An event; the provider delays its response to ``/slow`` until the event is set."""
    held = threading.Event()

    def reply(request):
        if request.path == "/slow":
            held.wait(10)
        return echo(request)

    provider.reply = reply
    provider.silence()
    yield held
    held.set()


def record(path, use):
    with activate(Tape(path, mode="record")) as tape:
        result = use()
    saved = tape.save()
    assert saved.state == "written", saved.reason
    return result


def replay(path, use):
    with activate(Tape(path)) as tape:
        result = use()
    assert tape.violations == []
    return result


def endings(path):
    interactions = storage.read(path).interactions
    return {each.request.url.rpartition("/")[2]: each.response.ending for each in interactions}


@MODULES
def test_the_slower_of_two_parallel_requests_is_cancelled_on_replay_too(provider, held, path, module):
    async def main():
        async with module.AsyncClient() as client:
            tasks = [asyncio.create_task(client.get(f"{provider.url}/{name}")) for name in ("slow", "quick")]
            done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in late:
                task.cancel()
            await asyncio.wait(late)
            return [task.result().json() for task in done], [task.cancelled() for task in late]

    live = record(path, lambda: asyncio.run(main()))
    assert live == ([{"path": "/quick"}], [True])
    assert endings(path) == {"slow": "unanswered", "quick": "complete"}
    held.set()
    provider.stop()
    assert replay(path, lambda: asyncio.run(main())) == live


@MODULES
def test_a_timeout_of_the_caller_replays(provider, held, path, module):
    async def main():
        async with module.AsyncClient() as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.get(f"{provider.url}/slow"), 0.3)

    record(path, lambda: asyncio.run(main()))
    [interaction] = storage.read(path).interactions
    [wait] = interaction.response.chunks.gaps
    assert 250 <= wait < 3000
    held.set()
    provider.stop()
    replay(path, lambda: asyncio.run(main()))


@pytest.mark.usefixtures("held")
def test_a_caller_that_waits_longer_gets_a_miss(provider, path, monkeypatch):
    async def give_up():
        async with httpx.AsyncClient() as client:
            task = asyncio.create_task(client.get(f"{provider.url}/slow"))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task])

    async def wait():
        async with httpx.AsyncClient() as client:
            await client.get(f"{provider.url}/slow")

    record(path, lambda: asyncio.run(give_up()))
    monkeypatch.setattr(abandoned, "_GRACE_SECONDS", 0.1)
    with activate(Tape(path)) as tape, pytest.raises(CassetteMiss) as missed:
        asyncio.run(wait())
    assert str(missed.value) == (
        "no response was recorded for this request, because its caller stopped waiting during the recording; "
        "this time the caller waited longer\n"
        "  to record a response: use_cassette(..., mode='record')"
    )
    assert tape.violations == [missed.value]


def test_a_connection_closed_before_the_response_replays_as_closed(provider, held, path):
    def use():
        connection = http.client.HTTPConnection("127.0.0.1", int(provider.url.rpartition(":")[2]))
        connection.request("GET", "/slow")
        connection.close()

    record(path, use)
    assert endings(path) == {"slow": "unanswered"}
    assert path.read_text().startswith(f"# 1 · GET {provider.url}/slow · no answer\n")
    held.set()
    provider.stop()
    replay(path, use)


@pytest.mark.parametrize(
    ("get", "error"),
    [
        (lambda url: httpx.get(url), httpx.RemoteProtocolError),
        (lambda url: httpx2.get(url), httpx2.RemoteProtocolError),
        (lambda url: requests.get(url, timeout=5), requests.exceptions.ConnectionError),
    ],
)
def test_a_request_open_when_the_tape_closes_is_unanswered(provider, held, path, get, error):
    def send():
        with contextlib.suppress(Exception):
            get(f"{provider.url}/slow")

    with activate(Tape(path, mode="record")) as tape:
        thread = threading.Thread(target=send)
        thread.start()
        while not provider.requests:
            thread.join(0.01)
    assert tape.save().state == "written"
    held.set()
    thread.join()
    assert endings(path) == {"slow": "unanswered"}
    provider.stop()
    with activate(Tape(path)), pytest.raises(error):
        get(f"{provider.url}/slow")


@pytest.fixture
def paused_stream(provider):
    """An event; the provider streams one chunk, and the next one after the event is set."""
    held = threading.Event()

    def body():
        yield event("one")
        held.wait(10)
        yield event("two")
        yield DONE

    provider.reply = lambda _: ProviderAnswer(body(), headers=STREAM)
    provider.silence()
    yield held
    held.set()


class Enough(Exception):
    """The caller has read as much as it wanted."""


class StopsAfterFirstChunk(list):
    """Chunks of a caller that stops reading after the first one."""

    def append(self, chunk):
        super().append(chunk)
        raise Enough


@pytest.mark.parametrize("name", [name for name in ALL if name != "httplib2"])
def test_a_stream_that_the_caller_stops_reading_has_no_clean_end(provider, paused_stream, path, name):
    send, first = ALL[name], StopsAfterFirstChunk()

    def stop_early():
        with pytest.raises(Enough):
            send(provider.url, first)

    record(path, stop_early)
    assert first == [event("one")]
    assert path.read_text().startswith("# 1 · openai.chat.stream gpt-4o-mini · 0 calls · left early\n")
    assert "ending: left" in path.read_text()
    paused_stream.set()
    provider.stop()
    replay(path, stop_early)
    chunks = []
    with pytest.raises(Exception) as broken:  # noqa: PT011 - each client has its own
        replay(path, lambda: send(provider.url, chunks))
    assert chunks in ([event("one")], [])
    errors = {"requests": "ChunkedEncodingError", "urllib3": "ProtocolError", "urllib": "IncompleteRead"}
    errors["http.client"] = "IncompleteRead"
    assert type(broken.value).__name__ == errors.get(name, "RemoteProtocolError")


@pytest.mark.parametrize("name", [name for name in ALL if name != "httplib2"])
def test_a_stream_is_complete_if_the_caller_stops_reading_after_done(provider, path, name):
    held = threading.Event()

    def body():
        yield event("one")
        yield DONE
        held.wait(10)

    class StopsAfterDone(list):
        def append(self, chunk):
            super().append(chunk)
            if chunk == DONE:
                raise Enough

    def stop_early():
        with pytest.raises(Enough):
            ALL[name](provider.url, StopsAfterDone())

    provider.reply = lambda _: ProviderAnswer(body(), headers=STREAM)
    provider.silence()
    record(path, stop_early)
    held.set()
    provider.stop()
    chunks = []
    replay(path, lambda: ALL[name](provider.url, chunks))
    assert b"".join(chunks) == event("one") + DONE
    assert "ending" not in path.read_text()


@pytest.mark.parametrize("name", HTTPX)
def test_reading_past_the_recorded_end_explains_why(provider, paused_stream, path, name):
    def stop_early():
        with pytest.raises(Enough):
            HTTPX[name](provider.url, StopsAfterFirstChunk())

    record(path, stop_early)
    paused_stream.set()
    with pytest.raises((httpx.RemoteProtocolError, httpx2.RemoteProtocolError)) as broken:
        replay(path, lambda: HTTPX[name](provider.url, []))
    assert str(broken.value) == "the recorded response ends here: the recorded client stopped reading early"


def test_a_stream_that_was_never_closed_is_stored_as_far_as_it_arrived(provider, paused_stream, path):
    with requests.Session() as session:

        def use():
            response = session.get(provider.url, stream=True)
            return response, next(response.iter_content(None))

        response, first = record(path, use)
        assert first == event("one")
        [interaction] = storage.read(path).interactions
        assert interaction.response.body == event("one")
        assert interaction.response.ending == "left"
        paused_stream.set()
        response.close()
