"""Whatever way a body is handed over, the tape sees its bytes, and the server gets it as it would live."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib

import aiohttp
import pytest
from aiohttp_wire import plain

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.tape import Tape


@pytest.fixture
def server(wire):
    return wire(lambda talk, _, body: talk.send(plain(body, b"content-type: application/octet-stream")) or True)


async def pieces():
    for piece in (b"one ", b"two ", b"", b"three"):
        await asyncio.sleep(0)
        yield piece


async def stream():
    reader = asyncio.StreamReader()
    reader.feed_data(b"one two three")
    reader.feed_eof()
    return reader


BODIES = {
    "bytes": lambda: b"one two three",
    "bytearray": lambda: bytearray(b"one two three"),
    "text": lambda: "one two three",
    "file": lambda: io.BytesIO(b"one two three"),
    "text file": lambda: io.StringIO("one two three"),
    "iterator": pieces,
    "stream": stream,
}


@pytest.mark.parametrize("options", [{}, {"expect100": True}, {"compress": "deflate"}], ids=str)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_bodies(tape_runner, server, body, options):
    async def use():
        data = body()
        if asyncio.iscoroutine(data):
            data = await data
        async with aiohttp.ClientSession() as session, session.post(server.url, data=data, **options) as response:
            return await response.read()

    sent = tape_runner.run(use)
    assert (zlib.decompress(sent) if "compress" in options else sent) == b"one two three"
    assert tape_runner.record(use) == sent
    assert server.requests[0][1] == server.requests[1][1]
    server.stop()
    assert tape_runner.replay(use) == sent
    assert tape_runner.tape.sent[0].body == b"one two three"


def test_a_file_on_disk(tape_runner, server, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(b"0123456789abcdef" * 10_000)

    async def use():
        with path.open("rb") as file:
            async with aiohttp.ClientSession() as session, session.put(server.url, data=file) as response:
                return await response.read()

    assert tape_runner.record(use) == path.read_bytes()
    server.stop()
    assert tape_runner.replay(use) == path.read_bytes()


def test_json_is_matched_by_what_it_says(tape_runner, server):
    async def use(document, **options):
        async with aiohttp.ClientSession(**options) as session, session.post(server.url, json=document) as response:
            return await response.json(content_type=None)

    assert tape_runner.record(lambda: use({"a": 1, "b": "é"})) == {"a": 1, "b": "é"}
    compact = {"json_serialize": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)}
    assert tape_runner.replay(lambda: use({"b": "é", "a": 1.0}, **compact)) == {"a": 1, "b": "é"}
    with pytest.raises(CassetteMiss, match=r"\$\.a"):
        tape_runner.replay(lambda: use({"a": 2, "b": "é"}))


def test_forms(tape_runner, server):
    async def use(**fields):
        async with aiohttp.ClientSession() as session, session.post(server.url, data=fields) as response:
            return await response.text()

    assert tape_runner.record(lambda: use(a="1", b="x y&z")) == "a=1&b=x+y%26z"
    assert tape_runner.replay(lambda: use(a="1", b="x y&z")) == "a=1&b=x+y%26z"


def test_multipart_with_another_boundary_each_time(tape_runner, server):
    async def use(content=b"\xff\x00"):
        form = aiohttp.FormData()
        form.add_field("purpose", "fine-tune")
        form.add_field("file", io.BytesIO(content), filename="é.bin", content_type="application/octet-stream")
        async with aiohttp.ClientSession() as session, session.post(server.url, data=form) as response:
            return response.status

    assert tape_runner.record(use) == 200
    boundary = server.requests[0][1].partition(b"\r\n")[0]
    assert tape_runner.replay(use) == 200
    assert boundary not in tape_runner.tape.sent[0].body
    with pytest.raises(CassetteMiss):
        tape_runner.replay(lambda: use(b"\xff\x01"))


def test_a_compressed_body_is_matched_by_what_it_says(tape_runner, server):
    async def use(level):
        packed = gzip.compress(b"question", compresslevel=level, mtime=level)
        async with (
            aiohttp.ClientSession() as session,
            session.post(server.url, data=packed, headers={"Content-Encoding": "gzip"}) as response,
        ):
            return await response.read() == packed

    assert tape_runner.record(lambda: use(1))
    assert tape_runner.interactions[0].request.body == b"question"
    tape_runner.replay(lambda: use(9))


def test_a_body_whose_iterator_fails_is_sent_nowhere(tape_runner, server):
    async def failing():
        yield b"one"
        raise ValueError("no more")

    async def use():
        async with aiohttp.ClientSession() as session:
            with pytest.raises((aiohttp.ClientConnectionError, ValueError)) as error:
                await session.post(server.url, data=failing())
            assert "no more" in (str(error.value), str(error.value.__cause__))

    with activate(Tape(tape_runner.path, mode="record")) as tape:
        tape_runner.run(use)
    assert tape.sent == []
    assert server.requests == []


def test_an_iterator_is_read_once(tape_runner, server):
    read = []

    async def counted():
        for number in range(3):
            read.append(number)
            yield b"%d" % number

    async def use():
        async with aiohttp.ClientSession() as session, session.post(server.url, data=counted()) as response:
            return await response.read()

    assert tape_runner.record(use) == tape_runner.replay(use) == b"012"
    assert read == [0, 1, 2] * 2


def test_expect_continue_with_nothing_to_send(tape_runner, server):
    async def use():
        async with aiohttp.ClientSession() as session, session.post(server.url, expect100=True) as response:
            return response.status

    assert tape_runner.record(use) == tape_runner.replay(use) == 200


def test_headers_are_seen_as_sent(tape_runner, server):
    async def use():
        headers = [("X-Many", "one"), ("X-Many", "two"), ("X-Word", "é"), ("authorization", "Bearer none")]
        async with (
            aiohttp.ClientSession(cookies={"a": "b"}) as session,
            session.post(server.url, headers=headers, json=1) as response,
        ):
            return response.status

    assert tape_runner.record(use) == tape_runner.replay(use) == 200
    seen = [f"{name}: {value}\r\n" for name, value in tape_runner.tape.sent[0].request.headers]
    head = server.requests[0][0].encode().decode("latin-1")
    for line in seen:
        assert line.lower() in head.lower()
    assert len(seen) == head.count("\r\n") - 2
