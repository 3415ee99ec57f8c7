"""Raw sockets while a tape is open: connections to this machine pass, other connections are blocked unless allowed."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import ssl
import threading

import pytest
import trustme

from multitrack.errors import LiveCall
from multitrack.tape.active import activate
from multitrack.tape.exchange import Passthrough
from multitrack.tape.interceptors import tripwire

# an address that is reserved for documentation (RFC 5737), so nothing ever answers there
FOREIGN = "192.0.2.1"


class FakeTape:
    def __init__(self, *allowed_hosts):
        self.allowed_hosts = allowed_hosts
        self.checked_hosts = []
        self.violations = []

    def route(self, request):
        raise AssertionError(request)

    def allows_connection(self, host, port):
        self.checked_hosts.append((host, port))
        return f"{host}:{port}" in self.allowed_hosts

    def add_violation(self, violation):
        self.violations.append(violation)


@pytest.fixture
def unroutable():
    """A socket that can only reach this machine, so that nothing is really sent to the network."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


@pytest.fixture
def listener(starts_server):
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize("connect", ["connect", "connect_ex"])
@pytest.mark.parametrize(
    ("family", "address", "location"),
    [
        (socket.AF_INET, (FOREIGN, 443), "192.0.2.1:443"),
        (socket.AF_INET, ("db.example.com", 5432), "db.example.com:5432"),
        (socket.AF_INET, (b"db.example.com", 5432), "db.example.com:5432"),
        (socket.AF_INET, ("127.example.com", 80), "127.example.com:80"),
        (socket.AF_INET6, ("2001:db8::1", 443, 0, 0), "[2001:db8::1]:443"),
        (socket.AF_INET6, ("::ffff:192.0.2.1", 443, 0, 0), "[::ffff:192.0.2.1]:443"),
    ],
)
def test_a_connection_to_another_machine_is_blocked(connect, family, address, location):
    with activate(FakeTape()) as tape, socket.socket(family) as sock, pytest.raises(LiveCall) as blocked:
        getattr(sock, connect)(address)
    assert tape.violations == [blocked.value]
    assert str(blocked.value) == (
        f"{location}: blocked a socket that would bypass the tape, because Multitrack does not intercept this client\n"
        f"  to allow the connection, add to pyproject.toml:\n"
        f"    [tool.multitrack]\n"
        f'    allow_hosts = ["{location}"]\n'
        f"  or to the test:\n"
        f'    @pytest.mark.cassette(allow_hosts=["{location}"])'
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", ""])
def test_a_connection_to_loopback_passes(host, listener):
    tape = FakeTape()
    with activate(tape), socket.socket() as sock:
        sock.settimeout(5)
        code = sock.connect_ex((host, listener.getsockname()[1]))
    # the server does not listen on 127.1.2.3, so the system refuses that connection
    assert (code == 0) == (host != "127.1.2.3")
    assert tape.checked_hosts == []


def test_a_connection_to_ipv6_loopback_passes():
    with activate(FakeTape()), socket.socket(socket.AF_INET6) as sock:
        for host in ("::1", "::", "::ffff:127.0.0.1"):
            assert sock.connect_ex((host, 1)) != 0


@pytest.mark.slow
def test_a_unix_socket_passes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as sock:
        server.bind("server")
        server.listen()
        with activate(FakeTape()):
            sock.connect("server")


def test_connecting_a_datagram_socket_passes():
    with activate(FakeTape()), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect_ex((FOREIGN, 53))


def connect_datagram_socket(sock):
    # connecting it sends no packet, but fails if the machine has no route
    if error := sock.connect_ex((FOREIGN, 443)):
        pytest.skip(f"no network: {os.strerror(error)}")


SEND_METHODS = {
    "sendto": lambda sock: sock.sendto(b"x", (FOREIGN, 443)),
    "sendmsg": lambda sock: sock.sendmsg((b"x", b"y"), [], 0, (FOREIGN, 443)),
    "send": lambda sock: (connect_datagram_socket(sock), sock.send(b"x")),
    "sendall": lambda sock: (connect_datagram_socket(sock), sock.sendall(b"x")),
}


@pytest.mark.parametrize("send", SEND_METHODS.values(), ids=SEND_METHODS)
def test_a_datagram_to_another_machine_is_blocked(send):
    # HTTP/3 uses datagrams
    with (
        activate(FakeTape()) as tape,
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(LiveCall) as blocked,
    ):
        send(sock)
    assert tape.violations == [blocked.value]
    assert str(blocked.value).startswith("192.0.2.1:443: blocked a socket that would bypass the tape")


@pytest.mark.slow
def test_datagrams_to_this_machine_and_name_lookups_pass():
    with socket.socket(type=socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as sock:
        near.bind(("127.0.0.1", 0))
        near.settimeout(5)
        with activate(FakeTape()) as tape:
            sock.sendto(b"one", near.getsockname())
            sock.sendmsg((b"t", b"wo"), [], 0, near.getsockname())
            sock.connect(near.getsockname())
            sock.send(b"three")
            assert [near.recv(9) for _ in range(3)] == [b"one", b"two", b"three"]
        assert tape.checked_hosts == []
        # name lookups use datagrams, too, but are not requests; the second socket is not connected at all
        with activate(FakeTape()), socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            with pytest.raises(OSError):  # noqa: PT011 - raised by the system, because there is no route
                sender.sendto(b"x", (FOREIGN, 53))
            with pytest.raises(OSError):  # noqa: PT011
                sender.send(b"x")


@pytest.mark.slow
def test_an_allowed_connection_passes(unroutable):
    tape = FakeTape(f"{FOREIGN}:443")
    with activate(tape), pytest.raises(OSError):  # noqa: PT011 - raised by the system, because there is no route
        unroutable.connect((FOREIGN, 443))
    assert tape.checked_hosts == [(FOREIGN, 443)]


def test_the_socket_itself_rejects_an_invalid_address():
    with activate(FakeTape()), socket.socket() as sock, pytest.raises(TypeError):
        sock.connect("example.com:80")


@pytest.fixture
def fake_lookup(monkeypatch):
    def getaddrinfo(_, port, *__, **___):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (FOREIGN, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def dial(host, port):
    return socket.create_connection((host, port), timeout=5, source_address=("127.0.0.1", 0))


@pytest.mark.slow
@pytest.mark.usefixtures("fake_lookup")
def test_the_name_that_was_looked_up_is_reported_and_can_be_allowed():
    tape = FakeTape()
    with activate(tape):
        with pytest.raises(LiveCall, match=r"^db\.example\.com:5432: "):
            dial("db.example.com", 5432)
        assert tape.checked_hosts == [("db.example.com", 5432), (FOREIGN, 5432)]
        tape.allowed_hosts = ("db.example.com:5432",)
        with pytest.raises(OSError):  # noqa: PT011
            dial("db.example.com", 5432)
        # another name of the same address: the most recent is reported, and each can be allowed
        tape.allowed_hosts = ()
        with pytest.raises(LiveCall, match=r"^other\.example\.com:5432: "):
            dial("other.example.com", 5432)
    with activate(FakeTape()), pytest.raises(LiveCall, match=r"^192\.0\.2\.1:5432: "):
        dial(FOREIGN, 5432)


@pytest.mark.usefixtures("fake_lookup")
def test_a_connection_of_asyncio_is_blocked():
    async def dial():
        await asyncio.open_connection("db.example.com", 5432)

    with activate(FakeTape()), pytest.raises(LiveCall, match=r"^db\.example\.com:5432: "):
        asyncio.run(dial())


def test_a_connection_of_uvloop_is_blocked(listener):
    uvloop = pytest.importorskip("uvloop")

    async def dial(host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await writer.wait_closed()

    with activate(FakeTape()) as tape:
        for host in ("127.0.0.1", "localhost", b"localhost"):
            uvloop.run(dial(host, listener.getsockname()[1]))
        assert tape.checked_hosts == []
        with pytest.raises(LiveCall, match=r"^192\.0\.2\.1:443: ") as blocked:
            uvloop.run(dial(FOREIGN, "443"))
        assert tape.violations == [blocked.value]
    assert "create_connection" not in vars(uvloop.Loop)


def test_a_tls_connection_is_blocked():
    context = ssl.create_default_context()
    with (
        activate(FakeTape()),
        context.wrap_socket(socket.socket(), server_hostname="example.com") as sock,
        pytest.raises(LiveCall),
    ):
        sock.connect((FOREIGN, 443))


def test_a_connection_in_a_thread_is_blocked():
    errors = []

    def dial():
        with socket.socket() as sock:
            try:
                sock.connect((FOREIGN, 443))
            except LiveCall as error:
                errors.append(error)

    with activate(FakeTape()):
        thread = threading.Thread(target=dial)
        thread.start()
        thread.join()
    assert len(errors) == 1


class FarSocket(socket.socket):
    """A connected socket that claims to be connected to another machine."""

    def getpeername(self):
        return FOREIGN, 443


@pytest.fixture
def connected(listener):
    """A socket that was connected before the tape opened."""
    with FarSocket() as sock:
        sock.connect(listener.getsockname())
        yield sock


REQUEST = b"POST /v1 HTTP/1.1\r\nHost: api.example.com:443\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "send",
    [
        lambda sock: sock.send(REQUEST),
        lambda sock: sock.sendall(bytearray(REQUEST)),
        lambda sock: sock.sendall(memoryview(REQUEST)),
        lambda sock: sock.sendmsg([REQUEST, b"body"]),
    ],
    ids=["send", "sendall", "view", "sendmsg"],
)
def test_a_request_over_a_connection_from_before_the_tape_is_blocked(connected, send):
    with activate(FakeTape()) as tape, pytest.raises(LiveCall) as blocked:
        send(connected)
    assert tape.violations == [blocked.value]
    assert str(blocked.value).startswith("api.example.com:443: blocked a socket that would bypass the tape")


@pytest.fixture(scope="module")
def tls_contexts():
    """The contexts of a server and of its client."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@pytest.mark.slow
@pytest.mark.parametrize("method", ["write", "writelines"])
def test_a_request_over_a_tls_stream_from_before_the_tape_is_blocked(tls_contexts, monkeypatch, method):
    server_context, client_context = tls_contexts

    async def send(tape):
        async with await asyncio.start_server(lambda *_: None, "localhost", 0, ssl=server_context) as server:
            address = server.sockets[0].getsockname()[:2]
            _, writer = await asyncio.open_connection(*address, ssl=client_context, server_hostname="localhost")
            monkeypatch.setattr("asyncio.trsock.TransportSocket.getpeername", lambda _: (FOREIGN, 443))
            with activate(tape):
                writer.write(b"SELECT 1")
                with tripwire.disable():
                    writer.write(REQUEST)
                assert tape.violations == []
                with pytest.raises(LiveCall, match=r"^api\.example\.com:443: blocked a socket"):
                    getattr(writer, method)(REQUEST if method == "write" else [REQUEST, b"body"])
            writer.transport.abort()

    tape = FakeTape()
    asyncio.run(send(tape))
    assert len(tape.violations) == 1


@pytest.mark.slow
@pytest.mark.parametrize("allowed", ["api.example.com:443", f"{FOREIGN}:443"])
def test_a_request_to_an_allowed_host_passes(connected, allowed):
    with activate(FakeTape(allowed)):
        connected.sendall(REQUEST)


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"SELECT 1", b"", b"GET key\r\n", [], "text"])
def test_other_data_over_a_connection_from_before_the_tape_passes(connected, data):
    # a database, a debugger, or the controller of pytest-xdist
    with activate(FakeTape()) as tape:
        try:
            connected.send(data)
        except TypeError:  # raised by the real method
            assert not isinstance(data, bytes)
    assert tape.violations == []


@pytest.mark.slow
def test_a_request_of_an_interceptor_passes(connected):
    with activate(FakeTape()), tripwire.disable():
        connected.sendall(REQUEST)


@pytest.mark.slow
def test_a_connection_of_an_interceptor_passes(unroutable):
    tape = FakeTape()
    with activate(tape):
        with tripwire.disable(), pytest.raises(OSError):  # noqa: PT011
            unroutable.connect((FOREIGN, 443))
        # blocked again after the block
        with pytest.raises(LiveCall):
            unroutable.connect((FOREIGN, 443))


@pytest.mark.slow
def test_a_connection_of_an_interceptor_passes_in_tasks_started_inside(unroutable):
    unroutable.setblocking(False)

    async def connect():
        await asyncio.get_running_loop().sock_connect(unroutable, (FOREIGN, 443))

    async def dial():
        with tripwire.disable():
            task = asyncio.create_task(connect())
        with pytest.raises(OSError):  # noqa: PT011
            await task
        with pytest.raises(LiveCall):
            await connect()

    with activate(FakeTape()):
        asyncio.run(dial())


@pytest.mark.slow
def test_the_http_interceptor_connects_past_the_tripwire():
    class LiveTape(FakeTape):
        def route(self, _):
            return Passthrough()

    connection = http.client.HTTPConnection(FOREIGN, source_address=("127.0.0.1", 0), timeout=5)
    with activate(LiveTape()), pytest.raises(OSError):  # noqa: PT011
        connection.request("GET", "/")


@pytest.mark.slow
def test_no_patch_is_left_after_the_tape_is_closed(unroutable):
    getaddrinfo = socket.getaddrinfo
    with activate(FakeTape()):
        assert "connect" in vars(socket.socket)
    assert not {"connect", "connect_ex"} & set(vars(socket.socket))
    assert socket.getaddrinfo is getaddrinfo
    with pytest.raises(OSError):  # noqa: PT011
        unroutable.connect((FOREIGN, 443))
