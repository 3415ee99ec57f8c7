"""Connections: where they lead, when they are opened, what they are after the tape, and what breaks them."""

from __future__ import annotations

import asyncio
import os
import re
import select
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestClient, TestServer
from aiohttp_wire import EVENTS, VERSION, chunk, plain
from multidict import CIMultiDictProxy

from multitrack.errors import CassetteMiss, LiveCall
from multitrack.tape.active import activate
from multitrack.tape.exchange import Request, Response
from multitrack.tape.failure import Failure
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.tape import Tape

CONNECTION_TIMEOUT = getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError)
SOCKET_TIMEOUT = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def getting(url, *, connector=None, **arguments):
    async def use():
        async with (
            aiohttp.ClientSession(connector=connector and connector()) as session,
            session.get(url, **arguments) as response,
        ):
            return await response.read()

    return use


def failing(url, **arguments):
    """What a request raises: the class, and what it says."""

    async def use():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(Exception) as error:  # noqa: PT011 - which it is, is what is asked for
                # a GET, aiohttp would send once more
                await session.post(url, **arguments)
        return error.type, str(error.value)

    return use


@pytest.fixture
def tape_of(tape_runner):
    """`tape_of(url)` writes a tape that was recorded elsewhere."""

    def write(url, method="GET", response=None):
        answer = response or Response(200, "OK", (), b"recorded")
        storage.write(tape_runner.path, Cassette((Interaction(Request(method, url, (), b""), answer),), {"format": 1}))

    return write


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **_):
        raise AssertionError(f"a look-up or a socket for {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


URLS = [
    "https://api.example.com/v1/chat?a=b%20c",
    "https://api.example.com:8443/v1",
    "http://api.example.com/v1",
    "http://api.example.com:443/",
    "http://[2001:db8::1]:8080/v1",
    "https://[2001:db8::1]/v1",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.usefixtures("no_network")
def test_replay_looks_up_and_opens_nothing(tape_runner, tape_of, url):
    tape_of(url)
    assert tape_runner.replay(getting(url)) == b"recorded"


def test_tls(tape_runner, wire, server_context, client_context):
    server = wire(plain(b"secret"), context=server_context)
    use = getting(server.url + "/v1", ssl=client_context)
    assert tape_runner.record(use) == b"secret"
    server.stop()
    assert tape_runner.replay(use) == b"secret"
    assert tape_runner.interactions[0].request.url == server.url + "/v1"


def test_a_unix_socket(tape_runner, wire, tmp_path):
    path = str(tmp_path / "socket")
    server = wire(plain(b"near"), path=path)
    use = getting("http://localhost/v1", connector=lambda: aiohttp.UnixConnector(path))
    assert tape_runner.record(use) == b"near"
    server.stop()
    assert tape_runner.replay(use) == b"near"
    assert len(server.requests) == 1


class Elsewhere(aiohttp.TCPConnector):
    """As names are overridden: with a `connect` of its own, that calls its base's."""

    port = 0

    async def connect(self, req, traces, timeout):
        self.asked = str(req.url)
        return await super().connect(req, traces, timeout)

    async def _resolve_host(self, *_, traces=None):
        found = await super()._resolve_host("127.0.0.1", self.port, traces)
        return [{**address, "port": self.port} for address in found]


class Own(aiohttp.BaseConnector):
    """One of the caller's own, over a socket."""

    port = 0

    async def _create_connection(self, *_):
        _, protocol = await self._loop.create_connection(self._factory, "127.0.0.1", self.port)
        return protocol


@pytest.mark.parametrize("connector", [Elsewhere, Own])
def test_connectors_of_the_callers_own(tape_runner, wire, connector, monkeypatch):
    server = wire(plain(b"elsewhere"))
    monkeypatch.setattr(connector, "port", server.server_address[1])
    use = getting("http://api.example.com/v1", connector=connector)
    assert tape_runner.record(use) == b"elsewhere"
    if connector is Elsewhere:
        server.stop()
    assert tape_runner.replay(use) == b"elsewhere"
    assert len(server.requests) == 1
    assert tape_runner.interactions[0].request.url == "http://api.example.com/v1"


class InProcess(aiohttp.BaseConnector):
    """Leads to an answer inside of the process, as those for ASGI applications do."""

    async def _create_connection(self, *_):
        class Inside(asyncio.Transport):
            def write(self, _):
                asyncio.get_running_loop().call_soon(protocol.data_received, plain(b"inside"))

            def is_closing(self):
                return False

            def close(self):
                protocol.connection_lost(None)

        protocol = self._factory()
        protocol.connection_made(Inside())
        return protocol


def test_connectors_within_the_process_are_left_alone(tape_runner):
    assert tape_runner.replay(getting("http://api.example.com/v1", connector=InProcess)) == b"inside"
    assert tape_runner.tape.sent == []


def test_a_library_of_traces_over_the_connector(tape_runner, wire, monkeypatch):
    """As ddtrace wraps the inherited `connect` on TCPConnector, before the tape opens."""
    seen = []
    inherited = aiohttp.TCPConnector.connect

    async def connect(self, req, *args, **kwargs):
        seen.append(str(req.url))
        return await inherited(self, req, *args, **kwargs)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect, raising=False)
    server = wire(plain(b"traced"))
    use = getting(server.url + "/v1")
    assert tape_runner.record(use) == b"traced"
    server.stop()
    assert tape_runner.replay(use) == b"traced"
    assert seen == [server.url + "/v1"]
    assert len(tape_runner.interactions) == 1


class Proxy:
    """Leads every tunnel to ``target``, and answers plain requests itself."""

    def __init__(self, wire, target):
        self.target = target
        self.asked = []
        self.server = wire(self.answer)

    @property
    def url(self):
        return self.server.url

    def answer(self, talk, head, _):
        credentials = re.search("proxy-authorization: (.*)\r", head, re.IGNORECASE)
        self.asked.append((head.partition(" HTTP")[0], credentials and credentials[1]))
        if not head.startswith("CONNECT"):
            talk.send(plain(b"proxied"))
            return True
        if "forbidden" in head:
            talk.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return False
        with socket.create_connection(("127.0.0.1", self.target.server_address[1])) as there:
            talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = {talk.connection: there, there: talk.connection}
            while True:
                for ready in select.select(list(ends), [], [])[0]:
                    if not (data := ready.recv(65536)):
                        return False
                    ends[ready].sendall(data)


# from 3.14 on
@pytest.mark.filterwarnings("ignore:The 'proxy_auth' parameter is deprecated", "ignore:BasicAuth is deprecated")
@pytest.mark.parametrize("source", ["argument", "credentials", "url", "environment"])
def test_a_proxy(tape_runner, wire, server_context, client_context, source, monkeypatch):
    target = wire(plain(b"tunnelled"), context=server_context)
    proxy = Proxy(wire, target)
    secure, plain_url = "https://api.example.com/", "http://plain.example.com/page?x=1"
    with_user = proxy.url.replace("//", "//user:pass@")
    arguments = {"proxy": with_user if source == "url" else proxy.url}
    if source == "credentials":
        arguments["proxy_auth"] = aiohttp.BasicAuth("user", "pass")
    if source == "environment":
        arguments = {}
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, with_user)
        monkeypatch.delenv("no_proxy", raising=False)

    async def use():
        async with aiohttp.ClientSession(trust_env=source == "environment") as session:
            found = []
            for url in (secure, secure, plain_url):
                async with session.get(url, ssl=client_context, **arguments) as response:
                    found.append(await response.read())
            return found

    recorded = tape_runner.record(use)
    assert recorded == [b"tunnelled", b"tunnelled", b"proxied"]
    credentials = None if source == "argument" else "Basic dXNlcjpwYXNz"
    assert proxy.asked == [("CONNECT api.example.com:443", credentials), (f"GET {plain_url}", credentials)]
    assert "dXNlcjpwYXNz" not in tape_runner.path.read_text()
    target.stop()
    proxy.server.stop()
    assert tape_runner.replay(use) == recorded
    assert [interaction.request.url for interaction in tape_runner.interactions] == [secure, secure, plain_url]


class Slow(aiohttp.TCPConnector):
    async def _create_connection(self, *_):
        await asyncio.sleep(10)


class Nowhere(AbstractResolver):
    async def resolve(self, *_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self):
        pass


NOBODY = free_port()
OF_THE_MACHINE = re.compile(r" \('[^']*', \d+(, \d+, \d+)?\)| \(_ssl\.c:\d+\)")
FAILURES = {
    "refused": ("ClientConnectorError", {}),
    "no such name": (
        "ClientConnector(DNS)?Error",
        {"url": "http://nowhere.invalid/", "connector": lambda: aiohttp.TCPConnector(resolver=Nowhere())},
    ),
    "no such socket": ("UnixClientConnectorError", {"connector": lambda: aiohttp.UnixConnector("/nowhere/at/all")}),
    "unknown authority": ("ClientConnectorCertificateError", {"server": "tls"}),
    "no tls": ("ClientConnectorSSLError", {"server": "https"}),
    "proxy": ("ClientProxyConnectionError", {"proxy": f"http://localhost:{NOBODY}"}),
    "closed": ("ServerDisconnectedError", {"server": "closing", "method": "post"}),
    "reset": ("ClientOSError", {"server": "resetting", "method": "post"}),
    "connect": ("(Connection|Server)TimeoutError", {"timeout": {"connect": 0.1}, "connector": Slow}),
    "sock_read": ("(Socket|Server)TimeoutError", {"timeout": {"sock_read": 0.1}, "server": "silent"}),
    "total": ("TimeoutError", {"timeout": {"total": 0.1}, "server": "silent"}),
    "total while connecting": ("TimeoutError", {"timeout": {"total": 0.1}, "connector": Slow}),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_the_same_again(tape_runner, wire, server_context, case):
    error, options = FAILURES[case]
    ended = threading.Event()

    def reset(talk, *_):
        talk.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(talk.connection.detach())

    kind = options.get("server")
    url = options.get("url", f"http://localhost:{NOBODY}/")
    if kind:
        script = {"silent": lambda *_: ended.wait(5), "resetting": reset}.get(kind, lambda *_: False)
        server = wire(script, context=server_context if kind == "tls" else None)
        url = server.url.replace("http:", "https:") if kind == "https" else server.url

    async def use():
        limits = aiohttp.ClientTimeout(**options.get("timeout", {"total": 5}))
        connector = options.get("connector")
        async with aiohttp.ClientSession(connector=connector and connector(), timeout=limits) as session:
            with pytest.raises(Exception) as raised:  # noqa: PT011 - which it is, is what is asked for
                await session.request(options.get("method", "get"), url, proxy=options.get("proxy"))
        return raised.type, str(raised.value), raised.value.args

    live = tape_runner.run(use)
    recorded = tape_runner.record(use, keep_errors=True)
    ended.set()
    replayed = tape_runner.replay(use)
    assert re.fullmatch(error, live[0].__name__)
    assert live[:2] == recorded[:2]
    assert recorded[0] is replayed[0]
    assert tape_runner.interactions[0].response.ending == "unanswered"
    if kind == "tls":
        assert "certificate verify failed" in replayed[1]
    else:
        # a failure names no address, and no line of Python's source
        assert OF_THE_MACHINE.sub("", recorded[1]) == replayed[1]


def test_failures_that_other_clients_met(tape_runner, tape_of):
    def raised(*failure):
        url = "http://api.example.com/v1"
        failed = Response(599, "", (), b"", "unanswered", failure=Failure(*failure))
        tape_of(url, method="POST", response=failed)
        return tape_runner.replay(failing(url))

    assert raised("ConnectError", "All connection attempts failed", "connect", "ECONNREFUSED") == (
        aiohttp.ClientConnectorError,
        "Cannot connect to host api.example.com:80 ssl:default [All connection attempts failed]",
    )
    assert raised("gaierror", "Name or service not known", "connect", "EAI_NONAME")[0].__name__ in (
        "ClientConnectorDNSError",
        "ClientConnectorError",
    )
    assert raised("ConnectTimeout", "", "connect")[0] is CONNECTION_TIMEOUT
    assert raised("SSLCertVerificationError", "no", "handshake")[0] is aiohttp.ClientConnectorCertificateError
    assert raised("SSLError", "no", "handshake")[0] is aiohttp.ClientConnectorSSLError
    assert raised("ReadTimeout", "The read operation timed out")[0] is SOCKET_TIMEOUT
    assert raised("RemoteDisconnected", "Remote end closed")[0] is aiohttp.ServerDisconnectedError
    assert raised("ReadError", "", "read", "ECONNRESET")[0] is aiohttp.ClientOSError


def test_a_request_that_aiohttp_repeats_by_itself(tape_runner, wire):
    answers = [None, None, plain(b"at last")]
    server = wire(lambda talk, *_: talk.send(answer) if (answer := answers[len(server.requests) - 1]) else None)

    async def use():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.post(server.url)
            async with session.get(server.url) as response:
                return await response.read()

    if VERSION < (3, 10):
        pytest.skip("this version repeats nothing")
    assert tape_runner.record(use, keep_errors=True) == b"at last"
    server.stop()
    assert tape_runner.replay(use) == b"at last"
    assert len(server.requests) == 3


def test_a_server_that_closed_a_kept_connection(tape_runner, wire):
    first = wire(plain(b"first"))
    port = first.server_address[1]

    async def use():
        async with aiohttp.ClientSession() as session:
            async with session.get(first.url) as response:
                await response.read()
            await asyncio.to_thread(first.close_connections)
            await asyncio.sleep(0.05)
            with activate(Tape(tape_runner.path, mode="record")) as tape:
                async with session.get(first.url) as response:
                    await response.read()
            return tape.interactions

    assert len(tape_runner.run(use)) == 1
    assert first.connections == 2
    assert port


@pytest.mark.parametrize("stage", ["connecting", "waiting"])
def test_a_caller_who_goes_away_before_an_answer(tape_runner, wire, stage):
    ended = threading.Event()
    server = wire(lambda *_: ended.wait(5))

    async def use():
        connector = Slow() if stage == "connecting" else None
        async with aiohttp.ClientSession(connector=connector) as session:
            task = asyncio.create_task(session.post(server.url))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.01)
            return len(session.connector._acquired)

    assert tape_runner.record(use) == 0
    ended.set()
    response = tape_runner.interactions[0].response
    assert (response.ending, response.failure) == ("unanswered", None)
    assert tape_runner.replay(use) == 0
    assert len(tape_runner.tape.played) == 1


def test_what_is_no_http_is_the_clients_own_error(tape_runner, wire):
    server = wire(lambda talk, *_: talk.send(b"no HTTP at all\r\n\r\n"))
    live = tape_runner.run(failing(server.url))
    with activate(Tape(tape_runner.path, mode="record")) as tape:
        assert tape_runner.run(failing(server.url)) == live
    assert live[0] is aiohttp.ClientResponseError
    assert tape.save() is None


def test_a_proxy_that_refuses(tape_runner, wire, server_context):
    proxy = Proxy(wire, wire(plain(b""), context=server_context))
    use = failing("https://forbidden.example.com/", proxy=proxy.url)
    live = tape_runner.run(use)
    with activate(Tape(tape_runner.path, mode="record")):
        assert tape_runner.run(use) == live
    assert live[0] is aiohttp.ClientHttpProxyError


def test_a_connection_is_given_back_to_the_pool(tape_runner, wire):
    server = wire(plain(b"again"))

    async def use():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, limit_per_host=1)) as session:

            async def ask():
                async with session.get(server.url) as response:
                    return await response.read()

            with activate(Tape(tape_runner.path, mode="record")):
                await asyncio.gather(*(ask() for _ in range(5)))
            return await asyncio.gather(*(ask() for _ in range(5)))

    assert tape_runner.run(use) == [b"again"] * 5
    assert server.connections == 1


def test_replayed_answers_wait_for_no_place_in_the_pool(tape_runner, wire):
    server = wire(plain(b"many"))

    async def use():
        connector = aiohttp.TCPConnector(limit=2, limit_per_host=1)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask():
                async with session.get(server.url) as response:
                    return await response.read()

            return await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(10))), 5)

    assert tape_runner.record(use) == [b"many"] * 10
    assert tape_runner.replay(use) == [b"many"] * 10


@pytest.mark.parametrize("answer", [b"HTTP/1.0 200 OK\r\n\r\nold", plain(b"new", b"connection: close")])
def test_connections_that_are_not_kept(tape_runner, wire, answer):
    server = wire(lambda talk, *_: talk.send(answer))

    async def use():
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.get(server.url) as response:
                    body = await response.read()
            return body

    assert tape_runner.record(use) == tape_runner.replay(use)
    assert server.connections == 2


WEB_SOCKET = """\
{url}: a WebSocket, which no tape holds
  if it may go live, say so in pyproject.toml:
    [tool.multitrack]
    ignore_hosts = ["127.0.0.1:{port}"]
  or at the test:
    @pytest.mark.cassette(ignore_hosts=["127.0.0.1:{port}"])"""


async def application():
    async def live(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data[::-1])
        return socket

    async def hello(_):
        return web.Response(text="hello")

    app = web.Application()
    app.add_routes([web.get("/live", live), web.get("/hello", hello)])
    return app


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["replay", "record"])
def test_a_web_socket_is_refused(tape_runner, mode):
    async def use():
        async with TestServer(await application()) as server, aiohttp.ClientSession() as session:
            with activate(Tape(tape_runner.path, mode=mode)) as tape:
                with pytest.raises(LiveCall) as refused:
                    await session.ws_connect(server.make_url("/live"))
                assert tape.violations == [refused.value]
                assert str(refused.value) == WEB_SOCKET.format(url=server.make_url("/live"), port=server.port)

    tape_runner.run(use)


@pytest.mark.slow
def test_ignored_hosts_keep_their_web_sockets_and_a_test_client(tape_runner):
    async def use():
        async with TestClient(TestServer(await application())) as client, client.ws_connect("/live") as socket:
            await socket.send_str("abc")
            assert await socket.receive_str() == "cba"
            async with client.get("/hello") as response:
                return await response.text()

    assert tape_runner.replay(use, ignore_hosts=("127.0.0.1:*",)) == "hello"
    assert tape_runner.tape.sent == []


def test_a_replay_is_traced_as_a_request_over_a_kept_connection(tape_runner, wire):
    server = wire(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"traced") + b"0\r\n\r\n")

    async def use():
        events = []
        config = aiohttp.TraceConfig()
        for name in dir(config):
            if name.startswith("on_"):

                async def note(*_, name=name):
                    events.append(name.removeprefix("on_"))

                getattr(config, name).append(note)
        async with (
            aiohttp.ClientSession(trace_configs=[config]) as session,
            session.post(server.url, data=b"x") as response,
        ):
            await response.read()
        return events

    recorded = tape_runner.record(use)
    assert {"connection_create_start", "connection_create_end"} < set(recorded)
    of_connecting = {name for name in recorded if name.startswith(("connection", "dns"))}
    expected = [name for name in recorded if name not in of_connecting]
    replayed = tape_runner.replay(use)
    assert [name for name in replayed if name != "connection_reuseconn"] == expected
    assert replayed.count("connection_reuseconn") == 1
    assert expected[0] == "request_start"
    assert {"request_chunk_sent", "response_chunk_received", "request_end"} < set(expected)


def test_threads_with_loops_of_their_own(tape_runner, wire):
    server = wire(lambda talk, _, body: talk.send(plain(body)) or True)

    def asking(number):
        async def use():
            async with aiohttp.ClientSession() as session:
                found = []
                for count in range(20):
                    async with session.post(server.url, data=f"{number}.{count}") as response:
                        found.append(await response.text())
                return found

        return asyncio.run(use())

    def all_threads():
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(asking, range(8)))

    expected = [[f"{number}.{count}" for count in range(20)] for number in range(8)]
    with activate(Tape(tape_runner.path, mode="record")) as tape:
        assert all_threads() == expected
    tape.save()
    server.stop()
    with activate(Tape(tape_runner.path)):
        assert all_threads() == expected


def test_the_tape_closes_while_an_answer_plays(tape_runner, wire):
    server = wire(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"".join(map(chunk, EVENTS))
        + b"0\r\n\r\n"
    )
    tape_runner.record(getting(server.url))

    async def use():
        async with aiohttp.ClientSession() as session:
            with activate(Tape(tape_runner.path)):
                response = await session.get(server.url)
            return [part async for part in response.content.iter_any()]

    assert b"".join(tape_runner.run(use)) == b"".join(EVENTS)
    assert len(server.requests) == 1


def test_cookies_headers_and_statuses(tape_runner, wire):
    """What a session makes of an answer."""

    def script(talk, head, _):
        cookie = re.search("cookie: (.*)\r", head, re.IGNORECASE)
        talk.send(
            b"HTTP/1.1 404 Not Here\r\nset-cookie: a=1\r\nset-cookie: b=2; path=/\r\nlink: <./x>; rel=next\r\n"
            b"content-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
        )
        return cookie is None

    server = wire(script)

    async def use():
        async with aiohttp.ClientSession(cookies={"c": "3"}) as session, session.get(server.url) as response:
            assert isinstance(response.headers, CIMultiDictProxy)
            assert response.headers["CONTENT-TYPE"] == "application/json"
            assert str(response.links["next"]["url"]) == server.url + "/x"
            document = await response.json()
            with pytest.raises(aiohttp.ClientResponseError) as error:
                response.raise_for_status()
            cookies = sorted(cookie.key for cookie in session.cookie_jar)
            return document, error.value.status, error.value.message, cookies

    assert tape_runner.record(use) == ([], 404, "Not Here", ["a", "b", "c"])
    # the tape keeps no cookies
    assert tape_runner.replay(use) == ([], 404, "Not Here", ["c"])


def test_a_miss_passes_a_sessions_own_repetitions(tape_runner):
    tape_runner.path.write_text("version: 1\ninteractions: []\n")

    async def use():
        seen = []

        async def exception(_, __, params):
            seen.append(type(params.exception))

        config = aiohttp.TraceConfig()
        config.on_request_exception.append(exception)
        async with aiohttp.ClientSession(trace_configs=[config], raise_for_status=True) as session:
            with pytest.raises(CassetteMiss):
                await session.get("http://api.example.com/v1")
        return seen

    assert tape_runner.replay(use) == [CassetteMiss]
    assert len(tape_runner.tape.violations) == 1
