"""However a body is passed, the tape receives its bytes, and the server receives the same request as without a tape."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib

import aiohttp
import pytest
from aiohttp_server import encode_response

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.tape import Tape


@pytest.fixture
def server(serve):
    return serve(
        lambda connection, _, body: (
            connection.send(encode_response(body, b"content-type: application/octet-stream")) or True
        )
    )


async def create_parts():
    for part in (b"one ", b"two ", b"", b"three"):
        await asyncio.sleep(0)
        yield part


async def create_stream():
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
    "iterator": create_parts,
    "stream": create_stream,
}


@pytest.mark.parametrize("options", [{}, {"expect100": True}, {"compress": "deflate"}], ids=str)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_each_type_of_body_is_recorded_and_replayed(tape_runner, server, body, options):
    async def send():
        data = body()
        if asyncio.iscoroutine(data):
            data = await data
        async with aiohttp.ClientSession() as session, session.post(server.url, data=data, **options) as response:
            return await response.read()

    live = tape_runner.run(send)
    assert (zlib.decompress(live) if "compress" in options else live) == b"one two three"
    assert tape_runner.record(send) == live
    assert server.requests[0][1] == server.requests[1][1]
    server.stop()
    assert tape_runner.replay(send) == live
    assert tape_runner.tape.sent[0].body == b"one two three"


def test_a_file_is_recorded_and_replayed(tape_runner, server, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(b"0123456789abcdef" * 10_000)

    async def send():
        with path.open("rb") as file:
            async with aiohttp.ClientSession() as session, session.put(server.url, data=file) as response:
                return await response.read()

    assert tape_runner.record(send) == path.read_bytes()
    server.stop()
    assert tape_runner.replay(send) == path.read_bytes()


def test_json_is_matched_by_value(tape_runner, server):
    async def send(document, **options):
        async with aiohttp.ClientSession(**options) as session, session.post(server.url, json=document) as response:
            return await response.json(content_type=None)

    assert tape_runner.record(lambda: send({"a": 1, "b": "é"})) == {"a": 1, "b": "é"}
    compact = {"json_serialize": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)}
    assert tape_runner.replay(lambda: send({"b": "é", "a": 1.0}, **compact)) == {"a": 1, "b": "é"}
    with pytest.raises(CassetteMiss, match=r"\$\.a"):
        tape_runner.replay(lambda: send({"a": 2, "b": "é"}))


def test_a_form_is_recorded_and_replayed(tape_runner, server):
    async def send(**fields):
        async with aiohttp.ClientSession() as session, session.post(server.url, data=fields) as response:
            return await response.text()

    assert tape_runner.record(lambda: send(a="1", b="x y&z")) == "a=1&b=x+y%26z"
    assert tape_runner.replay(lambda: send(a="1", b="x y&z")) == "a=1&b=x+y%26z"


def test_multipart_is_matched_without_its_boundary(tape_runner, server):
    async def send(content=b"\xff\x00"):
        form = aiohttp.FormData()
        form.add_field("purpose", "fine-tune")
        form.add_field("file", io.BytesIO(content), filename="é.bin", content_type="application/octet-stream")
        async with aiohttp.ClientSession() as session, session.post(server.url, data=form) as response:
            return response.status

    assert tape_runner.record(send) == 200
    boundary = server.requests[0][1].partition(b"\r\n")[0]
    assert tape_runner.replay(send) == 200
    assert boundary not in tape_runner.tape.sent[0].body
    with pytest.raises(CassetteMiss):
        tape_runner.replay(lambda: send(b"\xff\x01"))


def test_a_compressed_body_is_matched_by_its_content(tape_runner, server):
    async def send(level):
        compressed = gzip.compress(b"question", compresslevel=level, mtime=level)
        async with (
            aiohttp.ClientSession() as session,
            session.post(server.url, data=compressed, headers={"Content-Encoding": "gzip"}) as response,
        ):
            return await response.read() == compressed

    assert tape_runner.record(lambda: send(1))
    assert tape_runner.interactions[0].request.body == b"question"
    tape_runner.replay(lambda: send(9))


def test_a_request_whose_body_fails_is_not_sent(tape_runner, server):
    async def create_failing_parts():
        yield b"one"
        raise ValueError("no more")

    async def send():
        async with aiohttp.ClientSession() as session:
            with pytest.raises((aiohttp.ClientConnectionError, ValueError)) as error:
                await session.post(server.url, data=create_failing_parts())
            assert "no more" in (str(error.value), str(error.value.__cause__))

    with activate(Tape(tape_runner.path, mode="record")) as tape:
        tape_runner.run(send)
    assert tape.sent == []
    assert server.requests == []


def test_an_iterator_is_consumed_once(tape_runner, server):
    yielded = []

    async def create_numbers():
        for number in range(3):
            yielded.append(number)
            yield b"%d" % number

    async def send():
        async with aiohttp.ClientSession() as session, session.post(server.url, data=create_numbers()) as response:
            return await response.read()

    assert tape_runner.record(send) == tape_runner.replay(send) == b"012"
    assert yielded == [0, 1, 2] * 2


def test_expect_continue_without_a_body(tape_runner, server):
    async def send():
        async with aiohttp.ClientSession() as session, session.post(server.url, expect100=True) as response:
            return response.status

    assert tape_runner.record(send) == tape_runner.replay(send) == 200


def test_headers_are_recorded_as_sent(tape_runner, server):
    async def send():
        headers = [("X-Many", "one"), ("X-Many", "two"), ("X-Word", "é"), ("authorization", "Bearer none")]
        async with (
            aiohttp.ClientSession(cookies={"a": "b"}) as session,
            session.post(server.url, headers=headers, json=1) as response,
        ):
            return response.status

    assert tape_runner.record(send) == tape_runner.replay(send) == 200
    recorded = [f"{name}: {value}\r\n" for name, value in tape_runner.tape.sent[0].request.headers]
    head = server.requests[0][0].encode().decode("latin-1")
    for line in recorded:
        assert line.lower() in head.lower()
    assert len(recorded) == head.count("\r\n") - 2
