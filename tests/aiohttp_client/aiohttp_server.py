"""A server that sends raw bytes, and a runner that records and replays what aiohttp does with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import socketserver
import threading
from importlib import metadata

from multitrack.tape.active import activate
from multitrack.tape.file import storage
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

VERSION = tuple(int(number) for number in metadata.version("aiohttp").split(".")[:2])
EVENTS = [b"data: one\n\n", b"data: two\r\n\r\n", b"data: thr\xc3\xa9e\n\n", b"data: [DONE]\n\n"]


class ConnectionHandler(socketserver.StreamRequestHandler):
    """One connection: reads requests, and lets the ``script`` of the server respond."""

    disable_nagle_algorithm = True

    def setup(self):
        # in the server itself, the handshake would block all other connections
        if self.server.context is not None:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        if self.server.address_family == socket.AF_UNIX:
            self.disable_nagle_algorithm = False
        super().setup()

    def handle(self):
        self.server.connections += 1
        self.server.open.append(self.connection)
        with contextlib.suppress(OSError):
            while self.server.script(self, *self.read_request()):
                pass

    def finish(self):
        super().finish()
        self.request.close()

    def read_request(self):
        """Return the head and the body of the next request."""
        if self.rfile.peek(1)[:1] == b"\x16":
            self.send(b"HTTP/1.1 400 This Is Not TLS\r\n\r\n")
            raise ConnectionError
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (line := self.rfile.readline()):
                raise ConnectionError
            head += line
        names = head.lower()
        if b"expect: 100-continue" in names:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if b"\r\ncontent-length: " in names:
            body = self.rfile.read(int(names.partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0]))
        elif b"\r\ntransfer-encoding: chunked" in names:
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.server.requests.append((head.decode(), body))
        return head.decode(), body

    def send(self, data):
        self.wfile.write(data)
        self.wfile.flush()


class ByteServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Calls ``script(connection, head, body)`` for each request. True from the script keeps the connection open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script, context=None, path=None):
        self.address_family = socket.AF_UNIX if path else socket.AF_INET
        self.script = script
        self.context = context
        self.requests = []
        self.connections = 0
        self.open = []
        super().__init__(path or ("127.0.0.1", 0), ConnectionHandler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://localhost:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass

    def close_connections(self):
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.shutdown()
        self.server_close()
        self._thread.join()


def encode_response(body, *headers):
    """Encode a response with ``body`` and its length."""
    head = [b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def encode_chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class TapeRunner:
    """Runs a coroutine function with an open tape, to record into one cassette or to replay from it."""

    def __init__(self, path, loop_factory=None):
        self.path = path
        self.loop_factory = loop_factory

    def run(self, send):
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            return runner.run(send())

    def record(self, send, **options):
        with activate(Tape(self.path, mode="record", settings=Settings(**options))) as tape:
            result = self.run(send)
        assert tape.save().state == "written"
        return result

    def replay(self, send, **options):
        with activate(Tape(self.path, settings=Settings(**options))) as self.tape:
            return self.run(send)

    @property
    def interactions(self):
        return storage.read(self.path).interactions
