"""Local servers, a tape in memory, and a client of each library."""

from __future__ import annotations

import contextlib
import gzip
import json
import select
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests
import trustme
import urllib3

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.exchange import Passthrough, Replay, Response
from multitrack.tape.failure import Failure
from multitrack.tape.normalize.content_encoding import decode_body
from multitrack.tape.normalize.request_body import decode_request

EVENTS = [b"data: one\n\n", b"data: two\r\n\r\n", b"data: thr\xc3\xa9e\n\n", b"data: [DONE]\n\n"]


class MemoryRecorder:
    """Records one live response in memory, and checks the order of the calls."""

    def __init__(self, request, keep):
        self.request = request
        self.keep = keep
        self.chunks = []
        self.ending = None
        self.error = None
        self.status = None

    def record_head(self, status, reason, headers):
        assert self.status is None
        self.status, self.reason, self.headers = status, reason, headers

    def record_chunk(self, chunk, *, continued=False):
        assert self.status is not None
        assert self.ending is None
        if continued:
            self.chunks[-1] += chunk
        else:
            self.chunks.append(chunk)

    def record_end(self, ending="complete", *, trailers=(), error=None):
        assert self.ending is None
        assert self.error is None
        self.ending, self.error = ending, error
        if self.status is None:
            self.keep(Response(599, "", (), b"", "unanswered"))
            return
        failure = Failure.from_error(error, "read") if error else None
        headers = self.headers + trailers
        body = b"".join(self.chunks)
        # a response that was not read to its end cannot always be decoded
        with contextlib.suppress(ValueError):
            body = decode_body(body, dict(headers).get("content-encoding"))
            headers = tuple(header for header in headers if header[0] != "content-encoding")
        self.keep(Response(self.status, self.reason, headers, body, ending, failure=failure))

    def record_failure(self, error, *, during=None):
        assert self.status is None
        assert self.ending is None
        assert self.error is None
        self.error = error
        self.keep(Response(599, "", (), b"", "unanswered", failure=Failure.from_error(error, during)))


class MemoryTape:
    """A router that records by (method, url, body), and replays its recordings first in, first out."""

    def __init__(self, mode="record"):
        self.mode = mode
        self.requests = []
        self.recorders = []
        self.recorded = defaultdict(deque)
        self.lock = threading.Lock()

    def route(self, request):
        request = decode_request(request)
        key = (request.method, request.url, request.body)
        with self.lock:
            self.requests.append(request)
            if self.mode == "passthrough":
                return Passthrough()
            if self.mode == "record":
                self.recorders.append(MemoryRecorder(request, self.recorded[key].append))
                return self.recorders[-1]
            if not self.recorded[key]:
                raise CassetteMiss(f"nothing recorded for {request.method} {request.url}")
            return Replay(self.recorded[key].popleft())

    def allows_connection(self, host, port):
        raise AssertionError(f"the tripwire checked an interceptor's own connection to {host}:{port}")


@pytest.fixture
def router():
    return MemoryTape()


class ServerHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def log_message(self, *args):
        pass

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def respond(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status not in (204, 304):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def write_chunk(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def do_GET(self):
        body = self.read_body()
        with self.server.lock:
            self.server.requests += 1
            count = self.server.requests
        path = urlsplit(self.path).path
        if path == "/echo":
            text = json.dumps({"method": self.command, "body": body.decode("latin-1"), "count": count})
            self.respond(body=text.encode(), content_type="application/json", x_two="2")
        elif path == "/gzip":
            self.respond(body=gzip.compress(b"squeezed"), content_encoding="gzip", content_type="text/plain")
        elif path == "/flaky":
            self.respond(*((200, b"at last") if count == 3 else (429, b"busy")), retry_after="0")
        elif path.startswith("/status/"):
            status = int(path.rpartition("/")[2])
            self.respond(status, b"" if status in (204, 304) else b"body of %d" % status)
        elif path == "/redirect":
            self.respond(302, b"", location="/echo")
        elif path == "/stream":
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for event in EVENTS:
                self.write_chunk(event)
                # wait until the test confirms that the client received this part
                if not self.server.received.acquire(timeout=5):
                    self.close_connection = True
                    return
            self.write_chunk(b"")
        elif path == "/until-close":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"until the very end")
            self.close_connection = True
        elif path == "/cut":
            self.send_response(200)
            self.send_header("content-length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        elif path == "/cut-chunked":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.write_chunk(b"only this")
            self.close_connection = True
        elif path == "/mute":
            self.close_connection = True
        elif path == "/slow":
            self.server.received.acquire(timeout=5)
            self.close_connection = True

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    scheme = "http"

    def __init__(self, context=None, port=0):
        super().__init__(("127.0.0.1", port), ServerHandler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.lock = threading.Lock()
        self.received = threading.Semaphore(0)
        self.connections = self.requests = 0
        self.open = set()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.running = True

    @property
    def url(self):
        return f"{self.scheme}://localhost:{self.server_port}"

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass

    def stop(self):
        if not self.running:
            return
        self.running = False
        self.shutdown()
        self.server_close()
        self.thread.join()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(starts_server):
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def tls_server(starts_server, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "api.example.com").configure_cert(context)
    server = Server(context)
    yield server
    server.stop()


class Proxy(ThreadingHTTPServer):
    """A proxy for HTTP and HTTPS requests that connects every host name to one server."""

    daemon_threads = True

    def __init__(self, target):
        self.requests = []
        proxy = self

        class ProxyHandler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_CONNECT(self):
                proxy.requests.append(f"CONNECT {self.path}")
                if "forbidden" in self.path:
                    self.send_error(403)
                    return
                with socket.create_connection(("127.0.0.1", target.server_port)) as upstream:
                    self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
                    ends = {self.connection: upstream, upstream: self.connection}
                    while True:
                        for ready in select.select(list(ends), [], [])[0]:
                            if not (data := ready.recv(65536)):
                                return
                            ends[ready].sendall(data)

            def do_GET(self):
                proxy.requests.append(f"GET {self.path}")
                self.send_response(200)
                self.send_header("content-length", "7")
                self.end_headers()
                self.wfile.write(b"proxied")

        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        pass

    @property
    def url(self):
        return f"http://localhost:{self.server_port}"

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


@pytest.fixture
def proxy(starts_server, tls_server):
    proxy = Proxy(tls_server)
    yield proxy
    proxy.stop()


@dataclass
class ClientResponse:
    status: int
    reason: str
    body: bytes
    headers: dict = field(default_factory=dict)


class Clients:
    """For each library, a function that sends a request and returns a ``ClientResponse``."""

    def __init__(self, ca_file, closing):
        self.ca_file = ca_file
        self.closing = closing

    def requests(self):
        session = self.closing.enter_context(requests.Session())
        return self._use_session(session)

    def google_auth(self):
        transport = pytest.importorskip("google.auth.transport.requests")
        credentials = pytest.importorskip("google.oauth2.credentials")
        session = transport.AuthorizedSession(credentials.Credentials(token="a-token"))
        self.closing.callback(session.close)
        return self._use_session(session)

    def _use_session(self, session):
        # the environment may set other certificate authorities, and a proxy
        session.trust_env = False
        session.verify = self.ca_file

        def send(method, url, body=None, headers=None):
            response = session.request(method, url, data=body, headers=headers, allow_redirects=False)
            return ClientResponse(response.status_code, response.reason, response.content, dict(response.headers))

        return send

    def urllib3(self):
        pool = urllib3.PoolManager(ca_certs=self.ca_file, retries=False)
        self.closing.callback(pool.clear)

        def send(method, url, body=None, headers=None):
            response = pool.request(method, url, body=body, headers=headers, redirect=False)
            return ClientResponse(response.status, response.reason, response.data, dict(response.headers))

        return send

    def urllib(self):
        context = ssl.create_default_context(cafile=self.ca_file)

        class NoRedirects(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None

        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), NoRedirects)

        def send(method, url, body=None, headers=None):
            request = urllib.request.Request(url, body, headers or {}, method=method)
            try:
                response = opener.open(request)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                body = response.read()
                if response.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                return ClientResponse(response.status, response.reason, body, dict(response.headers))

        return send

    def httplib2(self):
        httplib2 = pytest.importorskip("httplib2")
        http = httplib2.Http(ca_certs=self.ca_file)
        http.follow_redirects = False
        self.closing.callback(http.close)

        def send(method, url, body=None, headers=None):
            response, content = http.request(url, method, body, headers)
            return ClientResponse(response.status, response.reason, content, dict(response))

        return send


CLIENTS = ["requests", "google_auth", "urllib3", "urllib", "httplib2"]


@pytest.fixture
def clients(ca_file):
    with contextlib.ExitStack() as closing:
        yield Clients(ca_file, closing)


@pytest.fixture(params=CLIENTS)
def client(request, clients):
    return getattr(clients, request.param)()


@pytest.fixture
def record(router):
    """A ``record(send)`` function that records while it calls ``send()``, and switches the tape to replay."""

    def record(send):
        with activate(router):
            result = send()
        assert [recorder.ending or recorder.error for recorder in router.recorders]
        router.mode = "replay"
        return result

    return record
