"""Connections: their address, when they are opened, how they are used after the tape is closed, and their errors."""

from __future__ import annotations

import gc
import http.client
import json
import socket
import ssl
import subprocess
import sys
import urllib.error
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests
import urllib3
from urllib3.util import Retry

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.exchange import Response

URLS = [
    "https://api.example.com/v1/chat?a=b%20c",
    "https://api.example.com:8443/v1",
    "http://api.example.com/",
    "http://api.example.com:443/",
    "http://[2001:db8::1]:8080/v1",
    "https://[2001:db8::1]/v1",
]


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **_):
        raise AssertionError(f"a name lookup or a socket for {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "__init__", refuse)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.usefixtures("no_network")
def test_replay_needs_no_name_lookup_and_no_socket(url, client, router):
    router.mode = "replay"
    router.recorded["GET", url, b""].extend([Response(200, "OK", (), b"recorded")] * 2)
    with activate(router):
        assert client("GET", url).body == b"recorded"
        assert client("GET", url).body == b"recorded"


def test_requests_through_a_proxy_share_connections_and_are_replayed(proxy, router, ca_file, tls_server):
    proxies = {"http": proxy.url, "https": proxy.url}
    secure, plain = "https://api.example.com/echo", "http://plain.example.com/page?x=1"

    def send():
        with requests.Session() as session:
            session.trust_env = False
            first = session.get(secure, proxies=proxies, verify=ca_file)
            again = session.get(secure, proxies=proxies, verify=ca_file)
            return first.json()["count"], again.json()["count"], session.get(plain, proxies=proxies).text

    with activate(router):
        recorded = send()
    assert recorded == (1, 2, "proxied")
    assert [request.url for request in router.requests] == [secure, secure, plain]
    assert proxy.requests == ["CONNECT api.example.com:443", f"GET {plain}"]
    proxy.stop()
    tls_server.stop()
    router.mode = "replay"
    with activate(router):
        assert send() == recorded


def test_a_tunnel_of_http_client_is_replayed_without_a_proxy_connection(proxy, router, ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    for _ in ("record", "replay"):
        connection = http.client.HTTPSConnection("localhost", proxy.server_port, context=context)
        with activate(router), closing(connection):
            connection.set_tunnel("api.example.com", 443)
            for _ in range(2):
                connection.request("GET", "/echo")
                assert connection.getresponse().read()
        router.mode = "replay"
    assert {request.url for request in router.requests} == {"https://api.example.com/echo"}
    assert proxy.requests == ["CONNECT api.example.com:443"]


def test_an_error_of_the_proxy_is_recorded(proxy, router, ca_file):
    with (
        activate(router),
        requests.Session() as session,
        pytest.raises(requests.exceptions.ProxyError, match="Tunnel connection failed: 403"),
    ):
        session.get("https://forbidden.example.com/", proxies={"https": proxy.url}, verify=ca_file)
    assert isinstance(router.recorders[0].error, OSError)


def find_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


ERRORS = {
    "requests": requests.exceptions.ConnectionError,
    "google_auth": requests.exceptions.ConnectionError,
    "urllib3": urllib3.exceptions.NewConnectionError,
    "urllib": urllib.error.URLError,
    "httplib2": ConnectionRefusedError,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_refused_connection_raises_the_error_of_the_client(name, scheme, clients, router):
    client = getattr(clients, name)()
    url = f"{scheme}://localhost:{find_free_port()}/"

    def find_error_type():
        with pytest.raises(ERRORS[name]) as error:
            client("GET", url)
        return error.type

    live = find_error_type()
    with activate(router):
        assert find_error_type() is live
    assert router.recorders
    assert all(recorder.error is not None for recorder in router.recorders)
    # httplib2 never closes its unconnected socket, with or without a tape; the tracebacks of the errors refer to it
    router.recorders.clear()
    gc.collect()


def test_an_unknown_certificate_raises_the_error_of_the_client(router, tls_server):
    with activate(router), requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get(tls_server.url + "/echo")
    assert router.recorders[0].error is not None


def test_a_connection_closed_without_a_response_is_recorded_as_an_error(client, router, server):
    with activate(router), pytest.raises(Exception):  # noqa: B017, PT011 - each client raises its own
        client("GET", server.url + "/mute")
    assert all(isinstance(recorder.error, ConnectionError) for recorder in router.recorders)
    assert router.recorders


def test_a_read_timeout_is_recorded_as_an_error(router, server):
    with activate(router), requests.Session() as session, pytest.raises(requests.exceptions.ReadTimeout):
        session.get(server.url + "/slow", timeout=(5, 0.1))
    assert isinstance(router.recorders[0].error, TimeoutError)
    server.received.release()


def create_retrying_session():
    session = requests.Session()
    retry = Retry(5, status_forcelist=[429, 503], allowed_methods=None, backoff_factor=0)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
    return session


def test_retries_of_urllib3_are_recorded_and_replayed(router, server):
    with activate(router), create_retrying_session() as session:
        assert session.post(server.url + "/flaky").content == b"at last"
        assert [recorder.status for recorder in router.recorders] == [429, 429, 200]
        router.mode = "replay"
        assert session.post(server.url + "/flaky").content == b"at last"
    assert len(router.requests) == 6
    assert server.requests == 3


def test_a_miss_is_not_retried(router, server):
    router.mode = "replay"
    with activate(router), create_retrying_session() as session:
        with pytest.raises(CassetteMiss):
            session.get(server.url + "/echo")
        assert len(router.requests) == 1
        router.recorded["GET", server.url + "/echo", b""].append(Response(200, "OK", (), b"recorded"))
        assert session.get(server.url + "/echo").content == b"recorded"
    assert server.connections == 0


def test_a_miss_reaches_the_caller_and_the_client_stays_usable(client, router, server):
    router.mode = "replay"
    with activate(router):
        with pytest.raises(CassetteMiss):
            client("POST", server.url + "/echo", b"changed")
        assert len(router.requests) == 1
    assert json.loads(client("POST", server.url + "/echo", b"live").body)["count"] == 1


def test_a_miss_closes_a_bare_connection(router, server):
    router.mode = "replay"
    with closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        with activate(router), pytest.raises(CassetteMiss):
            connection.request("GET", "/echo")
        assert connection.sock is None
        connection.request("GET", "/echo")
        assert connection.getresponse().status == 200


def test_an_open_connection_is_unused_on_replay_and_used_again_afterwards(router, server):
    with closing(http.client.HTTPConnection("localhost", server.server_port)) as connection:
        connection.request("GET", "/echo")
        connection.getresponse().read()
        real = connection.sock
        router.mode = "replay"
        router.recorded["GET", server.url + "/echo", b""].append(Response(200, "OK", (), b"recorded"))
        with activate(router):
            connection.request("GET", "/echo")
            assert connection.getresponse().read() == b"recorded"
            router.mode = "record"
            connection.request("GET", "/echo")
            assert json.loads(connection.getresponse().read())["count"] == 2
        assert connection.sock is real
        connection.request("GET", "/echo")
        assert json.loads(connection.getresponse().read())["count"] == 3
    assert server.connections == 1


def test_a_recorded_connection_is_kept_alive(client, router, server):
    if client.__qualname__.startswith("Clients.urllib."):
        pytest.skip("urllib.request closes every connection")
    with activate(router):
        for _ in range(3):
            client("GET", server.url + "/echo")
    client("GET", server.url + "/echo")
    assert server.connections == 1
    assert server.requests == 4


def test_a_pool_notices_that_the_server_closed_an_unused_connection(router, server):
    with requests.Session() as session:
        session.get(server.url + "/echo")
        server.stop()
        again = type(server)(port=server.server_port)
        try:
            with activate(router):
                assert session.get(server.url + "/echo").json()["count"] == 1
        finally:
            again.stop()


def test_a_connection_opened_with_a_tape_can_be_used_after_it_is_closed(router, tls_server, ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    connection = http.client.HTTPSConnection("localhost", tls_server.server_port, context=context)
    with closing(connection):
        with activate(router):
            connection.connect()
            connection.sock.settimeout(5)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert connection.sock.getpeercert() is None
            assert not urllib3.util.wait_for_read(connection.sock, timeout=0)
        assert tls_server.connections == 0
        connection.request("GET", "/echo")
        assert json.loads(connection.getresponse().read())["count"] == 1
        assert connection.sock.getpeercert()
    assert router.requests == []


def test_a_connection_closed_before_reading_is_recorded_as_left(router, server):
    connection = http.client.HTTPConnection("localhost", server.server_port)
    with activate(router):
        connection.request("GET", "/echo")
        connection.close()
    assert router.recorders[0].status is None
    assert router.recorders[0].ending == "left"


def test_a_subclass_with_its_own_connect_is_intercepted(router, server):
    """Applications have such subclasses to connect to Unix sockets, and to override host names."""

    class RedirectedConnection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.create_connection(("127.0.0.1", server.server_port))

    def send():
        with closing(RedirectedConnection("api.example.com")) as connection:
            connection.request("GET", "/echo")
            return connection.getresponse().read()

    with activate(router):
        recorded = send()
        server.stop()
        router.mode = "replay"
        assert send() == recorded
    assert router.requests[0].url == "http://api.example.com/echo"


def test_replay_does_not_warn_about_an_unverified_request(router):
    router.mode = "replay"
    url = "https://api.example.com/"
    router.recorded["GET", url, b""].append(Response(200, "OK", (), b"recorded"))
    with activate(router), warnings.catch_warnings(), requests.Session() as session:
        warnings.simplefilter("error")
        assert session.get(url).content == b"recorded"


def test_32_threads_get_their_own_responses(router, server):
    def send(session, number):
        return session.post(server.url + "/echo", data=b"%d" % number).json()["body"]

    adapter = requests.adapters.HTTPAdapter(pool_maxsize=32)
    with requests.Session() as session, ThreadPoolExecutor(32) as pool:
        session.mount("http://", adapter)
        with activate(router):
            recorded = list(pool.map(lambda number: send(session, number), range(400)))
            router.mode = "replay"
            replayed = list(pool.map(lambda number: send(session, number), range(400)))
    assert recorded == replayed == [str(number) for number in range(400)]
    assert server.requests == 400


def test_libraries_imported_while_a_tape_is_open_are_intercepted(server):
    program = f"""
import sys
from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate

class Tape:
    def route(self, request):
        raise CassetteMiss(request.url)

assert "urllib3" not in sys.modules
assert "http.client" not in sys.modules
with activate(Tape()):
    import requests
    try:
        requests.get({server.url + "/echo"!r})
    except CassetteMiss as miss:
        print(miss)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == f"{server.url}/echo\n"
    assert server.connections == 0


@pytest.mark.slow
def test_all_patches_are_undone_after_the_tape_is_closed(tmp_path):
    # in a process of its own: in this one, the patches may stay for a thread that has outlived an earlier test
    program = f"""
import http.client
import multitrack
import urllib3.connection

modules = (http.client, urllib3.connection)
classes = [getattr(module, name) for module in modules for name in ("HTTPConnection", "HTTPSConnection")]


def attributes():
    return [dict(vars(cls)) for cls in classes]


before = attributes()
with multitrack.use_cassette({str(tmp_path / "trip.yaml")!r}):
    print("patched" if attributes() != before else "not patched")
print("undone" if attributes() == before else "not undone")
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split("\n") == ["patched", "undone", ""]
