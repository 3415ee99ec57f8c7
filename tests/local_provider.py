"""A provider on a real socket, that answers as a test says; a plugin of the test suite."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    """``body`` is sent at once if it is bytes, and chunk by chunk if it is an iterable."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


class Cut(Exception):
    """Raised by an iterable body: the connection is cut there."""


def completion(content="hello", **message) -> bytes:
    """A chat completion, as OpenAI answers it."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **message}}
    document = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    return json.dumps({**document, "choices": [choice]}).encode()


def event(content=None, **delta) -> bytes:
    """A chunk of a streamed chat completion."""
    choice = {"index": 0, "finish_reason": None, "delta": {**delta, **({"content": content} if content else {})}}
    document = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    return b"data: " + json.dumps({**document, "choices": [choice]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM = {"content-type": "text/event-stream"}


def echo(request: Received) -> Answer:
    """Answers a chat by its last message, anything else by its own body."""
    with suppress(ValueError, LookupError, TypeError):
        return Answer(completion(f"echo: {request.json['messages'][-1]['content']}"))
    return Answer(request.body or json.dumps({"path": request.path}).encode())


class Provider:
    """``requests`` are those it received; ``reply`` says what it answers."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.reply: Callable[[Received], Answer] = echo
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def silence(self) -> None:
        """Print nothing of an error that ``reply`` raises, by which the connection is closed without an answer."""
        self._server.handle_error = lambda *_: None

    def stop(self) -> None:
        """From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_GET(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        provider: Provider = self.server.provider
        provider.requests.append(received := Received(self.command, self.path, headers, body))
        answer = provider.reply(received)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, one)
        if isinstance(answer.body, bytes):
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with suppress(OSError):
            try:
                for chunk in answer.body:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    self.wfile.flush()
            except Cut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815


@pytest.fixture
def provider():
    provider = Provider()
    yield provider
    provider.stop()
