"""A stream stays a stream: while it is recorded, and when it is replayed."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import zlib

import aiohttp
import pytest
from aiohttp import http_parser
from aiohttp_wire import EVENTS, VERSION, chunk, plain

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=["extension", "python"], autouse=True)
def parser(request, monkeypatch):
    """As AIOHTTP_NO_EXTENSIONS=1 has it."""
    if request.param == "python":
        monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", http_parser.HttpResponseParserPy)


@pytest.fixture
def held(wire):
    """A server that sends each event when `seen` was released for the one before; and that semaphore."""
    seen = threading.Semaphore(0)

    def script(talk, *_):
        talk.send(STREAM)
        for event in EVENTS:
            talk.send(chunk(event))
            if not seen.acquire(timeout=5):
                return False
        talk.send(b"0\r\n\r\n")
        return True

    server = wire(script)
    yield server, seen
    seen.release(99)


async def by_iter_any(content):
    async for part in content.iter_any():
        yield part


async def by_readany(content):
    while part := await content.readany():
        yield part


async def by_iter_chunks(content):
    event = b""
    async for part, ends in content.iter_chunks():
        event += part
        if ends and event:
            yield event
            event = b""


async def by_iter_chunked(content):
    async for part in content.iter_chunked(1000):
        yield part


async def by_read(content):
    while part := await content.read(1000):
        yield part


async def by_lines(content):
    event = b""
    async for line in content:
        event += line
        if not line.strip():
            yield event
            event = b""


async def by_readline(content):
    event = b""
    while not content.at_eof():
        event += (line := await content.readline())
        if line and not line.strip():
            yield event
            event = b""


async def by_readexactly(content):
    for event in EVENTS:
        yield await content.readexactly(len(event))
    with pytest.raises(asyncio.IncompleteReadError):
        await content.readexactly(1)


READERS = [by_iter_any, by_readany, by_iter_chunks, by_iter_chunked, by_read, by_lines, by_readline, by_readexactly]


@pytest.mark.parametrize("read", READERS)
def test_each_part_reaches_the_caller_while_the_server_holds_the_rest(tape_runner, held, read):
    server, seen = held

    async def use():
        parts = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            assert response.content is response.content
            async for part in read(response.content):
                parts.append(part)
                seen.release()
        return parts

    assert tape_runner.record(use) == EVENTS
    server.stop()
    assert tape_runner.replay(use) == EVENTS


def test_a_caller_who_is_slow_gets_the_same_parts(tape_runner, held):
    server, seen = held

    async def use():
        parts = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for part in response.content.iter_any():
                parts.append(part)
                seen.release()
                await asyncio.sleep(0.02)
        return parts

    assert tape_runner.record(use) == EVENTS
    assert tape_runner.replay(use) == EVENTS


def test_chunks_that_are_no_events_come_again(tape_runner, wire):
    told = threading.Semaphore(0)
    parts = [b"data: o", b"ne\n\ndata: two\n\n", b"data: \xc3", b"\xa9\n\n"]

    def script(talk, *_):
        talk.send(STREAM)
        for part in parts:
            talk.send(chunk(part))
            told.acquire(timeout=5)
        talk.send(b"0\r\n\r\n")

    server = wire(script)

    async def use():
        found = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for part in response.content.iter_any():
                found.append(part)
                told.release()
        return found

    assert tape_runner.record(use) == parts
    assert tape_runner.replay(use) == parts


def test_the_recorded_pace(tape_runner, wire):
    def script(talk, *_):
        talk.send(STREAM)
        for event in EVENTS[:2]:
            threading.Event().wait(0.15)
            talk.send(chunk(event))
        talk.send(b"0\r\n\r\n")

    server = wire(script)

    async def use():
        times = []
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for _ in response.content.iter_any():
                times.append(loop.time() - start)  # noqa: PERF401 - the times at which they came
        return times

    def is_slow(times):
        return 0.1 < times[0] < times[1] - 0.1

    assert is_slow(tape_runner.record(use))
    assert tape_runner.replay(use)[-1] < 0.1
    assert is_slow(tape_runner.replay(use, pace="recorded"))


@pytest.mark.parametrize(
    ("encoding", "compressor"),
    [("gzip", lambda: zlib.compressobj(wbits=31)), ("deflate", zlib.compressobj)],
)
def test_a_compressed_stream(tape_runner, wire, encoding, compressor):
    def script(talk, *_):
        packed = compressor()
        talk.send(STREAM.replace(b"\r\n\r\n", b"\r\ncontent-encoding: %b\r\n\r\n" % encoding.encode()))
        for event in EVENTS:
            talk.send(chunk(packed.compress(event) + packed.flush(zlib.Z_SYNC_FLUSH)))
            told.acquire(timeout=5)
        talk.send(chunk(packed.flush()) + b"0\r\n\r\n")

    told = threading.Semaphore(0)
    server = wire(script)

    async def use():
        found = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for part in response.content.iter_any():
                found.append(part)
                told.release()
        return found

    assert tape_runner.record(use) == EVENTS
    assert tape_runner.replay(use) == EVENTS


def test_waiting_for_the_end_without_reading(tape_runner, wire):
    server = wire(STREAM + b"".join(map(chunk, EVENTS)) + b"0\r\n\r\n")

    async def use():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            await asyncio.wait_for(response.content.wait_eof(), 5)
            assert response.connection is None
            return await response.read()

    assert tape_runner.record(use) == tape_runner.replay(use) == b"".join(EVENTS)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_body(tape_runner, wire, framing):
    body = bytes(range(256)) * (1 << 11)
    if framing == "length":
        server = wire(plain(body))
    else:
        parts = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        server = wire(head + b"".join(map(chunk, parts)) + b"0\r\n\r\n")

    async def use():
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url) as response:
                assert await response.read() == body
            async with session.get(server.url) as response:
                found = b""
                async for part in response.content.iter_chunked(50_000):
                    found += part
                    await asyncio.sleep(0)
        return found == body

    assert tape_runner.record(use)
    server.stop()
    assert tape_runner.replay(use)


@pytest.mark.parametrize("how", ["close", "release", "break", "cancel"])
def test_left_early(tape_runner, held, how):
    server, _ = held

    async def use():
        async with aiohttp.ClientSession() as session:
            response = await session.get(server.url)
            first = await response.content.readany()
            if how == "cancel":
                task = asyncio.create_task(response.content.readany())
                await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                response.close()
            elif how == "break":
                async with response:
                    pass
            else:
                getattr(response, how)()
            return first

    assert tape_runner.record(use) == EVENTS[0]
    [interaction] = tape_runner.interactions
    assert (interaction.response.ending, interaction.response.body) == ("left", EVENTS[0])
    server.stop()
    if how != "cancel":
        assert tape_runner.replay(use) == EVENTS[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_left_by_forgetting_it(tape_runner, held):
    """Which aiohttp warns of."""
    server, _ = held

    async def use():
        async with aiohttp.ClientSession() as session:
            return await (await session.get(server.url)).content.readany()

    assert tape_runner.record(use) == EVENTS[0]
    assert tape_runner.interactions[0].response.ending == "left"
    assert tape_runner.replay(use) == EVENTS[0]
    gc.collect()


def test_a_stream_that_is_left_after_done_is_complete(tape_runner, held):
    server, seen = held

    async def use():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for line in response.content:
                seen.release()
                if line == b"data: [DONE]\n":
                    return

    tape_runner.record(use)
    assert tape_runner.interactions[0].response.ending == "complete"


CUT = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
    "chunked": STREAM + chunk(b"only this"),
    "within a chunk": STREAM + b"14\r\nonly this",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
def test_what_was_cut_is_cut_again(tape_runner, wire, answer):
    server = wire(lambda talk, *_: talk.send(answer))

    async def use():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            found = await response.content.readany()
            with pytest.raises(aiohttp.ClientPayloadError, match="Response payload is not completed") as error:
                await response.content.readany()
            assert response.content.exception() is error.value
        # the tape does not say how long the body was to be
        return found, str(error.value).replace("of 100 bytes", "of 10 bytes")

    recorded = tape_runner.record(use)
    assert recorded[0] == b"only this"
    assert tape_runner.interactions[0].response.ending == "broken"
    server.stop()
    assert tape_runner.replay(use) == recorded


LIMITS = {
    "sock_read": (aiohttp.ServerTimeoutError, "Timeout on reading data from socket"),
    "total": (TimeoutError, "^$"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_timeout_in_the_middle(tape_runner, held, limit):
    server, seen = held
    kind, message = LIMITS[limit]

    async def use():
        timeout = aiohttp.ClientTimeout(**{limit: 0.2})
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(server.url) as response:
            first = await response.content.readany()
            with pytest.raises(kind, match=message):
                await response.content.readany()
        return first

    assert tape_runner.record(use) == EVENTS[0]
    assert tape_runner.interactions[0].response.ending == "broken"
    seen.release(9)
    server.stop()
    assert tape_runner.replay(use) == EVENTS[0]


def test_a_limit_on_reading_does_not_run_while_nothing_is_read(tape_runner, held):
    server, seen = held

    async def use():
        timeout = aiohttp.ClientTimeout(sock_read=0.05)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(server.url) as response:
            found = await response.content.readany()
            seen.release(9)
            await asyncio.sleep(0.1)
            async for part in response.content.iter_any():
                found += part
        return found

    assert tape_runner.record(use) == tape_runner.replay(use) == b"".join(EVENTS)


@pytest.mark.skipif(VERSION < (3, 10), reason="this version waits for ever")
def test_a_session_that_is_closed_breaks_its_streams(tape_runner, held):
    server, seen = held

    async def use():
        async with aiohttp.ClientSession() as session:
            response = await session.get(server.url)
            first = await response.content.readany()
        with pytest.raises((aiohttp.ClientError, RuntimeError)) as error:
            await response.content.readany()
        response.close()
        return first, error.type

    recorded = tape_runner.record(use)
    seen.release(9)
    assert tape_runner.replay(use) == recorded


def test_a_body_that_is_no_such_data_is_the_same_error_again(tape_runner, wire):
    server = wire(plain(b"no gzip", b"content-encoding: gzip"))

    async def use():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            with pytest.raises(aiohttp.ClientPayloadError, match="Can not decode content-encoding: gzip"):
                await response.read()

    tape_runner.record(use)
    server.stop()
    tape_runner.replay(use)


def test_a_caller_who_takes_the_coded_body_gets_the_decoded_one(tape_runner, wire):
    """The tape holds no coding to be taken."""
    packed = gzip.compress(b"squeezed")
    server = wire(plain(packed, b"content-encoding: gzip"))

    async def use():
        async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(server.url) as response:
            return await response.read(), response.headers.get("content-encoding")

    assert tape_runner.record(use) == (packed, "gzip")
    assert tape_runner.replay(use) == (b"squeezed", None)
