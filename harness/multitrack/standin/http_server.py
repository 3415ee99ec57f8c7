"""Serve HTTP: read requests from connections, and write the provider's replies, chunk by chunk.

One port serves three protocols:

- plain HTTP for clients with a base URL
- the CONNECT proxy for clients that use the provider's own host name
- HTTPS inside a tunnel of the proxy
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
from typing import Any
from urllib.parse import urlsplit

from multitrack.standin.client_hello import offers_only_h2
from multitrack.standin.identity import STANDIN_HEADER
from multitrack.standin.provider import Provider
from multitrack.standin.proxy import Proxy
from multitrack.standin.reply import HttpReply
from multitrack.standin.request_log import ReceivedRequest

_JOIN_SECONDS = 5


class HttpServer(socketserver.TCPServer):
    """A server on a loopback port, with one thread per connection.

    Attributes:
        provider: The provider that answers the requests.
        proxy: The hosts that can be reached through the proxy.
        connections: The number of connections accepted.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, provider: Provider, proxy: Proxy) -> None:
        super().__init__(("127.0.0.1", port), _ConnectionHandler)
        self.provider = provider
        self.proxy = proxy
        self.connections = 0
        self.stopping = threading.Event()
        self._sockets: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self.serve_forever, args=(0.02,), name="standin accept", daemon=True)

    @property
    def port(self) -> int:
        """The port the server listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Start accepting connections."""
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port and every connection, and wait for their threads to end."""
        self.stopping.set()
        self.shutdown()
        self._acceptor.join()
        self.server_close()
        with self._lock:
            open_sockets = dict(self._sockets)
        for connection in open_sockets.values():
            _shut_down(connection)
        for thread in open_sockets:
            thread.join(_JOIN_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle an accepted connection in a new thread."""
        thread = threading.Thread(
            target=self._handle_connection, args=(request, client_address), name="standin connection", daemon=True
        )
        with self._lock:
            self.connections += 1
            self._sockets[thread] = request
        thread.start()

    def _handle_connection(self, connection: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(connection, client_address)
        except Exception:
            self.handle_error(connection, client_address)
        finally:
            self.shutdown_request(connection)
            with self._lock:
                del self._sockets[threading.current_thread()]

    def replace_socket(self, connection: socket.socket) -> None:
        """Record that this thread now uses ``connection``, so that ``stop`` closes it."""
        with self._lock:
            self._sockets[threading.current_thread()] = connection
        if self.stopping.is_set():
            _shut_down(connection)


def _shut_down(connection: socket.socket) -> None:
    # SSLSocket.shutdown would drop the TLS state while another thread is reading. The plain shutdown only wakes that
    # thread.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _ConnectionHandler(BaseHTTPRequestHandler):
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
        """Print nothing, because the requests are in the provider's log."""

    def do_CONNECT(self) -> None:
        """Open a tunnel if the stand-in serves the host. Reject any other host."""
        host, _, port = self.path.rpartition(":")
        if self._tunnel_host is not None or port != "443" or not self.server.proxy.serves(host):
            return self._reject(self.path)
        self.send_response_only(200, "Connection established")
        self.end_headers()
        if offers_only_h2(self.connection):
            self.close_connection = True
            return self.server.proxy.forward_to_grpc(self.connection, host)
        self._start_tls(host)
        return None

    def _start_tls(self, host: str) -> None:
        context = self.server.proxy.server_context(host)
        super().finish()
        self.request = context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        self._tunnel_host = host
        self.server.replace_socket(self.request)
        self.setup()
        self.request.do_handshake()
        self.close_connection = False

    def _handle_request(self) -> None:
        url = self._request_url()
        host = urlsplit(url).hostname or ""
        if self._tunnel_host is None and not self.path.startswith("/") and not self.server.proxy.serves(host):
            return self._reject(host)
        try:
            content = self._read_content()
        except (ValueError, OSError, EOFError, zlib.error) as error:
            return self._send_text(400, f"the stand-in cannot read the request body: {error}")
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        request = ReceivedRequest("http", self.command, url, headers, _parse_json(content), content)
        self._send_reply(self.server.provider.reply_http(request), request)
        return None

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle_request  # noqa: N815

    def _request_url(self) -> str:
        if not self.path.startswith("/"):
            return self.path
        if self._tunnel_host is not None:
            return f"https://{self._tunnel_host}{self.path}"
        return f"http://{self.headers.get('host', '')}{self.path}"

    def _read_content(self) -> bytes:
        """Return the decoded request body. If it cannot be read, the decoder's own error is raised."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            content = self._read_chunked()
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
                raise ValueError(f"the content-encoding {encoding} is not supported")

    def _read_chunked(self) -> bytes:
        """Decode a chunked body. See https://www.rfc-editor.org/rfc/rfc9112#section-7.1."""
        content = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(content)

    def _send_reply(self, reply: HttpReply, request: ReceivedRequest) -> None:
        self.server.stopping.wait(reply.delay)
        if reply.silent:
            return self._end_connection()
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.streamed:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(sum(len(chunk.content) for chunk in reply.chunks)))
        self.end_headers()
        if not self._write_chunks(reply, request) or reply.closes_after is not None:
            return self._end_connection()
        if reply.streamed:
            self.wfile.write(b"0\r\n\r\n")
        return None

    def _write_chunks(self, reply: HttpReply, request: ReceivedRequest) -> bool:
        """Write the chunks of a reply.

        Returns:
            True if all of them were written; False if the reply ends early or the client disconnected.
        """
        for position, chunk in enumerate(reply.chunks):
            self.server.stopping.wait(reply.chunk_delay if position else 0)
            is_open = all(self.server.provider.gates.wait(gate, self._is_abandoned) for gate in chunk.gates)
            if self._has_client_disconnected():
                self.server.provider.abandoned.add(request)
                return False
            if not is_open or position == reply.closes_after:
                return False
            content = chunk.content
            self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content) if reply.streamed else content)
        return True

    def _is_abandoned(self) -> bool:
        return self.server.stopping.is_set() or self._has_client_disconnected()

    def _has_client_disconnected(self) -> bool:
        """Return whether the client closed the connection.

        A closed connection is readable. An open connection is not, because a client sends nothing while it receives a
        reply.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _end_connection(self) -> None:
        self.close_connection = True
        _shut_down(self.connection)

    def _reject(self, target: str) -> None:
        self._send_text(403, self.server.proxy.rejection_message(target))

    def _send_text(self, status: int, line: str) -> None:
        content = f"{line}\n".encode()
        self.send_response_only(status)
        self.send_header(STANDIN_HEADER, "none")
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True


def _parse_json(content: bytes) -> Any:
    """Return the parsed JSON, or None if ``content`` is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return None
