"""A server that speaks bytes, and a tape to record and to replay what aiohttp does with it."""

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


class Talk(socketserver.StreamRequestHandler):
    """One connection: reads requests, and leaves their answers to the server's ``script``."""

    disable_nagle_algorithm = True

    def setup(self):
        # by the server, the handshake would stand in the way of every other connection
        if self.server.context is not None:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        if self.server.address_family == socket.AF_UNIX:
            self.disable_nagle_algorithm = False
        super().setup()

    def handle(self):
        self.server.connections += 1
        self.server.open.append(self.connection)
        with contextlib.suppress(OSError):
            while self.server.script(self, *self.read()):
                pass

    def finish(self):
        super().finish()
        self.request.close()

    def read(self):
        """The head and the body of the next request."""
        if self.rfile.peek(1)[:1] == b"\x16":
            self.send(b"HTTP/1.1 400 This Is No TLS\r\n\r\n")
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


class Wire(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """``script(talk, head, body)`` answers a request, and says whether the connection stays open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script, context=None, path=None):
        self.address_family = socket.AF_UNIX if path else socket.AF_INET
        self.script = script
        self.context = context
        self.requests = []
        self.connections = 0
        self.open = []
        super().__init__(path or ("127.0.0.1", 0), Talk)
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


def plain(body, *headers):
    """An answer with ``body`` and its length."""
    head = [b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Deck:
    """Records what ``use()`` does, on one tape, and replays it."""

    def __init__(self, path, loop_factory=None):
        self.path = path
        self.loop_factory = loop_factory

    def run(self, use):
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            return runner.run(use())

    def record(self, use, **options):
        with activate(Tape(self.path, mode="record", settings=Settings(**options))) as tape:
            result = self.run(use)
        assert tape.save().state == "written"
        return result

    def replay(self, use, **options):
        with activate(Tape(self.path, settings=Settings(**options))) as self.tape:
            return self.run(use)

    @property
    def interactions(self):
        return storage.read(self.path).interactions
