"""What was recorded comes back with no server: by either parser of aiohttp, on either loop."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import zlib

import aiohttp
import pytest
from aiohttp import http_parser
from aiohttp_wire import VERSION, chunk, plain

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.tape import Tape


@pytest.fixture(params=["extension", "python"], autouse=True)
def parser(request, monkeypatch):
    """As AIOHTTP_NO_EXTENSIONS=1 has it."""
    if request.param == "python":
        monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", http_parser.HttpResponseParserPy)
    return request.param


@pytest.fixture(params=["asyncio", "uvloop"])
def tape_runner(request, tape_runner):
    if request.param == "uvloop":
        tape_runner.loop_factory = pytest.importorskip("uvloop").new_event_loop
    return tape_runner


async def told(response):
    """What must be equal; the rest speaks of the connection."""
    return {
        "status": (response.status, response.reason, response.ok, response.method),
        "url": (str(response.url), str(response.real_url), response.host),
        "type": (response.content_type, response.charset, response.headers.get("Content-Type")),
        "info": (response.request_info.method, dict(response.request_info.headers)),
        "history": [(hop.status, str(hop.url)) for hop in response.history],
        "body": await response.read(),
        "closed": (response.closed, response.connection),
    }


def asking(*requests, **options):
    """Sends ``requests``, (method, url, arguments), over one session, and tells of the answers."""

    async def use():
        async with aiohttp.ClientSession(**options) as session:
            answers = []
            for method, url, arguments in requests:
                async with session.request(method, url, **arguments) as response:
                    answers.append(await told(response))
            return answers

    return use


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

ANSWERS = {
    "/no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/error": b"HTTP/1.1 404 Away\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\naway",
    "/chunked": b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=latin-1\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(b"one \xe9 ")
    + chunk(b"two")
    + b"0\r\n\r\n",
    "/trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(b"followed")
    + b"0\r\nx-trailer: 1\r\n\r\n",
    "/until-close": b"HTTP/1.1 200 OK\r\n\r\nuntil the very end",
    "/interim": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + plain(b"and then"),
    "/gzip": plain(gzip.compress(b"squeezed"), b"content-encoding: gzip"),
    "/deflate": plain(zlib.compress(b"squeezed"), b"content-encoding: deflate"),
    "/redirect": b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 9\r\n\r\nelsewhere",
    "/again": b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /last\r\ncontent-length: 0\r\n\r\n",
}


def answer(talk, head, body):
    method, target, _ = head.partition("\r")[0].split(" ")
    data = ANSWERS.get(target, plain(b"%b %b: %b" % (method.encode(), target.encode(), body)))
    talk.send(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else data)
    return target != "/until-close"


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_the_replay_equals_the_recording(tape_runner, wire, sent, parser):
    server = wire(answer)
    method, path, arguments = sent
    if path == "/trailer" and parser == "python" and VERSION < (3, 12):
        pytest.skip("this parser waits for ever behind a trailer")
    use = asking((method, server.url + path, arguments))
    recorded = tape_runner.record(use)
    assert len(server.requests) == 1
    server.stop()
    assert tape_runner.replay(use) == recorded
    assert tape_runner.tape.sent[0].body == server.requests[0][1]


@pytest.mark.parametrize(("encoding", "library"), [("br", "brotli"), ("zstd", "backports.zstd")])
def test_codings_of_other_libraries(tape_runner, wire, encoding, library):
    packed = pytest.importorskip(library).compress(b"squeezed")
    server = wire(plain(packed, b"content-encoding: " + encoding.encode()))
    use = asking(("GET", server.url, {}))
    [live] = tape_runner.run(use)
    if encoding not in server.requests[0][0]:
        pytest.skip(f"this aiohttp takes no {encoding}")
    assert live["body"] == b"squeezed"
    assert tape_runner.record(use) == tape_runner.replay(use) == [live]


def test_each_hop_of_a_redirect_is_an_interaction(tape_runner, wire):
    server = wire(answer)
    use = asking(("POST", server.url + "/redirect", {"data": b"question"}))
    [recorded] = tape_runner.record(use)
    server.stop()
    assert tape_runner.replay(use) == [recorded]
    assert recorded["history"] == [(302, server.url + "/redirect"), (307, server.url + "/again")]
    assert [(one.request.method, one.response.status) for one in tape_runner.interactions] == [
        ("POST", 302),
        ("GET", 307),
        ("GET", 200),
    ]


def test_several_requests_over_one_session_and_one_connection(tape_runner, wire):
    server = wire(answer)
    requests = [("POST", server.url, {"data": b"%d" % number}) for number in range(5)]
    recorded = tape_runner.record(asking(*requests))
    assert server.connections == 1
    server.stop()
    assert tape_runner.replay(asking(*reversed(requests))) == recorded[::-1]


def test_a_session_made_before_the_tape_is_caught_and_live_again_after_it(tape_runner, wire):
    server = wire(answer)
    record = Tape(tape_runner.path, mode="record")

    async def ask(session, body):
        async with session.post(server.url, data=body) as response:
            return (await response.text()).partition(": ")[2]

    async def use():
        async with aiohttp.ClientSession() as session:
            said = [await ask(session, "before")]
            with activate(record):
                said.append(await ask(session, "during"))
            record.save()
            said.append(await ask(session, "between"))
            with activate(Tape(tape_runner.path)):
                said.append(await ask(session, "during"))
            said.append(await ask(session, "after"))
        return said

    assert tape_runner.run(use) == ["before", "during", "between", "during", "after"]
    assert [body for _, body in server.requests] == [b"before", b"during", b"between", b"after"]
    # the tape took the connection that was open, and gave it back
    assert server.connections == 1


def test_ignored_hosts_go_live_and_are_not_recorded(tape_runner, wire):
    server = wire(answer)
    use = asking(("GET", server.url, {}))
    for _ in range(2):
        assert tape_runner.replay(use, ignore_hosts=(f"localhost:{server.server_address[1]}",))[0]["status"][0] == 200
    assert len(server.requests) == 2
    assert tape_runner.tape.sent == []


def test_tasks_cross_nothing(tape_runner, wire):
    server = wire(answer)

    async def use():
        async with aiohttp.ClientSession() as session:

            async def ask(number):
                async with session.post(server.url, data=str(number)) as response:
                    return (await response.text()).partition(": ")[2]

            return await asyncio.gather(*(ask(number) for number in range(200)))

    assert tape_runner.record(use) == tape_runner.replay(use) == [str(number) for number in range(200)]
    assert len(server.requests) == 200


def test_a_miss_comes_out_and_leaves_the_session_sound(tape_runner, wire):
    server = wire(answer)
    tape_runner.record(asking(("GET", server.url, {})))

    async def use():
        async with aiohttp.ClientSession() as session:
            for method, body in (("GET", None), ("POST", b"body"), ("POST", pieces())):
                with pytest.raises(CassetteMiss, match=rf"{method} {server.url}/other"):
                    await session.request(method, server.url + "/other", data=body)
            async with session.get(server.url) as response:
                return response.status

    async def pieces():
        yield b"body"

    server.stop()
    assert tape_runner.replay(use) == 200
    assert len(tape_runner.tape.violations) == 3


@pytest.mark.slow
def test_aiohttp_imported_under_the_tape_is_caught(tmp_path):
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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "GET https://api.example.com/v1" in done.stdout


def test_everything_is_put_back(tape_runner):
    classes = [aiohttp.BaseConnector, aiohttp.TCPConnector, aiohttp.UnixConnector, aiohttp.ClientSession]
    before = [dict(vars(cls)) for cls in classes]
    with activate(Tape(tape_runner.path)):
        assert [dict(vars(cls)) for cls in classes] != before
    assert [dict(vars(cls)) for cls in classes] == before
