"""The HTTP server: requests from connections to the provider, replies back, chunk by chunk.

One port serves three things: plain HTTP for clients with a base URL, the CONNECT proxy for clients that keep
the provider's own host name, and, inside such a tunnel, HTTPS.
"""

from __future__ import annotations

import gzip
import json
import selectors
import socket
import socketserver
import ssl
import threading
import zlib
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import urlsplit

from multitrack.standin.client_hello import wants_only_h2
from multitrack.standin.identity import STANDIN_HEADER
from multitrack.standin.provider import Provider
from multitrack.standin.received import Received
from multitrack.standin.reply import HttpReply

_JOIN_SECONDS = 5


class Tunnels(Protocol):
    """What lies behind the CONNECT proxy."""

    def stands_in_for(self, host: str) -> bool:
        """Whether ``host`` may be reached."""

    def refusal(self, target: str) -> str:
        """The line that says why ``target`` may not be reached."""

    def server_context(self, host: str) -> ssl.SSLContext:
        """The server side of TLS in the name of ``host``."""

    def join_grpc(self, connection: socket.socket, host: str) -> None:
        """Carry ``connection`` to the gRPC server, until either side ends."""


class HttpServer(socketserver.TCPServer):
    """A server on a loopback port, one thread for each connection.

    ``provider`` turns requests into replies. ``connections`` counts those accepted.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, provider: Provider, tunnels: Tunnels) -> None:
        super().__init__(("127.0.0.1", port), _Conversation)
        self.provider = provider
        self.tunnels = tunnels
        self.connections = 0
        self.stopping = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        self._accepting = threading.Thread(target=self.serve_forever, args=(0.02,), name="standin accept", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Accept connections from now on."""
        self._accepting.start()

    def stop(self) -> None:
        """Close the port and every connection, and wait for their threads to end."""
        self.stopping.set()
        self.shutdown()
        self._accepting.join()
        self.server_close()
        with self._lock:
            conversations = dict(self._open)
        for connection in conversations.values():
            _hang_up(connection)
        for thread in conversations:
            thread.join(_JOIN_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the conversation on an accepted connection."""
        thread = threading.Thread(
            target=self._converse, args=(request, client_address), name="standin connection", daemon=True
        )
        with self._lock:
            self.connections += 1
            self._open[thread] = request
        thread.start()

    def _converse(self, connection: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(connection, client_address)
        except Exception:
            self.handle_error(connection, client_address)
        finally:
            self.shutdown_request(connection)
            with self._lock:
                del self._open[threading.current_thread()]

    def adopt(self, connection: socket.socket) -> None:
        """Take note that this thread's conversation goes on over ``connection``."""
        with self._lock:
            self._open[threading.current_thread()] = connection
        if self.stopping.is_set():
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    # SSLSocket.shutdown drops the TLS state under the thread that is reading; the plain one only wakes it.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Conversation(BaseHTTPRequestHandler):
    """One connection, over which requests come one after another."""

    server: HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _tunnel_host: str | None = None

    def handle(self) -> None:
        with suppress(ConnectionError, ssl.SSLError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        super().finish()
        if self._tunnel_host is not None:
            self.request.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing: what was received is in the log of requests."""

    def do_CONNECT(self) -> None:
        """Open a tunnel to one of the hosts the stand-in stands in for, and to no other."""
        host, _, port = self.path.rpartition(":")
        if self._tunnel_host is not None or port != "443" or not self.server.tunnels.stands_in_for(host):
            return self._refuse(self.path)
        self.send_response_only(200, "Connection established")
        self.end_headers()
        if wants_only_h2(self.connection):
            self.close_connection = True
            return self.server.tunnels.join_grpc(self.connection, host)
        self._speak_tls(host)
        return None

    def _speak_tls(self, host: str) -> None:
        context = self.server.tunnels.server_context(host)
        super().finish()
        self.request = context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        self._tunnel_host = host
        self.server.adopt(self.request)
        self.setup()
        self.request.do_handshake()
        self.close_connection = False

    def _serve(self) -> None:
        url = self._url()
        host = urlsplit(url).hostname or ""
        if self._tunnel_host is None and not self.path.startswith("/") and not self.server.tunnels.stands_in_for(host):
            return self._refuse(host)
        try:
            content = self._content()
        except (ValueError, OSError, EOFError, zlib.error) as error:
            return self._plain(400, f"the stand-in cannot read the request's body: {error}")
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        request = Received("http", self.command, url, headers, _parsed(content), content)
        self._send(self.server.provider.http(request), request)
        return None

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _url(self) -> str:
        if not self.path.startswith("/"):
            return self.path
        if self._tunnel_host is not None:
            return f"https://{self._tunnel_host}{self.path}"
        return f"http://{self.headers.get('host', '')}{self.path}"

    def _content(self) -> bytes:
        """The request's body without its encodings. Raises various errors where it cannot be read."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            content = self._chunked()
        else:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
        match self.headers.get("content-encoding", "identity").lower():
            case "identity":
                return content
            case "gzip":
                return gzip.decompress(content)
            case "deflate":
                return zlib.decompress(content)
            case encoding:
                raise ValueError(f"its content-encoding is {encoding}")

    def _chunked(self) -> bytes:
        """A chunked body, by https://www.rfc-editor.org/rfc/rfc9112#section-7.1."""
        content = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(content)

    def _send(self, reply: HttpReply, request: Received) -> None:
        self.server.stopping.wait(reply.delay)
        if reply.silent:
            return self._end()
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.streamed:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(sum(len(chunk.content) for chunk in reply.chunks)))
        self.end_headers()
        if not self._sent(reply, request) or reply.closes_after is not None:
            return self._end()
        if reply.streamed:
            self.wfile.write(b"0\r\n\r\n")
        return None

    def _sent(self, reply: HttpReply, request: Received) -> bool:
        """Write the chunks, as many as the reply wants sent; False where the client left before the last."""
        for position, chunk in enumerate(reply.chunks):
            self.server.stopping.wait(reply.chunk_delay if position else 0)
            passed = all(self.server.provider.gates.passed(gate, self._over) for gate in chunk.gates)
            if self._client_left():
                self.server.provider.abandoned.add(request)
                return False
            if not passed or position == reply.closes_after:
                return False
            content = chunk.content
            self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content) if reply.streamed else content)
        return True

    def _over(self) -> bool:
        return self.server.stopping.is_set() or self._client_left()

    def _client_left(self) -> bool:
        """Whether the client hung up: while it is answered, there is nothing else that it sends."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _end(self) -> None:
        self.close_connection = True
        _hang_up(self.connection)

    def _refuse(self, target: str) -> None:
        self._plain(403, self.server.tunnels.refusal(target))

    def _plain(self, status: int, line: str) -> None:
        content = f"{line}\n".encode()
        self.send_response_only(status)
        self.send_header(STANDIN_HEADER, "none")
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
