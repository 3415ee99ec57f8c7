"""httpx, httpx2 and OpenAI's SDK record and replay requests on real sockets."""

import asyncio
import gzip
import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import httpx2
import openai
import pytest
from local_provider import DONE, STREAM, ConnectionCut, ProviderAnswer, event

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.exchange import Request
from multitrack.tape.file import storage
from multitrack.tape.tape import Tape

MODULES = pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
MODES = pytest.mark.parametrize("mode", ["sync", "async"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tape.yaml"


def record(path, use, **options):
    with activate(Tape(path, mode="record", **options)) as tape:
        result = use()
    assert tape.save().state == "written"
    return result


def replay(path, use, **options):
    with activate(Tape(path, **options)):
        return use()


def send(module, mode, method, url, **arguments):
    """Send one request, and return the status, the content type and the body of the response."""

    def summarize(response):
        kind = response.headers.get("content-type")
        # a cassette keeps a JSON document, but not its whitespace
        return response.status_code, kind, response.json() if kind == "application/json" else response.content

    if mode == "sync":
        with module.Client() as client:
            return summarize(client.request(method, url, **arguments))

    async def main():
        async with module.AsyncClient() as client:
            return summarize(await client.request(method, url, **arguments))

    return asyncio.run(main())


@MODULES
@MODES
@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "GET"},
        {"method": "POST", "json": {"a": [1, "é\u2028"]}},
        {"method": "PUT", "content": b"\x00\xff binary"},
        {"method": "POST", "data": {"a": "1", "b": "x y&z"}},
        {"method": "POST", "files": {"file": ("é.bin", b"\xff\x00", "application/octet-stream")}},
        {"method": "DELETE"},
    ],
    ids=["get", "json", "binary", "form", "files", "delete"],
)
def test_a_request_replays(provider, path, module, mode, arguments):
    def reply(request):
        kind = request.headers.get("content-type", "application/octet-stream")
        return ProviderAnswer(request.body or b"nothing", headers={"content-type": kind})

    provider.reply = reply

    def use():
        return send(module, mode, url=f"{provider.url}/a b?x=1&y=%2F", **arguments)

    live = record(path, use)
    assert live[0] == 200
    provider.stop()
    assert replay(path, use) == live
    assert len(provider.requests) == 1


@MODULES
def test_an_iterator_as_body_is_read_once_and_sent_whole(provider, path, module):
    def use():
        return send(module, "sync", "POST", provider.url, content=(part for part in [b"one ", b"two"]))

    provider.reply = lambda request: ProviderAnswer(request.body, headers={})
    assert record(path, use)[2] == b"one two"
    assert replay(path, use)[2] == b"one two"


@MODULES
@MODES
def test_encoded_bodies_and_headers_replay(provider, path, module, mode):
    text = "grüße ".encode() * 100
    provider.reply = lambda request: {
        "/gzip": ProviderAnswer(
            gzip.compress(text), headers={"content-encoding": "gzip", "content-type": "text/plain"}
        ),
        "/deflate": ProviderAnswer(zlib.compress(text), headers={"content-encoding": "deflate"}),
        "/name": ProviderAnswer(b"x", headers={"content-disposition": 'attachment; filename="gr\xfc\xdfe.txt"'}),
    }[request.path]

    def use():
        return [send(module, mode, "GET", provider.url + path) for path in ("/gzip", "/deflate", "/name")]

    live = record(path, use)
    assert [body for *_, body in live] == [text, text, b"x"]
    assert replay(path, use) == live
    text = path.read_text(encoding="utf-8")
    assert "content-encoding" not in text
    assert "grüße" in text


def test_a_body_that_cannot_be_decoded_replays_with_the_same_error(provider, path):
    provider.reply = lambda _: ProviderAnswer(b"no gzip", headers={"content-encoding": "gzip"})

    def use():
        with pytest.raises(httpx.DecodingError):
            httpx.get(provider.url)

    record(path, use)
    provider.stop()
    replay(path, use)


def test_a_request_in_an_unknown_encoding_is_matched_by_its_bytes(provider, path):
    def use(body=b"snap!"):
        return send(httpx, "sync", "POST", provider.url, content=body, headers={"content-encoding": "snappy"})

    provider.reply = lambda request: ProviderAnswer(request.body, headers={})
    assert record(path, use)[2] == b"snap!"
    assert replay(path, use)[2] == b"snap!"
    with pytest.raises(CassetteMiss):
        replay(path, lambda: use(b"snip!"))


def test_a_compressed_request_is_matched_by_its_content(provider, path):
    provider.reply = lambda _: ProviderAnswer(b"{}")

    def use(level):
        content = gzip.compress(b'{"a": 1}', compresslevel=level, mtime=level)
        return send(httpx, "sync", "POST", provider.url, content=content, headers={"content-encoding": "gzip"})[0]

    assert record(path, lambda: use(1)) == 200
    assert json.loads(storage.read(path).interactions[0].request.body) == {"a": 1}
    assert replay(path, lambda: use(9)) == 200


@MODULES
@MODES
def test_in_process_transports_are_not_intercepted(path, module, mode):
    transport = module.MockTransport(lambda _: module.Response(200, text="in process"))

    def sync():
        with module.Client(transport=transport) as client:
            return client.get("https://example.com").text

    async def asynchronous():
        async with module.AsyncClient(transport=transport) as client:
            return (await client.get("https://example.com")).text

    with activate(Tape(path)) as tape:
        assert (sync() if mode == "sync" else asyncio.run(asynchronous())) == "in process"
    assert tape.sent == []


@MODULES
def test_a_wrapping_transport_runs_above_the_tape(provider, path, module):
    class Wrapping(module.BaseTransport):
        def __init__(self):
            self.inner = module.HTTPTransport()
            self.count = 0

        def handle_request(self, request):
            self.count += 1
            return self.inner.handle_request(request)

        def close(self):
            self.inner.close()

    def use():
        wrapping = Wrapping()
        with module.Client(transport=wrapping) as client:
            return client.get(provider.url).json(), wrapping.count

    assert record(path, use) == replay(path, use) == ({"path": "/"}, 1)


def stream(mode, url, on_text):
    """Stream a chat completion, and call ``on_text`` with each piece of text when it arrives."""
    parameters = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    if mode == "sync":
        with openai.OpenAI(base_url=url, api_key="test") as client:
            for chunk in client.chat.completions.create(**parameters):
                on_text(chunk.choices[0].delta.content)
        return

    async def main():
        async with openai.AsyncOpenAI(base_url=url, api_key="test") as client:
            async for chunk in await client.chat.completions.create(**parameters):
                on_text(chunk.choices[0].delta.content)

    asyncio.run(main())


@MODES
def test_the_first_event_arrives_while_the_rest_is_held_back(provider, path, mode):
    arrived = threading.Event()
    in_time = []

    def body():
        yield event("one")
        in_time.append(arrived.wait(5))
        yield event("two")
        yield DONE

    provider.reply = lambda _: ProviderAnswer(body(), headers=STREAM)
    texts = []

    def on_text(text):
        texts.append(text)
        arrived.set()

    record(path, lambda: stream(mode, provider.url, on_text))
    assert in_time == [True]
    provider.stop()
    replay(path, lambda: stream(mode, provider.url, texts.append))
    assert texts == ["one", "two"] * 2
    # the SDK closes the response right after [DONE], without reading the rest
    assert "ending:" not in path.read_text()


def test_a_compressed_stream_is_complete_if_the_caller_stops_reading_after_done(provider, path):
    zipper = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    parts = [zipper.compress(part) + zipper.flush(zlib.Z_SYNC_FLUSH) for part in (event("one"), DONE)]
    has_stopped = threading.Event()

    def body():
        yield from parts
        has_stopped.wait(5)
        yield zipper.flush()

    provider.reply = lambda _: ProviderAnswer(body(), headers={**STREAM, "content-encoding": "gzip"})
    texts = []
    record(path, lambda: stream("sync", provider.url, texts.append))
    has_stopped.set()
    replay(path, lambda: stream("sync", provider.url, texts.append))
    assert texts == ["one"] * 2
    assert "ending:" not in path.read_text()


@MODULES
@MODES
def test_a_broken_stream_replays_as_broken(provider, path, module, mode):
    def body():
        yield event("one")
        yield event("two")[:20]
        raise ConnectionCut

    provider.reply = lambda _: ProviderAnswer(body(), headers=STREAM)

    def use():
        received = []

        def sync():
            with module.Client() as client, client.stream("GET", provider.url) as response:
                received.extend(response.iter_bytes())

        async def asynchronous():
            async with module.AsyncClient() as client, client.stream("GET", provider.url) as response:
                async for chunk in response.aiter_bytes():
                    received.append(chunk)  # noqa: PERF401 - the chunks before the cut are compared

        with pytest.raises(module.RemoteProtocolError):
            sync() if mode == "sync" else asyncio.run(asynchronous())
        return b"".join(received)

    assert record(path, use) == event("one") + event("two")[:20]
    assert "ending: broken" in path.read_text()
    provider.stop()
    assert replay(path, use) == event("one") + event("two")[:20]


@MODULES
@MODES
@pytest.mark.parametrize("how", ["break", "cancel"])
def test_a_stream_that_the_caller_stops_reading_is_recorded_as_left(provider, path, module, mode, how):
    if (mode, how) == ("sync", "cancel"):
        pytest.skip("only tasks are cancelled")
    held = threading.Event()

    def body():
        yield event("one")
        held.wait(5)
        yield event("two")

    provider.reply = lambda _: ProviderAnswer(body(), headers=STREAM)

    def sync():
        with module.Client() as client, client.stream("GET", provider.url) as response:
            return next(response.iter_bytes())

    async def asynchronous():
        async with module.AsyncClient() as client, client.stream("GET", provider.url) as response:
            first = asyncio.get_running_loop().create_future()

            async def read():
                async for chunk in response.aiter_bytes():
                    if how == "break":
                        break
                    first.set_result(chunk)
                return chunk

            if how == "break":
                return await read()
            task = asyncio.create_task(read())
            chunk = await first
            task.cancel()
            await asyncio.wait([task])
            return chunk

    def use():
        return sync() if mode == "sync" else asyncio.run(asynchronous())

    assert record(path, use) == event("one")
    held.set()
    assert "ending: left" in path.read_text()
    if how == "break":
        assert replay(path, use) == event("one")


def test_an_unfinished_stream_is_recorded_as_left(provider, path):
    held = threading.Event()

    def body():
        yield event("one")
        held.wait(5)

    provider.reply = lambda _: ProviderAnswer(body(), headers=STREAM)
    with httpx.Client() as client:

        def use():
            response = client.send(client.build_request("GET", provider.url), stream=True)
            return response, next(response.iter_bytes())

        response, first = record(path, use)
        held.set()
        response.close()
    assert first == event("one")
    assert "ending: left" in path.read_text()


@pytest.mark.parametrize("separator", ["\n\n", "\r\n\r\n"])
def test_events_replay_one_by_one(provider, path, separator):
    body = "".join(f"data: {number}{separator}" for number in range(3)).encode()
    provider.reply = lambda _: ProviderAnswer(body, headers=STREAM)

    def use():
        with httpx.stream("GET", provider.url) as response:
            return list(response.iter_raw())

    record(path, use)
    assert replay(path, use) == [f"data: {number}{separator}".encode() for number in range(3)]


def put(tape, url, name, number):
    request = Request("POST", f"{url}/", (("content-type", "application/json"),), b"[%d,%d]" % (name, number % 50))
    recording = tape.route(request)
    recording.record_head(200, "OK", (("content-type", "application/json"),))
    recording.record_chunk(b"[%d,%d]" % (name, number))
    recording.record_end()


def test_eight_threads_receive_their_own_responses(provider, path):
    count, names = 200, range(8)
    tape = Tape(path, mode="record")
    for name in names:
        for number in range(count):
            put(tape, provider.url, name, number)
    assert tape.save().count == 8 * count
    provider.stop()

    def ask(client, name):
        return [client.post(provider.url, json=[name, number % 50]).json() for number in range(count)]

    with activate(Tape(path)) as tape, httpx.Client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda name: ask(client, name), names))
    # equal requests replay in the order they were recorded
    assert answers == [[[name, number] for number in range(count)] for name in names]
    assert len(tape.played) == len(tape.sent) == 8 * count
    assert tape.violations == []


def test_eight_threads_record_their_own_requests(provider, path):
    def ask(client, name):
        return [client.post(provider.url, json=[name, number]).json() for number in range(25)]

    def use():
        with httpx.Client() as client, ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda name: ask(client, name), range(8)))

    expected = [[[name, number] for number in range(25)] for name in range(8)]
    assert record(path, use) == expected
    provider.stop()
    assert replay(path, use) == expected


def test_the_innermost_tape_receives_the_request(provider, tmp_path):
    with activate(Tape(tmp_path / "a", mode="record")) as outer, httpx.Client() as client:
        client.get(provider.url + "/1")
        with activate(Tape(tmp_path / "b", mode="record")) as inner:
            client.get(provider.url + "/2")
        client.get(provider.url + "/3")
    assert [sent.url.rpartition("/")[2] for sent in outer.sent] == ["1", "3"]
    assert [sent.url.rpartition("/")[2] for sent in inner.sent] == ["2"]
    assert httpx.get(provider.url).status_code == 200
    assert len(provider.requests) == 4


def test_an_existing_client_works_live_after_the_tape_is_closed(provider, path):
    with httpx.Client() as client:
        before = client.get(provider.url).json()
        with activate(Tape(path)) as tape, tape.expect_misses() as misses:
            client.get(provider.url)
        assert len(misses) == 1
        assert client.get(provider.url).json() == before
    assert len(provider.requests) == 2
