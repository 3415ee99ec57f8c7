"""Recorded failures are raised again on replay: the same exception of the same client."""

import asyncio
import gc
import re
import socket
import ssl
import struct
import threading
from contextlib import ExitStack, suppress

import httpx
import httpx2
import openai
import pytest
import requests
import trustme
import urllib3
from senders import ALL

from multitrack.tape.active import activate
from multitrack.tape.file import storage
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

# addresses of objects, lines in Python's own source, and the framing and number of missing bytes
VARIABLE_PARTS = re.compile(r" at 0x[0-9a-f]+|IncompleteRead.*|InvalidChunkLength.*| \(_ssl.c:\d+\)|_ssl.c:\d+: ")
KEEP = Settings(keep_errors=True)
SENDERS = pytest.mark.parametrize("send", ALL.values(), ids=ALL)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
FIRST_CHUNK = HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\npart\r\n"


def mute(connection, held):
    del held
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection, held):
    del held
    # closing the connection then sends RST instead of FIN
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silent(connection, held):
    del connection
    held.wait(5)


def garbage(connection, held):
    del held
    connection.sendall(b"this is no answer\r\n\r\n")


def cut(connection, held):
    del held
    connection.sendall(FIRST_CHUNK)


def cut_by_length(connection, held):
    del held
    connection.sendall(HEAD + b"content-length: 100\r\n\r\npart")


def reset_within(connection, held):
    connection.sendall(FIRST_CHUNK)
    held.wait(0.1)
    reset(connection, held)


def silent_within(connection, held):
    connection.sendall(FIRST_CHUNK)
    held.wait(5)


BEFORE = [mute, reset, silent, garbage]
WITHIN = [cut, cut_by_length, reset_within, silent_within]


class FaultyServer:
    """A server that reads each request, unless ``read`` is false, and then calls ``behave``, until it is stopped."""

    def __init__(self, behave, read):
        self.served = 0
        self._read = read
        self._behave = behave
        self._held = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        # a large request must not fit into the buffers
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.port = self._socket.getsockname()[1]

    def _serve(self):
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection, suppress(OSError):
            while self._read and b"\r\n\r\n" not in connection.recv(65536):
                pass
            self.served += 1
            self._behave(connection, self._held)

    def stop(self):
        self._held.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tape.yaml"


@pytest.fixture
def serve():
    with ExitStack() as stack:

        def serve(behave, read=True):
            server = FaultyServer(behave, read)
            stack.callback(server.stop)
            return server

        yield serve


def outcome(send, url, timeout):
    """Send a request. Return the bytes received, the type and text of the error, and its system error number."""
    chunks = []
    try:
        send(url, chunks, timeout)
    except Exception as error:
        text = VARIABLE_PARTS.sub("", str(error))
        errors = [cause for cause in chain(error) if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError)]
        codes = [cause.errno for cause in errors if cause.errno][:1]
        return b"".join(chunks), type(error), text, codes
    return b"".join(chunks), None, "", []


def chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def record(path, send, url, timeout=0.15):
    with activate(Tape(path, mode="record", settings=KEEP)) as tape:
        result = outcome(send, url, timeout)
    assert tape.save().state == "written"
    return result


def replay(path, send, url, timeout=0.15):
    with activate(Tape(path)) as tape:
        result = outcome(send, url, timeout)
    assert len(tape.played) == len(tape.interactions) > 0
    return result


@pytest.mark.slow
@SENDERS
@pytest.mark.parametrize("behave", [*BEFORE, *WITHIN])
def test_a_broken_response_replays_with_the_same_error(path, serve, send, behave):
    server = serve(behave)
    url = f"http://127.0.0.1:{server.port}/x"
    live = outcome(send, url, timeout=0.15)
    # http.client does not notice that a response is too short if it is read in pieces; neither does old urllib3
    assert live[1] is not None or behave is cut_by_length
    assert record(path, send, url) == live
    assert storage.read(path).interactions[0].response.ending == ("broken" if behave in WITHIN else "unanswered")
    served = server.served
    assert replay(path, send, url) == live
    assert server.served == served


@pytest.fixture
def refusing():
    """The URL of a port without a server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def full():
    """The URL of a port with a full queue: connections are neither accepted nor refused."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def unknown():
    # https://www.rfc-editor.org/rfc/rfc6761#section-6.4
    return "http://nowhere.invalid"


@pytest.fixture
def untrusted():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with ExitStack() as stack:
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.close)
        stack.callback(server.shutdown, socket.SHUT_RDWR)
        yield f"https://localhost:{server.getsockname()[1]}"


@pytest.fixture
def plain(serve):
    return f"https://127.0.0.1:{serve(garbage, read=False).port}"


@pytest.fixture
def stalled(serve):
    return f"https://127.0.0.1:{serve(silent, read=False).port}"


@pytest.fixture
def hanging_up(serve):
    return f"https://127.0.0.1:{serve(mute, read=False).port}"


@pytest.fixture
def resetting(serve):
    def reset_later(connection, held):
        connection.recv(1000)
        reset(connection, held)

    return f"https://127.0.0.1:{serve(reset_later, read=False).port}"


TROUBLES = ["refusing", "full", "unknown", "untrusted", "plain", "stalled", "hanging_up", "resetting"]


@pytest.mark.slow
@SENDERS
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_failed_connection_replays_with_the_same_error(path, send, trouble, request):
    url = f"{request.getfixturevalue(trouble)}/"
    live = outcome(send, url, timeout=0.15)
    assert live[1] is not None
    assert record(path, send, url) == live
    assert path.read_text().splitlines()[0].startswith(f"# 1 · GET {url} · no answer: ")
    assert replay(path, send, url) == live
    gc.collect()  # httplib2 leaves unconnected sockets to the garbage collector


@pytest.mark.slow
@pytest.mark.parametrize("recorder", ["httpx-async", "requests"])
@pytest.mark.parametrize("trouble", ["refusing", "full", "unknown", "untrusted", mute, reset, silent])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_failure_recorded_by_one_client_replays_in_another(tmp_path, recorder, trouble, serve, request):
    server = f"http://127.0.0.1:{serve(trouble).port}" if callable(trouble) else request.getfixturevalue(trouble)
    url = f"{server}/"
    for number, name in enumerate(["httpx", "httpx2-async", "requests", "urllib3", "http.client"]):
        path = tmp_path / f"{number}.yaml"
        record(path, ALL[recorder], url)
        live, replayed = outcome(ALL[name], url, 0.15), replay(path, ALL[name], url)
        assert replayed[1] is live[1], name
    gc.collect()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["httpx", "httpx-async", "requests"])
def test_a_request_that_could_not_be_sent_replays_with_the_same_error(path, serve, name):
    def hang_up(connection, held):
        del held
        connection.recv(1000)
        reset(connection, None)

    url = f"http://127.0.0.1:{serve(hang_up, read=False).port}/"
    body = b"x" * 1_000_000

    def send(url, chunks, timeout):
        del chunks, timeout
        match name:
            case "httpx":
                httpx.post(url, content=body)
            case "httpx-async":
                asyncio.run(post())
            case "requests":
                requests.post(url, data=body, timeout=5)

    async def post():
        async with httpx.AsyncClient() as client:
            await client.post(url, content=body)

    live = record(path, send, url)
    # these clients look for a response first, because a server may send one before it has read the request
    assert live[1] in (httpx.ReadError, httpx.RemoteProtocolError, requests.exceptions.ConnectionError)
    assert replay(path, send, url) == live


def refuse_tunnel(connection, held):
    del held
    connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")


def through(proxy):
    """Return a function for each client that sends a request through ``proxy``."""

    def by_httpx(module):
        def send(url, chunks, timeout):
            with module.Client(proxy=proxy, timeout=timeout, verify=False) as client:
                chunks.append(client.get(url).content)

        return send

    def by_async_httpx(url, chunks, timeout):
        async def main():
            async with httpx.AsyncClient(proxy=proxy, timeout=timeout, verify=False) as client:
                chunks.append((await client.get(url)).content)

        asyncio.run(main())

    def by_requests(url, chunks, timeout):
        with requests.Session() as session:
            chunks.append(session.get(url, proxies={"http": proxy, "https": proxy}, timeout=timeout).content)

    def by_urllib3(url, chunks, timeout):
        with urllib3.ProxyManager(proxy, retries=False, timeout=timeout) as pool:
            chunks.append(pool.request("GET", url).data)

    return {
        "httpx": by_httpx(httpx),
        "httpx2": by_httpx(httpx2),
        "httpx-async": by_async_httpx,
        "requests": by_requests,
        "urllib3": by_urllib3,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", through(""))
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("trouble", ["refusing", refuse_tunnel, mute, silent])
def test_a_failed_proxy_replays_with_the_same_error(path, serve, name, scheme, trouble, request):
    is_server = callable(trouble)
    proxy = f"http://127.0.0.1:{serve(trouble).port}" if is_server else request.getfixturevalue(trouble)
    send, url = through(proxy)[name], f"{scheme}://api.example.com/"
    timeout = 0.15 if trouble is silent else 5
    live = outcome(send, url, timeout)
    assert (live[1] is None) == (trouble is refuse_tunnel and scheme == "http")
    assert record(path, send, url, timeout) == live
    assert replay(path, send, url, timeout) == live


def by_openai(url, chunks, timeout):
    with openai.OpenAI(base_url=url, api_key="test", max_retries=0, timeout=timeout) as client:
        chunks.append(client.models.list())


def by_async_openai(url, chunks, timeout):
    async def main():
        async with openai.AsyncOpenAI(base_url=url, api_key="test", max_retries=0, timeout=timeout) as client:
            chunks.append(await client.models.list())

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("send", [by_openai, by_async_openai])
@pytest.mark.parametrize("trouble", [*TROUBLES, mute, reset, silent, cut, silent_within])
def test_openai_errors_replay(path, serve, send, trouble, request):
    url = f"http://127.0.0.1:{serve(trouble).port}/" if callable(trouble) else f"{request.getfixturevalue(trouble)}/"
    is_timeout = trouble in ("full", "stalled", silent, silent_within)
    timeout = 0.15 if is_timeout else 5
    live = outcome(send, url, timeout)
    assert live[1] is (openai.APITimeoutError if is_timeout else openai.APIConnectionError)
    assert record(path, send, url, timeout) == live
    assert replay(path, send, url, timeout) == live
