"""Connections: their address, when they are opened, how they are used after the tape is closed, and their errors."""

from __future__ import annotations

import asyncio
import os
import re
import select
import socket
import struct
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestClient, TestServer
from aiohttp_server import EVENTS, VERSION, encode_chunk, encode_response
from multidict import CIMultiDictProxy

from multitrack.errors import CassetteMiss, LiveCall
from multitrack.tape.active import activate
from multitrack.tape.exchange import Request, Response
from multitrack.tape.failure import Failure
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

CONNECTION_TIMEOUT = getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError)
SOCKET_TIMEOUT = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)


def find_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def create_get(url, *, connector=None, **arguments):
    async def send():
        async with (
            aiohttp.ClientSession(connector=connector and connector()) as session,
            session.get(url, **arguments) as response,
        ):
            return await response.read()

    return send


def create_failing_post(url, **arguments):
    """Return a function that sends a request and returns the class and the message of the error."""

    async def send():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(Exception) as error:  # noqa: PT011 - the caller checks the type
                # aiohttp would repeat a GET
                await session.post(url, **arguments)
        return error.type, str(error.value)

    return send


@pytest.fixture
def write_cassette(tape_runner):
    """A ``write_cassette(url)`` function that writes a cassette with one interaction."""

    def write(url, method="GET", response=None):
        recorded = response or Response(200, "OK", (), b"recorded")
        storage.write(
            tape_runner.path, Cassette((Interaction(Request(method, url, (), b""), recorded),), {"format": 1})
        )

    return write


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **_):
        raise AssertionError(f"a name lookup or a socket for {args}")

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
def test_replay_needs_no_name_lookup_and_no_socket(tape_runner, write_cassette, url):
    write_cassette(url)
    assert tape_runner.replay(create_get(url)) == b"recorded"


def test_a_tls_connection_is_recorded_and_replayed(tape_runner, serve, server_context, client_context):
    server = serve(encode_response(b"secret"), context=server_context)
    send = create_get(server.url + "/v1", ssl=client_context)
    assert tape_runner.record(send) == b"secret"
    server.stop()
    assert tape_runner.replay(send) == b"secret"
    assert tape_runner.interactions[0].request.url == server.url + "/v1"


def test_a_unix_socket_is_recorded_and_replayed(tape_runner, serve, tmp_path):
    path = str(tmp_path / "socket")
    server = serve(encode_response(b"near"), path=path)
    send = create_get("http://localhost/v1", connector=lambda: aiohttp.UnixConnector(path))
    assert tape_runner.record(send) == b"near"
    server.stop()
    assert tape_runner.replay(send) == b"near"
    assert len(server.requests) == 1


class RedirectedConnector(aiohttp.TCPConnector):
    """Overrides host names. Its ``connect`` calls the ``connect`` of its base class."""

    port = 0

    async def connect(self, req, traces, timeout):
        self.requested_url = str(req.url)
        return await super().connect(req, traces, timeout)

    async def _resolve_host(self, *_, traces=None):
        found = await super()._resolve_host("127.0.0.1", self.port, traces)
        return [{**address, "port": self.port} for address in found]


class SocketConnector(aiohttp.BaseConnector):
    """A connector of the caller that uses a socket."""

    port = 0

    async def _create_connection(self, *_):
        _, protocol = await self._loop.create_connection(self._factory, "127.0.0.1", self.port)
        return protocol


@pytest.mark.parametrize("connector", [RedirectedConnector, SocketConnector])
def test_custom_connectors_are_intercepted(tape_runner, serve, connector, monkeypatch):
    server = serve(encode_response(b"elsewhere"))
    monkeypatch.setattr(connector, "port", server.server_address[1])
    send = create_get("http://api.example.com/v1", connector=connector)
    assert tape_runner.record(send) == b"elsewhere"
    if connector is RedirectedConnector:
        server.stop()
    assert tape_runner.replay(send) == b"elsewhere"
    assert len(server.requests) == 1
    assert tape_runner.interactions[0].request.url == "http://api.example.com/v1"


class InProcessConnector(aiohttp.BaseConnector):
    """Responds in the same process, as connectors for ASGI applications do."""

    async def _create_connection(self, *_):
        class InProcessTransport(asyncio.Transport):
            def write(self, _):
                asyncio.get_running_loop().call_soon(protocol.data_received, encode_response(b"inside"))

            def is_closing(self):
                return False

            def close(self):
                protocol.connection_lost(None)

        protocol = self._factory()
        protocol.connection_made(InProcessTransport())
        return protocol


def test_connectors_within_the_process_are_not_intercepted(tape_runner):
    assert tape_runner.replay(create_get("http://api.example.com/v1", connector=InProcessConnector)) == b"inside"
    assert tape_runner.tape.sent == []


def test_a_connector_patched_by_a_tracing_library_is_intercepted(tape_runner, serve, monkeypatch):
    """ddtrace wraps the inherited ``connect`` of TCPConnector, before the tape opens."""
    traced_urls = []
    inherited = aiohttp.TCPConnector.connect

    async def connect(self, req, *args, **kwargs):
        traced_urls.append(str(req.url))
        return await inherited(self, req, *args, **kwargs)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect, raising=False)
    server = serve(encode_response(b"traced"))
    send = create_get(server.url + "/v1")
    assert tape_runner.record(send) == b"traced"
    server.stop()
    assert tape_runner.replay(send) == b"traced"
    assert traced_urls == [server.url + "/v1"]
    assert len(tape_runner.interactions) == 1


class TunnelProxy:
    """Connects every tunnel to ``target``, and responds to plain requests itself."""

    def __init__(self, serve, target):
        self.target = target
        self.requests = []
        self.server = serve(self.respond)

    @property
    def url(self):
        return self.server.url

    def respond(self, connection, head, _):
        credentials = re.search("proxy-authorization: (.*)\r", head, re.IGNORECASE)
        self.requests.append((head.partition(" HTTP")[0], credentials and credentials[1]))
        if not head.startswith("CONNECT"):
            connection.send(encode_response(b"proxied"))
            return True
        if "forbidden" in head:
            connection.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return False
        with socket.create_connection(("127.0.0.1", self.target.server_address[1])) as upstream:
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = {connection.connection: upstream, upstream: connection.connection}
            while True:
                for ready in select.select(list(ends), [], [])[0]:
                    if not (data := ready.recv(65536)):
                        return False
                    ends[ready].sendall(data)


# aiohttp 3.14 and later warn
@pytest.mark.filterwarnings("ignore:The 'proxy_auth' parameter is deprecated", "ignore:BasicAuth is deprecated")
@pytest.mark.parametrize("source", ["argument", "credentials", "url", "environment"])
def test_requests_through_a_proxy_are_recorded_and_replayed(
    tape_runner, serve, server_context, client_context, source, monkeypatch
):
    target = serve(encode_response(b"tunnelled"), context=server_context)
    proxy = TunnelProxy(serve, target)
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

    async def send():
        async with aiohttp.ClientSession(trust_env=source == "environment") as session:
            found = []
            for url in (secure, secure, plain_url):
                async with session.get(url, ssl=client_context, **arguments) as response:
                    found.append(await response.read())
            return found

    recorded = tape_runner.record(send)
    assert recorded == [b"tunnelled", b"tunnelled", b"proxied"]
    credentials = None if source == "argument" else "Basic dXNlcjpwYXNz"
    assert proxy.requests == [("CONNECT api.example.com:443", credentials), (f"GET {plain_url}", credentials)]
    assert "dXNlcjpwYXNz" not in tape_runner.path.read_text()
    target.stop()
    proxy.server.stop()
    assert tape_runner.replay(send) == recorded
    assert [interaction.request.url for interaction in tape_runner.interactions] == [secure, secure, plain_url]


class SlowConnector(aiohttp.TCPConnector):
    async def _create_connection(self, *_):
        await asyncio.sleep(10)


class FailingResolver(AbstractResolver):
    async def resolve(self, *_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self):
        pass


UNUSED_PORT = find_free_port()
MACHINE_SPECIFIC = re.compile(r" \('[^']*', \d+(, \d+, \d+)?\)| \(_ssl\.c:\d+\)")
FAILURES = {
    "refused": ("ClientConnectorError", {}),
    "no such name": (
        "ClientConnector(DNS)?Error",
        {"url": "http://nowhere.invalid/", "connector": lambda: aiohttp.TCPConnector(resolver=FailingResolver())},
    ),
    "no such socket": ("UnixClientConnectorError", {"connector": lambda: aiohttp.UnixConnector("/nowhere/at/all")}),
    "unknown authority": ("ClientConnectorCertificateError", {"server": "tls"}),
    "no tls": ("ClientConnectorSSLError", {"server": "https"}),
    "proxy": ("ClientProxyConnectionError", {"proxy": f"http://localhost:{UNUSED_PORT}"}),
    "closed": ("ServerDisconnectedError", {"server": "closing", "method": "post"}),
    "reset": ("ClientOSError", {"server": "resetting", "method": "post"}),
    "connect": ("(Connection|Server)TimeoutError", {"timeout": {"connect": 0.1}, "connector": SlowConnector}),
    "sock_read": ("(Socket|Server)TimeoutError", {"timeout": {"sock_read": 0.1}, "server": "silent"}),
    "total": ("TimeoutError", {"timeout": {"total": 0.1}, "server": "silent"}),
    "total while connecting": ("TimeoutError", {"timeout": {"total": 0.1}, "connector": SlowConnector}),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_recorded_failure_is_raised_again(tape_runner, serve, server_context, case):
    error, options = FAILURES[case]
    ended = threading.Event()

    def reset(connection, *_):
        connection.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.connection.detach())

    kind = options.get("server")
    url = options.get("url", f"http://localhost:{UNUSED_PORT}/")
    if kind:
        script = {"silent": lambda *_: ended.wait(5), "resetting": reset}.get(kind, lambda *_: False)
        server = serve(script, context=server_context if kind == "tls" else None)
        url = server.url.replace("http:", "https:") if kind == "https" else server.url

    async def send():
        limits = aiohttp.ClientTimeout(**options.get("timeout", {"total": 5}))
        connector = options.get("connector")
        async with aiohttp.ClientSession(connector=connector and connector(), timeout=limits) as session:
            with pytest.raises(Exception) as raised:  # noqa: PT011 - the caller checks the type
                await session.request(options.get("method", "get"), url, proxy=options.get("proxy"))
        return raised.type, str(raised.value), raised.value.args

    live = tape_runner.run(send)
    recorded = tape_runner.record(send, keep_errors=True)
    ended.set()
    replayed = tape_runner.replay(send)
    assert re.fullmatch(error, live[0].__name__)
    assert live[:2] == recorded[:2]
    assert recorded[0] is replayed[0]
    assert tape_runner.interactions[0].response.ending == "unanswered"
    if kind == "tls":
        assert "certificate verify failed" in replayed[1]
    else:
        # a recorded failure has no address, and no line number of Python's source
        assert MACHINE_SPECIFIC.sub("", recorded[1]) == replayed[1]


def test_failures_of_other_clients_raise_the_equivalent_error(tape_runner, write_cassette):
    def raised(*failure):
        url = "http://api.example.com/v1"
        failed = Response(599, "", (), b"", "unanswered", failure=Failure(*failure))
        write_cassette(url, method="POST", response=failed)
        return tape_runner.replay(create_failing_post(url))

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


def test_a_request_that_aiohttp_repeats_is_recorded_each_time(tape_runner, serve):
    responses = [None, None, encode_response(b"at last")]

    def respond(connection, *_):
        if response := responses[len(server.requests) - 1]:
            connection.send(response)

    server = serve(respond)

    async def send():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.post(server.url)
            async with session.get(server.url) as response:
                return await response.read()

    if VERSION < (3, 10):
        pytest.skip("this version does not repeat requests")
    assert tape_runner.record(send, keep_errors=True) == b"at last"
    server.stop()
    assert tape_runner.replay(send) == b"at last"
    assert len(server.requests) == 3


def test_a_connection_that_the_server_closed_is_replaced(tape_runner, serve):
    first = serve(encode_response(b"first"))

    async def send():
        async with aiohttp.ClientSession() as session:
            async with session.get(first.url) as response:
                await response.read()
            await asyncio.to_thread(first.close_connections)
            await asyncio.sleep(0.05)
            with activate(Tape(tape_runner.path, mode="record")) as tape:
                async with session.get(first.url) as response:
                    await response.read()
            return tape.interactions

    assert len(tape_runner.run(send)) == 1
    assert first.connections == 2


@pytest.mark.parametrize("stage", ["connecting", "waiting"])
def test_a_caller_that_gives_up_before_a_response_is_recorded_as_unanswered(tape_runner, serve, stage):
    ended = threading.Event()
    server = serve(lambda *_: ended.wait(5))

    async def send():
        connector = SlowConnector() if stage == "connecting" else None
        async with aiohttp.ClientSession(connector=connector) as session:
            task = asyncio.create_task(session.post(server.url))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.01)
            return len(session.connector._acquired)

    assert tape_runner.record(send) == 0
    ended.set()
    response = tape_runner.interactions[0].response
    assert response.ending == "unanswered"
    assert response.failure is None
    assert tape_runner.replay(send) == 0
    assert len(tape_runner.tape.played) == 1


def test_a_response_that_is_not_http_raises_the_error_of_the_client(tape_runner, serve):
    server = serve(lambda connection, *_: connection.send(b"not HTTP at all\r\n\r\n"))
    live = tape_runner.run(create_failing_post(server.url))
    with activate(Tape(tape_runner.path, mode="record")) as tape:
        assert tape_runner.run(create_failing_post(server.url)) == live
    assert live[0] is aiohttp.ClientResponseError
    assert tape.save() is None


def test_an_error_of_the_proxy_reaches_the_caller(tape_runner, serve, server_context):
    proxy = TunnelProxy(serve, serve(encode_response(b""), context=server_context))
    send = create_failing_post("https://forbidden.example.com/", proxy=proxy.url)
    live = tape_runner.run(send)
    with activate(Tape(tape_runner.path, mode="record")):
        assert tape_runner.run(send) == live
    assert live[0] is aiohttp.ClientHttpProxyError


def test_a_connection_is_released_to_the_pool(tape_runner, serve):
    server = serve(encode_response(b"again"))

    async def send():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, limit_per_host=1)) as session:

            async def get():
                async with session.get(server.url) as response:
                    return await response.read()

            with activate(Tape(tape_runner.path, mode="record")):
                await asyncio.gather(*(get() for _ in range(5)))
            return await asyncio.gather(*(get() for _ in range(5)))

    assert tape_runner.run(send) == [b"again"] * 5
    assert server.connections == 1


def test_replayed_responses_do_not_wait_for_the_pool(tape_runner, serve):
    server = serve(encode_response(b"many"))

    async def send():
        connector = aiohttp.TCPConnector(limit=2, limit_per_host=1)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def get():
                async with session.get(server.url) as response:
                    return await response.read()

            return await asyncio.wait_for(asyncio.gather(*(get() for _ in range(10))), 5)

    assert tape_runner.record(send) == [b"many"] * 10
    assert tape_runner.replay(send) == [b"many"] * 10


@pytest.mark.parametrize("raw_response", [b"HTTP/1.0 200 OK\r\n\r\nold", encode_response(b"new", b"connection: close")])
def test_connections_that_the_server_closes_are_recorded_and_replayed(tape_runner, serve, raw_response):
    server = serve(lambda connection, *_: connection.send(raw_response))

    async def send():
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.get(server.url) as response:
                    body = await response.read()
            return body

    assert tape_runner.record(send) == tape_runner.replay(send)
    assert server.connections == 2


WEB_SOCKET = """\
{url}: blocked a WebSocket, which cannot be recorded
  to allow the connection, add to pyproject.toml:
    [tool.multitrack]
    ignore_hosts = ["127.0.0.1:{port}"]
  or to the test:
    @pytest.mark.cassette(ignore_hosts=["127.0.0.1:{port}"])"""


async def create_application():
    async def echo_reversed(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data[::-1])
        return socket

    async def hello(_):
        return web.Response(text="hello")

    app = web.Application()
    app.add_routes([web.get("/live", echo_reversed), web.get("/hello", hello)])
    return app


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["replay", "record"])
def test_a_web_socket_is_blocked(tape_runner, mode):
    async def send():
        async with TestServer(await create_application()) as server, aiohttp.ClientSession() as session:
            with activate(Tape(tape_runner.path, mode=mode)) as tape:
                with pytest.raises(LiveCall) as blocked:
                    await session.ws_connect(server.make_url("/live"))
                assert tape.violations == [blocked.value]
                assert str(blocked.value) == WEB_SOCKET.format(url=server.make_url("/live"), port=server.port)

    tape_runner.run(send)


async def use_web_socket(client):
    async with client.ws_connect("/live") as socket:
        await socket.send_str("abc")
        assert await socket.receive_str() == "cba"


@pytest.mark.slow
def test_the_setting_in_the_message_allows_a_web_socket(tape_runner):
    async def send():
        async with TestClient(TestServer(await create_application())) as client:
            with activate(Tape(tape_runner.path)), pytest.raises(LiveCall) as blocked:
                await use_web_socket(client)
            settings = tomllib.loads("\n".join(str(blocked.value).splitlines()[2:4]))["tool"]["multitrack"]
            with activate(Tape(tape_runner.path, settings=Settings().with_options(settings, "pyproject.toml"))) as tape:
                await use_web_socket(client)
            assert tape.violations == []

    tape_runner.run(send)


@pytest.mark.slow
def test_web_sockets_and_a_test_client_work_with_ignored_hosts(tape_runner):
    async def send():
        async with TestClient(TestServer(await create_application())) as client:
            await use_web_socket(client)
            async with client.get("/hello") as response:
                return await response.text()

    assert tape_runner.replay(send, ignore_hosts=("127.0.0.1:*",)) == "hello"
    assert tape_runner.tape.sent == []


def test_a_replay_is_traced_as_a_request_on_a_reused_connection(tape_runner, serve):
    server = serve(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + encode_chunk(b"traced") + b"0\r\n\r\n")

    async def send():
        events = []
        config = aiohttp.TraceConfig()
        for name in dir(config):
            if name.startswith("on_"):

                async def add_event(*_, name=name):
                    events.append(name.removeprefix("on_"))

                getattr(config, name).append(add_event)
        async with (
            aiohttp.ClientSession(trace_configs=[config]) as session,
            session.post(server.url, data=b"x") as response,
        ):
            await response.read()
        return events

    recorded = tape_runner.record(send)
    assert {"connection_create_start", "connection_create_end"} < set(recorded)
    connection_events = {name for name in recorded if name.startswith(("connection", "dns"))}
    expected = [name for name in recorded if name not in connection_events]
    replayed = tape_runner.replay(send)
    assert [name for name in replayed if name != "connection_reuseconn"] == expected
    assert replayed.count("connection_reuseconn") == 1
    assert expected[0] == "request_start"
    assert {"request_chunk_sent", "response_chunk_received", "request_end"} < set(expected)


def test_threads_with_their_own_loops_get_their_own_responses(tape_runner, serve):
    server = serve(lambda connection, _, body: connection.send(encode_response(body)) or True)

    def send_in_thread(number):
        async def send():
            async with aiohttp.ClientSession() as session:
                found = []
                for count in range(20):
                    async with session.post(server.url, data=f"{number}.{count}") as response:
                        found.append(await response.text())
                return found

        return asyncio.run(send())

    def run_all_threads():
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(send_in_thread, range(8)))

    expected = [[f"{number}.{count}" for count in range(20)] for number in range(8)]
    with activate(Tape(tape_runner.path, mode="record")) as tape:
        assert run_all_threads() == expected
    tape.save()
    server.stop()
    with activate(Tape(tape_runner.path)):
        assert run_all_threads() == expected


def test_a_replayed_response_can_be_read_after_the_tape_is_closed(tape_runner, serve):
    server = serve(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"".join(map(encode_chunk, EVENTS))
        + b"0\r\n\r\n"
    )
    tape_runner.record(create_get(server.url))

    async def send():
        async with aiohttp.ClientSession() as session:
            with activate(Tape(tape_runner.path)):
                response = await session.get(server.url)
            return [part async for part in response.content.iter_any()]

    assert b"".join(tape_runner.run(send)) == b"".join(EVENTS)
    assert len(server.requests) == 1


def test_a_session_handles_cookies_headers_and_statuses_of_a_replay(tape_runner, serve):
    def script(connection, head, _):
        cookie = re.search("cookie: (.*)\r", head, re.IGNORECASE)
        connection.send(
            b"HTTP/1.1 404 Not Here\r\nset-cookie: a=1\r\nset-cookie: b=2; path=/\r\nlink: <./x>; rel=next\r\n"
            b"content-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
        )
        return cookie is None

    server = serve(script)

    async def send():
        async with aiohttp.ClientSession(cookies={"c": "3"}) as session, session.get(server.url) as response:
            assert isinstance(response.headers, CIMultiDictProxy)
            assert response.headers["CONTENT-TYPE"] == "application/json"
            assert str(response.links["next"]["url"]) == server.url + "/x"
            document = await response.json()
            with pytest.raises(aiohttp.ClientResponseError) as error:
                response.raise_for_status()
            cookies = sorted(cookie.key for cookie in session.cookie_jar)
            return document, error.value.status, error.value.message, cookies

    assert tape_runner.record(send) == ([], 404, "Not Here", ["a", "b", "c"])
    # the cassette has the names of the cookies, without their values
    assert tape_runner.replay(send) == ([], 404, "Not Here", ["a", "b", "c"])
    assert "a=1" not in tape_runner.path.read_text()


def test_a_session_does_not_repeat_a_miss(tape_runner):
    tape_runner.path.write_text("version: 1\ninteractions: []\n")

    async def send():
        exceptions = []

        async def add_exception(_, __, params):
            exceptions.append(type(params.exception))

        config = aiohttp.TraceConfig()
        config.on_request_exception.append(add_exception)
        async with aiohttp.ClientSession(trace_configs=[config], raise_for_status=True) as session:
            with pytest.raises(CassetteMiss):
                await session.get("http://api.example.com/v1")
        return exceptions

    assert tape_runner.replay(send) == [CassetteMiss]
    assert len(tape_runner.tape.violations) == 1
