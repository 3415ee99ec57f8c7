"""Raw sockets under a tape: nearby ones pass, others are stopped unless allowed."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import ssl
import threading

import pytest

from multitrack.errors import LiveCall
from multitrack.tape.active import activate
from multitrack.tape.exchange import Passthrough
from multitrack.tape.interceptors import tripwire

# an address that is never anybody's, by RFC 5737
FOREIGN = "192.0.2.1"


class Tape:
    def __init__(self, *allowed):
        self.allowed = allowed
        self.asked = []
        self.refused = []

    def route(self, request):
        raise AssertionError(request)

    def allows_connection(self, host, port):
        self.asked.append((host, port))
        return f"{host}:{port}" in self.allowed

    def add_violation(self, violation):
        self.refused.append(violation)


@pytest.fixture
def unroutable():
    """A socket that the system lets go nowhere but to this machine, so that nothing is really sent."""
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
    ("family", "address", "place"),
    [
        (socket.AF_INET, (FOREIGN, 443), "192.0.2.1:443"),
        (socket.AF_INET, ("db.example.com", 5432), "db.example.com:5432"),
        (socket.AF_INET, (b"db.example.com", 5432), "db.example.com:5432"),
        (socket.AF_INET, ("127.example.com", 80), "127.example.com:80"),
        (socket.AF_INET6, ("2001:db8::1", 443, 0, 0), "[2001:db8::1]:443"),
        (socket.AF_INET6, ("::ffff:192.0.2.1", 443, 0, 0), "[::ffff:192.0.2.1]:443"),
    ],
)
def test_a_foreign_connection_is_stopped(connect, family, address, place):
    with activate(Tape()) as tape, socket.socket(family) as sock, pytest.raises(LiveCall) as stopped:
        getattr(sock, connect)(address)
    assert tape.refused == [stopped.value]
    assert str(stopped.value) == (
        f"{place}: a socket would leave this machine past the tape, opened by a client that no seam sees\n"
        f"  if it may, say so in pyproject.toml:\n"
        f"    [tool.multitrack]\n"
        f'    allow_hosts = ["{place}"]\n'
        f"  or at the test:\n"
        f'    @pytest.mark.cassette(allow_hosts=["{place}"])'
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", ""])
def test_loopback_passes(host, listener):
    tape = Tape()
    with activate(tape), socket.socket() as sock:
        sock.settimeout(5)
        code = sock.connect_ex((host, listener.getsockname()[1]))
    # the server listens on one of these only; the others refuse for themselves
    assert (code == 0) == (host != "127.1.2.3")
    assert tape.asked == []


def test_ipv6_loopback_passes():
    with activate(Tape()), socket.socket(socket.AF_INET6) as sock:
        for host in ("::1", "::", "::ffff:127.0.0.1"):
            assert sock.connect_ex((host, 1)) != 0


@pytest.mark.slow
def test_a_unix_socket_passes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as sock:
        server.bind("server")
        server.listen()
        with activate(Tape()):
            sock.connect("server")


def test_a_datagram_socket_may_learn_its_own_address():
    with activate(Tape()), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect_ex((FOREIGN, 53))


def to_no_place(sock):
    # a socket is told its place without a packet, but not where no way leads there
    if error := sock.connect_ex((FOREIGN, 443)):
        pytest.skip(f"no network: {os.strerror(error)}")


SENDING = {
    "sendto": lambda sock: sock.sendto(b"x", (FOREIGN, 443)),
    "sendmsg": lambda sock: sock.sendmsg((b"x", b"y"), [], 0, (FOREIGN, 443)),
    "send": lambda sock: (to_no_place(sock), sock.send(b"x")),
    "sendall": lambda sock: (to_no_place(sock), sock.sendall(b"x")),
}


@pytest.mark.parametrize("send", SENDING.values(), ids=SENDING)
def test_a_datagram_is_stopped(send):
    # HTTP/3 goes in them
    with activate(Tape()) as tape, socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(LiveCall) as stopped:
        send(sock)
    assert tape.refused == [stopped.value]
    assert str(stopped.value).startswith("192.0.2.1:443: a socket would leave this machine past the tape")


@pytest.mark.slow
def test_datagrams_that_pass():
    with socket.socket(type=socket.SOCK_DGRAM) as near, socket.socket(type=socket.SOCK_DGRAM) as sock:
        near.bind(("127.0.0.1", 0))
        near.settimeout(5)
        with activate(Tape()) as tape:
            sock.sendto(b"one", near.getsockname())
            sock.sendmsg((b"t", b"wo"), [], 0, near.getsockname())
            sock.connect(near.getsockname())
            sock.send(b"three")
            assert [near.recv(9) for _ in range(3)] == [b"one", b"two", b"three"]
        assert tape.asked == []
        # which address a name has is asked for in datagrams, too, and is no request; neither is one to nobody
        with activate(Tape()), socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.bind(("127.0.0.1", 0))
            with pytest.raises(OSError):  # noqa: PT011 - the system's, as unroutable
                asking.sendto(b"x", (FOREIGN, 53))
            with pytest.raises(OSError):  # noqa: PT011
                asking.send(b"x")


@pytest.mark.slow
def test_an_allowed_connection_passes(unroutable):
    tape = Tape(f"{FOREIGN}:443")
    with activate(tape), pytest.raises(OSError):  # noqa: PT011 - the system's, as unroutable
        unroutable.connect((FOREIGN, 443))
    assert tape.asked == [(FOREIGN, 443)]


def test_a_bad_address_is_the_sockets_own_error():
    with activate(Tape()), socket.socket() as sock, pytest.raises(TypeError):
        sock.connect("example.com:80")


@pytest.fixture
def look_up(monkeypatch):
    def getaddrinfo(_, port, *__, **___):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (FOREIGN, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def dial(host, port):
    return socket.create_connection((host, port), timeout=5, source_address=("127.0.0.1", 0))


@pytest.mark.slow
@pytest.mark.usefixtures("look_up")
def test_the_name_that_was_looked_up_is_printed_and_can_be_allowed():
    tape = Tape()
    with activate(tape):
        with pytest.raises(LiveCall, match=r"^db\.example\.com:5432: "):
            dial("db.example.com", 5432)
        assert tape.asked == [("db.example.com", 5432), (FOREIGN, 5432)]
        tape.allowed = ("db.example.com:5432",)
        with pytest.raises(OSError):  # noqa: PT011
            dial("db.example.com", 5432)
        # another name of the same address: the last is printed, each can be allowed
        tape.allowed = ()
        with pytest.raises(LiveCall, match=r"^other\.example\.com:5432: "):
            dial("other.example.com", 5432)
    with activate(Tape()), pytest.raises(LiveCall, match=r"^192\.0\.2\.1:5432: "):
        dial(FOREIGN, 5432)


@pytest.mark.usefixtures("look_up")
def test_asyncio_meets_it():
    async def dial():
        await asyncio.open_connection("db.example.com", 5432)

    with activate(Tape()), pytest.raises(LiveCall, match=r"^db\.example\.com:5432: "):
        asyncio.run(dial())


def test_uvloop_meets_it(listener):
    uvloop = pytest.importorskip("uvloop")

    async def dial(host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await writer.wait_closed()

    with activate(Tape()) as tape:
        for host in ("127.0.0.1", "localhost", b"localhost"):
            uvloop.run(dial(host, listener.getsockname()[1]))
        assert tape.asked == []
        with pytest.raises(LiveCall, match=r"^192\.0\.2\.1:443: ") as stopped:
            uvloop.run(dial(FOREIGN, "443"))
        assert tape.refused == [stopped.value]
    assert "create_connection" not in vars(uvloop.Loop)


def test_tls_meets_it():
    context = ssl.create_default_context()
    with (
        activate(Tape()),
        context.wrap_socket(socket.socket(), server_hostname="example.com") as sock,
        pytest.raises(LiveCall),
    ):
        sock.connect((FOREIGN, 443))


def test_threads_meet_it():
    stopped = []

    def dial():
        with socket.socket() as sock:
            try:
                sock.connect((FOREIGN, 443))
            except LiveCall as error:
                stopped.append(error)

    with activate(Tape()):
        thread = threading.Thread(target=dial)
        thread.start()
        thread.join()
    assert len(stopped) == 1


@pytest.mark.slow
def test_a_seams_own_connection_passes(unroutable):
    tape = Tape()
    with activate(tape):
        with tripwire.opened(), pytest.raises(OSError):  # noqa: PT011
            unroutable.connect((FOREIGN, 443))
        # and no longer than that
        with pytest.raises(LiveCall):
            unroutable.connect((FOREIGN, 443))


@pytest.mark.slow
def test_a_seams_own_connection_passes_in_tasks_begun_inside(unroutable):
    unroutable.setblocking(False)

    async def connect():
        await asyncio.get_running_loop().sock_connect(unroutable, (FOREIGN, 443))

    async def dial():
        with tripwire.opened():
            task = asyncio.create_task(connect())
        with pytest.raises(OSError):  # noqa: PT011
            await task
        with pytest.raises(LiveCall):
            await connect()

    with activate(Tape()):
        asyncio.run(dial())


@pytest.mark.slow
def test_what_the_http_seam_connects_is_its_own():
    class Live(Tape):
        def route(self, _):
            return Passthrough()

    connection = http.client.HTTPConnection(FOREIGN, source_address=("127.0.0.1", 0), timeout=5)
    with activate(Live()), pytest.raises(OSError):  # noqa: PT011
        connection.request("GET", "/")


@pytest.mark.slow
def test_without_a_tape_nothing_is_left(unroutable):
    look_up = socket.getaddrinfo
    with activate(Tape()):
        assert "connect" in vars(socket.socket)
    assert not {"connect", "connect_ex"} & set(vars(socket.socket))
    assert socket.getaddrinfo is look_up
    with pytest.raises(OSError):  # noqa: PT011
        unroutable.connect((FOREIGN, 443))
