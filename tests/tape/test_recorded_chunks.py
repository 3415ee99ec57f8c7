"""A stream replays with the recorded chunks, which are stored briefly, and at the requested pace."""

import asyncio
import json
import time
import zlib
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import openai
import pytest
import requests
import yaml
from local_provider import DONE, STREAM, ProviderAnswer, event
from recorded_tape import request
from senders import HTTPX, STREAMING, by_requests, by_urllib, by_urllib3
from urllib3.util import Retry

from multitrack.errors import BadOption, CassetteCorrupt
from multitrack.tape.active import activate
from multitrack.tape.file import storage
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape
from multitrack.tape.use_cassette import use_cassette

SENDERS = pytest.mark.parametrize("send", STREAMING.values(), ids=STREAMING)
TEXT = {"content-type": "text/plain; charset=utf-8"}
LINES = {"content-type": "application/x-ndjson"}
BODIES = {
    "events": (STREAM, [b"data: a\n\n", b"data: b\r\n\r\n", DONE]),
    "joined": (STREAM, [b"data: a\n\ndata: b\n\n", b"data: c\n\n", b"data: d\n\n" + DONE]),
    "cut": (STREAM, [b"data: gr\xc3", b"\xbc\xc3\x9fe\n", b"\ndata: b", b"\n\n", DONE]),
    "crlf": (STREAM, [b"data: a\r\n\r\ndata: b\r\n", b"\r\ndata:\r\n\r", b"\n"]),
    "comments": (STREAM, [b": keep-alive\n\n", b"event: x\ndata: a\ndata: b\n\n", b":\n\n"]),
    "unfinished": (STREAM, [b"data: a\n\n", b"data: b"]),
    "large": (STREAM, [b"data: " + b"x" * 20_000 + b"\n\n", b"data: " + b"y" * 20_000, b"\n\n"]),
    "text": (TEXT, [b"one ", b"two\n\n", b"thr\xc3", b"\xa9e"]),
    "binary": ({}, [b"\x00\xff" * 10, b"\n\n", b"\x80"]),
    "lines": (LINES, [b'{"a": 1}\n', b'{"b": 2}\n{"c"', b": 3}\n"]),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tape.yaml"


def read(send, url):
    received = []
    send(url, received)
    return received


def record(path, use, **options):
    with activate(Tape(path, mode="record", test="t.py::test", **options)) as tape:
        result = use()
    assert tape.save().state == "written"
    return result


def replay(path, use, **options):
    with activate(Tape(path, settings=Settings(**options))):
        return use()


# a clock that returns a constant measures no gaps, however busy the machine is
CONSTANT_TIME = datetime(2026, 1, 2, tzinfo=UTC)


def load_chunks(path):
    """Return the ``chunks`` of the only response in the cassette at ``path``."""
    [interaction] = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    return interaction["response"].get("chunks")


@SENDERS
@pytest.mark.parametrize("body", BODIES)
def test_replayed_chunks_equal_the_recorded_ones(provider, path, send, body):
    headers, chunks = BODIES[body]
    provider.reply = lambda _: ProviderAnswer(iter(chunks), headers=headers)
    live = record(path, lambda: read(send, provider.url))
    assert b"".join(live) == b"".join(chunks)
    provider.stop()
    replayed = replay(path, lambda: read(send, provider.url))
    if body == "large" and send in (by_urllib3, by_urllib):
        # these clients return the content of their buffer
        assert b"".join(replayed) == b"".join(chunks)
    else:
        assert live == replayed == chunks


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("events", None),
        ("comments", None),
        ("unfinished", None),
        ("joined", "{joined: [1, 4]}"),
        ("cut", "{joined: [1], cut: [1+9, 1+14, 2+7]}"),
        ("crlf", "{joined: [1, 2], cut: [2+9, 3+8]}"),
        ("lines", "{joined: [2], cut: [3+4]}"),
        ("text", "{cut: [1+4, 1+9, 1+13]}"),
    ],
)
def test_a_cassette_only_stores_chunks_that_differ_from_events(provider, path, body, line):
    headers, chunks = BODIES[body]
    provider.reply = lambda _: ProviderAnswer(iter(chunks), headers=headers)
    record(path, lambda: read(HTTPX["httpx"], provider.url), clock=lambda: CONSTANT_TIME)
    lines = [text.strip() for text in path.read_text(encoding="utf-8").splitlines() if "chunks:" in text]
    assert lines == ([f"chunks: {line}"] if line else [])


@SENDERS
@pytest.mark.parametrize("content_type", ["text/event-stream", "text/plain"])
def test_a_body_with_a_content_length_has_no_chunks(provider, path, send, content_type):
    provider.reply = lambda _: ProviderAnswer(b"x" * 100_000, headers={"content-type": content_type})
    record(path, lambda: read(send, provider.url))
    assert load_chunks(path) is None
    assert replay(path, lambda: b"".join(read(send, provider.url))) == b"x" * 100_000


@pytest.mark.parametrize("send", HTTPX.values(), ids=HTTPX)
def test_compressed_chunks_replay_decompressed(provider, path, send):
    zipper = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    chunks = [b"data: a\n\n", b"data: b", b"\n\n"]
    packed = [zipper.compress(chunk) + zipper.flush(zlib.Z_SYNC_FLUSH) for chunk in chunks] + [zipper.flush()]
    provider.reply = lambda _: ProviderAnswer(iter(packed), headers={**STREAM, "content-encoding": "gzip"})
    assert [chunk for chunk in record(path, lambda: read(send, provider.url)) if chunk] == chunks
    assert replay(path, lambda: read(send, provider.url)) == chunks


@pytest.mark.parametrize("send", [*HTTPX.values(), by_requests, by_urllib3])
def test_a_body_with_a_wrong_encoding_replays_with_the_same_error(provider, path, send):
    provider.reply = lambda _: ProviderAnswer(b"no gzip", headers={"content-encoding": "gzip"})

    def error():
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each client has its own
            read(send, provider.url)
        return caught.type, str(caught.value)

    live = record(path, error)
    assert "decod" in live[1].lower() or "Error -3" in live[1]
    assert replay(path, error) == live


@SENDERS
def test_the_items_of_a_json_array_replay_one_by_one(provider, path, send):
    chunks = [b'[{"n": 1}', b',\r\n{"n": [2]}\n,\r\n', b'{"n": "}3,"}', b"\n]"]
    provider.reply = lambda _: ProviderAnswer(iter(chunks))
    assert record(path, lambda: read(send, provider.url), clock=lambda: CONSTANT_TIME) == chunks
    assert load_chunks(path) == {"by": "item"}
    found = replay(path, lambda: read(send, provider.url))
    assert b"".join(found) == b"".join(chunks)
    assert [b'"n"' in chunk for chunk in found] == [True] * 3
    assert b"3" in found[2]


def test_a_json_document_replays_as_one_chunk(provider, path):
    provider.reply = lambda _: ProviderAnswer(iter([b'{"a": [1,', b"2,3", b"]}"]))
    record(path, lambda: read(HTTPX["httpx"], provider.url))
    assert load_chunks(path) is None
    assert [json.loads(chunk) for chunk in replay(path, lambda: read(HTTPX["httpx"], provider.url))] == [
        {"a": [1, 2, 3]}
    ]


def delayed(*chunks, gap=0.12):
    for chunk in chunks:
        time.sleep(gap)
        yield chunk


@SENDERS
def test_gaps_are_stored_and_replayed_on_request(provider, path, send):
    chunks = [b"data: a\n\n", b"data: b\n\n", DONE]
    provider.reply = lambda _: ProviderAnswer(delayed(*chunks), headers=STREAM)
    record(path, lambda: read(send, provider.url))
    gaps = load_chunks(path)["gaps_ms"]
    assert len(gaps) == 3
    assert all(gap >= 100 and gap % 10 == 0 for gap in gaps)

    def timed():
        start = time.monotonic()
        received = []
        send(provider.url, received)
        return received, time.monotonic() - start

    provider.stop()
    assert replay(path, timed)[0] == chunks
    assert replay(path, timed)[1] < 0.25
    replayed, seconds = replay(path, timed, pace="recorded")
    assert replayed == chunks
    assert seconds >= sum(gaps) / 1000


def test_paced_chunks_replay_one_by_one_and_let_other_tasks_run(provider, path):
    provider.reply = lambda _: ProviderAnswer(delayed(b"data: a\n\n", b"data: b\n\n", gap=0.2), headers=STREAM)
    ticks = []

    async def ask():
        async with httpx.AsyncClient() as client, client.stream("GET", provider.url) as answer:
            return [len(ticks) async for _ in answer.aiter_bytes()]

    async def main():
        ticking = asyncio.create_task(tick())
        before = await ask()
        ticking.cancel()
        return before

    async def tick():
        while True:
            ticks.append(await asyncio.sleep(0.02))

    record(path, lambda: asyncio.run(ask()))
    first, second = replay(path, lambda: asyncio.run(main()), pace="recorded")
    assert second - first >= 3


class SteppingClock:
    """A clock that advances by the next of ``steps``, in milliseconds, whenever it is read."""

    def __init__(self, *steps):
        self._time = datetime(2026, 1, 2, tzinfo=UTC)
        self._steps = iter([*steps, *[0] * 99])

    def __call__(self):
        self._time += timedelta(milliseconds=next(self._steps, 0))
        return self._time


def put(path, body, *steps, kind="text/event-stream", query=""):
    """Record ``body``, a list of chunks that arrive ``steps`` milliseconds apart."""
    tape = Tape(path, mode="record", test="t.py::test", clock=SteppingClock(0, *steps))
    recording = tape.route(request(query))
    recording.record_head(200, "OK", (("content-type", kind),))
    for chunk in body:
        recording.record_chunk(chunk)
    recording.record_end()
    tape.save()
    return load_chunks(path)


def test_gaps_are_rounded_so_that_they_add_up(path):
    events = [b"data: %d\n\n" % number for number in range(6)]
    assert put(path, events, 4, 4, 4, 4, 4, 4) == {"gaps_ms": [0, 10, 0, 10, 0, 0]}
    assert put(path, events, 1, 0, 1, 0, 1, 0)


@pytest.mark.parametrize(
    ("milliseconds", "stored"), [(490, None), (500, {"gaps_ms": [500]}), (1234, {"gaps_ms": [1230]})]
)
def test_the_wait_for_a_response_that_arrives_at_once_is_stored_if_it_is_long(path, milliseconds, stored):
    body = b'{"object":"chat.completion","choices":[]}'
    assert put(path, [body], milliseconds, kind="application/json") == stored


def words(identity, *texts):
    """Return the events of a response with the id ``identity``."""
    events = [event(text).replace(b"chatcmpl-1", identity) for text in texts]
    return [*events, DONE]


def test_chunks_are_unchanged_if_the_response_says_the_same(path):
    before = put(path, words(b"chatcmpl-1", "a", "b"), 500, 20, 30)
    assert before == {"gaps_ms": [500, 20, 30]}
    # a different id, different times and even different chunks
    [first, *rest] = words(b"chatcmpl-2", "a", "b")
    assert put(path, [first, b"".join(rest)], 900, 80) == before
    assert "chatcmpl-2" in path.read_text()
    # a different response has its own times
    assert put(path, words(b"chatcmpl-3", "a", "c"), 700, 40, 10) == {"gaps_ms": [700, 40, 10]}
    assert put(path, words(b"chatcmpl-3", "a", "c", "d"), 600, 40, 10, 20) == {"gaps_ms": [600, 40, 10, 20]}


def test_chunks_are_unchanged_for_an_unknown_wire_format(path):
    text = [b"one ", b"two"]
    before = put(path, text, 100, 30, kind="text/plain")
    assert before == {"cut": ["1+4"], "gaps_ms": [100, 30]}
    assert put(path, [b"one two"], 700, kind="text/plain") == before
    assert put(path, [b"one ", b"2"], 80, 20, kind="text/plain") == {"cut": ["1+4"], "gaps_ms": [80, 20]}


def test_different_responses_to_equal_requests_keep_their_chunks(path):
    def both(*steps):
        tape = Tape(path, mode="record", test="t.py::test", clock=SteppingClock(0, 0, *steps))
        for recording, text in [(tape.route(request()), name) for name in ("a", "b")]:
            recording.record_head(200, "OK", (("content-type", "text/event-stream"),))
            for chunk in words(b"chatcmpl-1", text):
                recording.record_chunk(chunk)
        for _ in "ab":
            tape.save()
        return [each.response.chunks.gaps for each in storage.read(path).interactions]

    before = both(100, 10, 200, 20)
    assert before == [(100, 10), (310, 20)]
    assert both(50, 50, 50, 50) == before


def test_redacting_a_secret_moves_the_offsets_after_it(path, monkeypatch):
    key = "sk-proj-0123456789abcdefghij"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    chunks = [f"data: key {key} a".encode(), b"nd more\n\ndata: n", b"ext\n\n"]
    assert put(path, chunks) == {"joined": [1], "cut": ["1+24", "2+7"]}
    [interaction] = storage.read(path).interactions
    found = [chunk for _, chunk in Tape(path).route(request()).chunks()]
    assert found == [b"data: key __redacted__ a", b"nd more\n\ndata: n", b"ext\n\n"]
    assert key not in path.read_text()
    assert interaction.response.body == b"".join(found)


@pytest.mark.parametrize(
    "written",
    ["[]", "{by: word}", "{cut: [1]}", "{cut: [a+1]}", "{cut: 5}", "{joined: [x]}", "{gaps_ms: 5}", "{gaps_ms: [x]}"],
)
def test_a_damaged_chunks_line_is_reported(path, written):
    put(path, [b"data: a", b"\n\n"])
    path.write_text(path.read_text().replace("chunks: {cut: [1+7]}", f"chunks: {written}"))
    with pytest.raises(CassetteCorrupt, match="interaction 1: "):
        Tape(path)


def test_chunks_that_do_not_fit_an_edited_body_are_ignored(path):
    put(path, [b"data: a", b"\n\ndata: b\n\n"], 10, 10)
    path.write_text(path.read_text().replace("data: a\n\n        data: b\n", "data: c\n"))
    assert b"".join(chunk for _, chunk in Tape(path).route(request()).chunks()).strip() == b"data: c"


ANSWER = b'{"object": "list", "data": []}'


def reply_in_order(*responses):
    numbers = count()
    return lambda _: responses[next(numbers)]


@pytest.mark.parametrize(("status", "mode"), [(429, "sync"), (429, "async"), (503, "sync")])
def test_a_retry_does_not_wait_on_replay(provider, path, status, mode):
    bad = ProviderAnswer(b"{}", status, {"retry-after": "1", "content-type": "application/json"})
    provider.reply = reply_in_order(bad, ProviderAnswer(ANSWER))

    def ask():
        start = time.monotonic()
        if mode == "sync":
            with openai.OpenAI(base_url=provider.url, api_key="test", max_retries=1) as client:
                client.models.list()
        else:

            async def main():
                async with openai.AsyncOpenAI(base_url=provider.url, api_key="test", max_retries=1) as client:
                    await client.models.list()

            asyncio.run(main())
        return time.monotonic() - start

    assert record(path, ask) >= 1
    assert replay(path, ask) < 0.7
    assert [each.response.header("retry-after") for each in storage.read(path).interactions] == ["1", None]
    assert "retry-after-ms" not in path.read_text()
    assert replay(path, ask, pace="recorded") >= 1


@pytest.mark.parametrize(
    ("status", "sent", "instant"),
    [
        (408, {}, {"retry-after-ms": "1"}),
        (409, {}, {"retry-after-ms": "1"}),
        (429, {}, {"retry-after-ms": "1"}),
        (500, {}, {"retry-after-ms": "1"}),
        (429, {"retry-after": "20"}, {"retry-after": "0", "retry-after-ms": "1"}),
        (503, {"retry-after-ms": "900"}, {"retry-after-ms": "1"}),
        (503, {"retry-after-ms": "900", "x-should-retry": "false"}, None),
        (400, {"x-should-retry": "true"}, {"x-should-retry": "true", "retry-after-ms": "1"}),
        (400, {"retry-after": "20"}, None),
        (302, {"retry-after": "20"}, None),
        (200, {}, None),
    ],
)
def test_retry_headers_of_a_replayed_response(provider, path, status, sent, instant):
    provider.reply = lambda _: ProviderAnswer(b"{}", status, sent)

    def ask():
        found = httpx.get(provider.url).headers
        return {name: found[name] for name in ("retry-after", "retry-after-ms", "x-should-retry") if name in found}

    with use_cassette(path, mode="record", keep_errors=True):
        assert ask() == sent
    assert replay(path, ask) == (sent if instant is None else instant)
    assert replay(path, ask, pace="recorded") == sent
    with use_cassette(path) as tape:
        ask()
    assert dict(tape.played[0].response.headers) == sent


def test_urllib3_retries_without_waiting(provider, path):
    provider.reply = reply_in_order(ProviderAnswer(b"", 429, {"retry-after": "1"}), ProviderAnswer(b"at last"))

    def ask():
        start = time.monotonic()
        with requests.Session() as session:
            retry = Retry(2, status_forcelist=[429], backoff_factor=0)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
            return session.get(provider.url).text, time.monotonic() - start

    text, seconds = record(path, ask)
    assert text == "at last"
    assert seconds >= 1
    text, seconds = replay(path, ask)
    assert text == "at last"
    assert seconds < 0.7


def test_an_unknown_pace_is_refused(path):
    with pytest.raises(BadOption) as refused:
        use_cassette(path, pace="slow")
    assert str(refused.value) == "use_cassette: pace must be one of instant, recorded, not 'slow'"
    with pytest.raises(BadOption, match="use_cassette: pace must be a string, not 2"):
        use_cassette(path, pace=2)
