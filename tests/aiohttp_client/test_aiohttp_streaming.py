"""Responses are streamed, both while they are recorded and when they are replayed."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import zlib

import aiohttp
import pytest
from aiohttp import http_parser
from aiohttp_server import EVENTS, VERSION, encode_chunk, encode_response

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=["extension", "python"], autouse=True)
def parser(request, monkeypatch):
    """Both parsers; AIOHTTP_NO_EXTENSIONS=1 selects the Python one."""
    if request.param == "python":
        monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", http_parser.HttpResponseParserPy)


@pytest.fixture
def paused_stream(serve):
    """A server, and a semaphore: the server sends the next event when the semaphore is released."""
    received = threading.Semaphore(0)

    def script(connection, *_):
        connection.send(STREAM)
        for event in EVENTS:
            connection.send(encode_chunk(event))
            if not received.acquire(timeout=5):
                return False
        connection.send(b"0\r\n\r\n")
        return True

    server = serve(script)
    yield server, received
    received.release(99)


async def read_with_iter_any(content):
    async for part in content.iter_any():
        yield part


async def read_with_readany(content):
    while part := await content.readany():
        yield part


async def read_with_iter_chunks(content):
    event = b""
    async for part, ends in content.iter_chunks():
        event += part
        if ends and event:
            yield event
            event = b""


async def read_with_iter_chunked(content):
    async for part in content.iter_chunked(1000):
        yield part


async def read_with_read(content):
    while part := await content.read(1000):
        yield part


async def read_lines(content):
    event = b""
    async for line in content:
        event += line
        if not line.strip():
            yield event
            event = b""


async def read_with_readline(content):
    event = b""
    while not content.at_eof():
        event += (line := await content.readline())
        if line and not line.strip():
            yield event
            event = b""


async def read_with_readexactly(content):
    for event in EVENTS:
        yield await content.readexactly(len(event))
    with pytest.raises(asyncio.IncompleteReadError):
        await content.readexactly(1)


READERS = [
    read_with_iter_any,
    read_with_readany,
    read_with_iter_chunks,
    read_with_iter_chunked,
    read_with_read,
    read_lines,
    read_with_readline,
    read_with_readexactly,
]


@pytest.mark.parametrize("read", READERS)
def test_each_part_reaches_the_caller_before_the_next_is_sent(tape_runner, paused_stream, read):
    server, received = paused_stream

    async def send():
        parts = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            assert response.content is response.content
            async for part in read(response.content):
                parts.append(part)
                received.release()
        return parts

    assert tape_runner.record(send) == EVENTS
    server.stop()
    assert tape_runner.replay(send) == EVENTS


def test_a_slow_caller_receives_the_same_parts(tape_runner, paused_stream):
    server, received = paused_stream

    async def send():
        parts = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for part in response.content.iter_any():
                parts.append(part)
                received.release()
                await asyncio.sleep(0.02)
        return parts

    assert tape_runner.record(send) == EVENTS
    assert tape_runner.replay(send) == EVENTS


def test_chunks_that_are_not_events_are_replayed_unchanged(tape_runner, serve):
    received = threading.Semaphore(0)
    parts = [b"data: o", b"ne\n\ndata: two\n\n", b"data: \xc3", b"\xa9\n\n"]

    def script(connection, *_):
        connection.send(STREAM)
        for part in parts:
            connection.send(encode_chunk(part))
            received.acquire(timeout=5)
        connection.send(b"0\r\n\r\n")

    server = serve(script)

    async def send():
        found = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for part in response.content.iter_any():
                found.append(part)
                received.release()
        return found

    assert tape_runner.record(send) == parts
    assert tape_runner.replay(send) == parts


def test_a_stream_is_replayed_at_once_or_at_its_recorded_pace(tape_runner, serve):
    def script(connection, *_):
        connection.send(STREAM)
        for event in EVENTS[:2]:
            threading.Event().wait(0.15)
            connection.send(encode_chunk(event))
        connection.send(b"0\r\n\r\n")

    server = serve(script)

    async def send():
        times = []
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for _ in response.content.iter_any():
                times.append(loop.time() - start)  # noqa: PERF401 - each time is read when a part arrives
        return times

    def is_slow(times):
        return 0.1 < times[0] < times[1] - 0.1

    assert is_slow(tape_runner.record(send))
    assert tape_runner.replay(send)[-1] < 0.1
    assert is_slow(tape_runner.replay(send, pace="recorded"))


@pytest.mark.parametrize(
    ("encoding", "compressor"),
    [("gzip", lambda: zlib.compressobj(wbits=31)), ("deflate", zlib.compressobj)],
)
def test_a_compressed_stream_is_replayed_part_by_part(tape_runner, serve, encoding, compressor):
    def script(connection, *_):
        compressed = compressor()
        connection.send(STREAM.replace(b"\r\n\r\n", b"\r\ncontent-encoding: %b\r\n\r\n" % encoding.encode()))
        for event in EVENTS:
            connection.send(encode_chunk(compressed.compress(event) + compressed.flush(zlib.Z_SYNC_FLUSH)))
            received.acquire(timeout=5)
        connection.send(encode_chunk(compressed.flush()) + b"0\r\n\r\n")

    received = threading.Semaphore(0)
    server = serve(script)

    async def send():
        found = []
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for part in response.content.iter_any():
                found.append(part)
                received.release()
        return found

    assert tape_runner.record(send) == EVENTS
    assert tape_runner.replay(send) == EVENTS


def test_a_caller_may_wait_for_the_end_without_reading(tape_runner, serve):
    server = serve(STREAM + b"".join(map(encode_chunk, EVENTS)) + b"0\r\n\r\n")

    async def send():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            await asyncio.wait_for(response.content.wait_eof(), 5)
            assert response.connection is None
            return await response.read()

    assert tape_runner.record(send) == tape_runner.replay(send) == b"".join(EVENTS)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_body_is_recorded_and_replayed(tape_runner, serve, framing):
    body = bytes(range(256)) * (1 << 11)
    if framing == "length":
        server = serve(encode_response(body))
    else:
        parts = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        server = serve(head + b"".join(map(encode_chunk, parts)) + b"0\r\n\r\n")

    async def send():
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url) as response:
                assert await response.read() == body
            async with session.get(server.url) as response:
                found = b""
                async for part in response.content.iter_chunked(50_000):
                    found += part
                    await asyncio.sleep(0)
        return found == body

    assert tape_runner.record(send)
    server.stop()
    assert tape_runner.replay(send)


@pytest.mark.parametrize("how", ["close", "release", "break", "cancel"])
def test_a_response_that_is_not_read_to_its_end_is_recorded_as_left(tape_runner, paused_stream, how):
    server, _ = paused_stream

    async def send():
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

    assert tape_runner.record(send) == EVENTS[0]
    [interaction] = tape_runner.interactions
    assert interaction.response.ending == "left"
    assert interaction.response.body == EVENTS[0]
    server.stop()
    if how != "cancel":
        assert tape_runner.replay(send) == EVENTS[0]


# as an error, the warning would keep the frames of whatever code is running when the response is collected
@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")
def test_a_response_that_is_dropped_is_recorded_as_left(tape_runner, paused_stream):
    """aiohttp warns about the dropped response."""
    server, _ = paused_stream

    async def send():
        async with aiohttp.ClientSession() as session:
            return await (await session.get(server.url)).content.readany()

    assert tape_runner.record(send) == EVENTS[0]
    assert tape_runner.interactions[0].response.ending == "left"
    assert tape_runner.replay(send) == EVENTS[0]
    gc.collect()


def test_a_stream_that_is_read_up_to_done_is_complete(tape_runner, paused_stream):
    server, received = paused_stream

    async def send():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            async for line in response.content:
                received.release()
                if line == b"data: [DONE]\n":
                    return

    tape_runner.record(send)
    assert tape_runner.interactions[0].response.ending == "complete"


CUT_RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
    "chunked": STREAM + encode_chunk(b"only this"),
    "within a chunk": STREAM + b"14\r\nonly this",
}


@pytest.mark.parametrize("cut_response", CUT_RESPONSES.values(), ids=CUT_RESPONSES)
def test_a_response_that_was_cut_off_is_replayed_as_cut_off(tape_runner, serve, cut_response):
    server = serve(lambda connection, *_: connection.send(cut_response))

    async def send():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            found = await response.content.readany()
            with pytest.raises(aiohttp.ClientPayloadError, match="Response payload is not completed") as error:
                await response.content.readany()
            assert response.content.exception() is error.value
        # the cassette does not store the announced length of the body
        return found, str(error.value).replace("of 100 bytes", "of 10 bytes")

    recorded = tape_runner.record(send)
    assert recorded[0] == b"only this"
    assert tape_runner.interactions[0].response.ending == "broken"
    server.stop()
    assert tape_runner.replay(send) == recorded


LIMITS = {
    "sock_read": (aiohttp.ServerTimeoutError, "Timeout on reading data from socket"),
    "total": (TimeoutError, "^$"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_timeout_between_two_parts_is_recorded_and_replayed(tape_runner, paused_stream, limit):
    server, received = paused_stream
    kind, message = LIMITS[limit]

    async def send():
        timeout = aiohttp.ClientTimeout(**{limit: 0.2})
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(server.url) as response:
            first = await response.content.readany()
            with pytest.raises(kind, match=message):
                await response.content.readany()
        return first

    assert tape_runner.record(send) == EVENTS[0]
    assert tape_runner.interactions[0].response.ending == "broken"
    received.release(9)
    server.stop()
    assert tape_runner.replay(send) == EVENTS[0]


def test_a_read_timeout_only_runs_while_the_caller_reads(tape_runner, paused_stream):
    server, received = paused_stream

    async def send():
        timeout = aiohttp.ClientTimeout(sock_read=0.05)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(server.url) as response:
            found = await response.content.readany()
            received.release(9)
            await asyncio.sleep(0.1)
            async for part in response.content.iter_any():
                found += part
        return found

    assert tape_runner.record(send) == tape_runner.replay(send) == b"".join(EVENTS)


@pytest.mark.skipif(VERSION < (3, 10), reason="this version waits forever")
def test_closing_a_session_breaks_its_streams(tape_runner, paused_stream):
    server, received = paused_stream

    async def send():
        async with aiohttp.ClientSession() as session:
            response = await session.get(server.url)
            first = await response.content.readany()
        with pytest.raises((aiohttp.ClientError, RuntimeError)) as error:
            await response.content.readany()
        response.close()
        return first, error.type

    recorded = tape_runner.record(send)
    received.release(9)
    assert tape_runner.replay(send) == recorded


def test_a_body_that_cannot_be_decoded_raises_the_same_error_on_replay(tape_runner, serve):
    server = serve(encode_response(b"no gzip", b"content-encoding: gzip"))

    async def send():
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            with pytest.raises(aiohttp.ClientPayloadError, match="Can not decode content-encoding: gzip"):
                await response.read()

    tape_runner.record(send)
    server.stop()
    tape_runner.replay(send)


def test_a_caller_who_decodes_the_body_itself_receives_the_encoded_body(tape_runner, serve):
    """The cassette stores the decoded body."""
    compressed = gzip.compress(b"squeezed")
    server = serve(encode_response(compressed, b"content-encoding: gzip"))

    async def send():
        async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(server.url) as response:
            return await response.read(), response.headers.get("content-encoding")

    assert tape_runner.record(send) == (compressed, "gzip")
    body, encoding = tape_runner.replay(send)
    assert encoding == "gzip"
    assert gzip.decompress(body) == b"squeezed"
