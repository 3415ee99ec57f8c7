"""Recordings are replayed without a server, with both parsers of aiohttp and on both event loops."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import zlib

import aiohttp
import pytest
from aiohttp import http_parser
from aiohttp_server import VERSION, encode_chunk, encode_response

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.tape import Tape


@pytest.fixture(params=["extension", "python"], autouse=True)
def parser(request, monkeypatch):
    """Both parsers; AIOHTTP_NO_EXTENSIONS=1 selects the Python one."""
    if request.param == "python":
        monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", http_parser.HttpResponseParserPy)
    return request.param


@pytest.fixture(params=["asyncio", "uvloop"])
def tape_runner(request, tape_runner):
    if request.param == "uvloop":
        tape_runner.loop_factory = pytest.importorskip("uvloop").new_event_loop
    return tape_runner


async def comparable(response):
    """Return the parts of a response that must be equal on replay. All other parts describe the connection."""
    return {
        "status": (response.status, response.reason, response.ok, response.method),
        "url": (str(response.url), str(response.real_url), response.host),
        "type": (response.content_type, response.charset, response.headers.get("Content-Type")),
        "info": (response.request_info.method, dict(response.request_info.headers)),
        "history": [(hop.status, str(hop.url)) for hop in response.history],
        "body": await response.read(),
        "closed": (response.closed, response.connection),
    }


def sending(*requests, **options):
    """Return a function that sends ``requests``, tuples (method, url, arguments), with one session."""

    async def send():
        async with aiohttp.ClientSession(**options) as session:
            responses = []
            for method, url, arguments in requests:
                async with session.request(method, url, **arguments) as response:
                    responses.append(await comparable(response))
            return responses

    return send


REQUESTS = {
    "get": ("GET", "/a b?x=1&y=%2F", {"params": {"z": "é"}}),
    "post": ("POST", "/", {"json": {"prompt": ["café", 1.0, None]}}),
    "head": ("HEAD", "/", {}),
    "no content": ("DELETE", "/no-content", {}),
    "error": ("GET", "/error", {}),
    "chunked": ("GET", "/chunked", {}),
    "trailer": ("GET", "/trailer", {}),
    "until close": ("GET", "/until-close", {}),
    "interim": ("GET", "/interim", {}),
    "gzip": ("GET", "/gzip", {}),
    "deflate": ("GET", "/deflate", {}),
}

RESPONSES = {
    "/no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/error": b"HTTP/1.1 404 Away\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\naway",
    "/chunked": b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=latin-1\r\nTransfer-Encoding: chunked\r\n\r\n"
    + encode_chunk(b"one \xe9 ")
    + encode_chunk(b"two")
    + b"0\r\n\r\n",
    "/trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + encode_chunk(b"followed")
    + b"0\r\nx-trailer: 1\r\n\r\n",
    "/until-close": b"HTTP/1.1 200 OK\r\n\r\nuntil the very end",
    "/interim": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + encode_response(b"and then"),
    "/gzip": encode_response(gzip.compress(b"squeezed"), b"content-encoding: gzip"),
    "/deflate": encode_response(zlib.compress(b"squeezed"), b"content-encoding: deflate"),
    "/redirect": b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 9\r\n\r\nelsewhere",
    "/again": b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /last\r\ncontent-length: 0\r\n\r\n",
}


def respond(connection, head, body):
    method, target, _ = head.partition("\r")[0].split(" ")
    data = RESPONSES.get(target, encode_response(b"%b %b: %b" % (method.encode(), target.encode(), body)))
    connection.send(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else data)
    return target != "/until-close"


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_the_replay_equals_the_recording(tape_runner, serve, sent, parser):
    server = serve(respond)
    method, path, arguments = sent
    if path == "/trailer" and parser == "python" and VERSION < (3, 12):
        pytest.skip("this parser waits forever after a trailer")
    send = sending((method, server.url + path, arguments))
    recorded = tape_runner.record(send)
    assert len(server.requests) == 1
    server.stop()
    assert tape_runner.replay(send) == recorded
    assert tape_runner.tape.sent[0].body == server.requests[0][1]


@pytest.mark.parametrize(("encoding", "library"), [("br", "brotli"), ("zstd", "backports.zstd")])
def test_content_encodings_of_optional_libraries(tape_runner, serve, encoding, library):
    compressed = pytest.importorskip(library).compress(b"squeezed")
    server = serve(encode_response(compressed, b"content-encoding: " + encoding.encode()))
    send = sending(("GET", server.url, {}))
    [live] = tape_runner.run(send)
    if encoding not in server.requests[0][0]:
        pytest.skip(f"this aiohttp does not support {encoding}")
    assert live["body"] == b"squeezed"
    assert tape_runner.record(send) == tape_runner.replay(send) == [live]


def test_each_hop_of_a_redirect_is_an_interaction(tape_runner, serve):
    server = serve(respond)
    send = sending(("POST", server.url + "/redirect", {"data": b"question"}))
    [recorded] = tape_runner.record(send)
    server.stop()
    assert tape_runner.replay(send) == [recorded]
    assert recorded["history"] == [(302, server.url + "/redirect"), (307, server.url + "/again")]
    assert [interaction.request.method for interaction in tape_runner.interactions] == ["POST", "GET", "GET"]
    assert [interaction.response.status for interaction in tape_runner.interactions] == [302, 307, 200]


def test_several_requests_of_one_session_share_a_connection(tape_runner, serve):
    server = serve(respond)
    requests = [("POST", server.url, {"data": b"%d" % number}) for number in range(5)]
    recorded = tape_runner.record(sending(*requests))
    assert server.connections == 1
    server.stop()
    assert tape_runner.replay(sending(*reversed(requests))) == recorded[::-1]


def test_a_session_created_before_the_tape_is_intercepted_and_goes_live_again_afterwards(tape_runner, serve):
    server = serve(respond)
    record = Tape(tape_runner.path, mode="record")

    async def post(session, body):
        async with session.post(server.url, data=body) as response:
            return (await response.text()).partition(": ")[2]

    async def send():
        async with aiohttp.ClientSession() as session:
            bodies = [await post(session, "before")]
            with activate(record):
                bodies.append(await post(session, "during"))
            record.save()
            bodies.append(await post(session, "between"))
            with activate(Tape(tape_runner.path)):
                bodies.append(await post(session, "during"))
            bodies.append(await post(session, "after"))
        return bodies

    assert tape_runner.run(send) == ["before", "during", "between", "during", "after"]
    assert [body for _, body in server.requests] == [b"before", b"during", b"between", b"after"]
    # the tape used the open connection, and released it
    assert server.connections == 1


def test_ignored_hosts_go_live_and_are_not_recorded(tape_runner, serve):
    server = serve(respond)
    send = sending(("GET", server.url, {}))
    for _ in range(2):
        assert tape_runner.replay(send, ignore_hosts=(f"localhost:{server.server_address[1]}",))[0]["status"][0] == 200
    assert len(server.requests) == 2
    assert tape_runner.tape.sent == []


def test_tasks_get_their_own_responses(tape_runner, serve):
    server = serve(respond)

    async def send():
        async with aiohttp.ClientSession() as session:

            async def post(number):
                async with session.post(server.url, data=str(number)) as response:
                    return (await response.text()).partition(": ")[2]

            return await asyncio.gather(*(post(number) for number in range(200)))

    assert tape_runner.record(send) == tape_runner.replay(send) == [str(number) for number in range(200)]
    assert len(server.requests) == 200


def test_a_miss_reaches_the_caller_and_the_session_stays_usable(tape_runner, serve):
    server = serve(respond)
    tape_runner.record(sending(("GET", server.url, {})))

    async def send():
        async with aiohttp.ClientSession() as session:
            for method, body in (("GET", None), ("POST", b"body"), ("POST", create_body())):
                with pytest.raises(CassetteMiss, match=rf"{method} {server.url}/other"):
                    await session.request(method, server.url + "/other", data=body)
            async with session.get(server.url) as response:
                return response.status

    async def create_body():
        yield b"body"

    server.stop()
    assert tape_runner.replay(send) == 200
    assert len(tape_runner.tape.violations) == 3


@pytest.mark.slow
def test_aiohttp_imported_while_a_tape_is_open_is_intercepted(tmp_path):
    program = f"""
import asyncio, sys
import multitrack
from multitrack.errors import CassetteMiss

assert "aiohttp" not in sys.modules

async def main():
    import aiohttp
    async with aiohttp.ClientSession() as session:
        await session.get("https://api.example.com/v1")

try:
    with multitrack.use_cassette({str(tmp_path / "tape.yaml")!r}):
        assert "aiohttp" not in sys.modules
        asyncio.run(main())
except CassetteMiss as miss:
    print(str(miss).splitlines()[0])
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "GET https://api.example.com/v1" in process.stdout


def test_all_patches_are_undone_after_the_tape_is_closed(tape_runner):
    classes = [aiohttp.BaseConnector, aiohttp.TCPConnector, aiohttp.UnixConnector, aiohttp.ClientSession]
    before = [dict(vars(cls)) for cls in classes]
    with activate(Tape(tape_runner.path)):
        assert [dict(vars(cls)) for cls in classes] != before
    assert [dict(vars(cls)) for cls in classes] == before
