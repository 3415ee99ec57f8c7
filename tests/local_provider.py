"""A provider on a real socket whose answers a test defines. Loaded as a plugin of the test suite."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest


@dataclass
class ProviderRequest:
    """A request that the provider received. The header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class ProviderAnswer:
    """A response. A ``body`` of bytes is sent at once; an iterable is sent chunk by chunk."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


class ConnectionCut(Exception):
    """Raised by an iterable body to close the connection at that point."""


def completion(content="hello", **message) -> bytes:
    """Return a chat completion as OpenAI sends it."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **message}}
    document = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
    return json.dumps({**document, "choices": [choice]}).encode()


def event(content=None, **delta) -> bytes:
    """Return one chunk of a streamed chat completion."""
    choice = {"index": 0, "finish_reason": None, "delta": {**delta, **({"content": content} if content else {})}}
    document = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    return b"data: " + json.dumps({**document, "choices": [choice]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM = {"content-type": "text/event-stream"}


def echo(request: ProviderRequest) -> ProviderAnswer:
    """Answer a chat request with its last message, and any other request with its own body."""
    with suppress(ValueError, LookupError, TypeError):
        return ProviderAnswer(completion(f"echo: {request.json['messages'][-1]['content']}"))
    return ProviderAnswer(request.body or json.dumps({"path": request.path}).encode())


class LocalProvider:
    """A server that logs its requests in ``requests`` and answers each with ``reply``."""

    def __init__(self) -> None:
        self.requests: list[ProviderRequest] = []
        self.reply: Callable[[ProviderRequest], ProviderAnswer] = echo
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _RequestHandler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def silence(self) -> None:
        """Do not print the errors that ``reply`` raises. They close the connection without an answer."""
        self._server.handle_error = lambda *_: None

    def stop(self) -> None:
        """Close the port, so that connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MockProvider:
    """A provider within the process, which answers the clients of ``http_client()`` and ``async_http_client()``."""

    def __init__(self, module: ModuleType) -> None:
        self.requests: list[ProviderRequest] = []
        self.reply: Callable[[ProviderRequest], ProviderAnswer] = echo
        self._module = module

    def http_client(self):
        return self._module.Client(transport=self._module.MockTransport(self._respond))

    def async_http_client(self):
        return self._module.AsyncClient(transport=self._module.MockTransport(self._respond))

    def _respond(self, request):
        logged = ProviderRequest(request.method, request.url.path, dict(request.headers), request.content)
        self.requests.append(logged)
        answer = self.reply(logged)
        if isinstance(answer.body, bytes):
            return self._module.Response(answer.status, headers=answer.headers, content=answer.body)
        body, module = answer.body, self._module

        class Stream(module.SyncByteStream, module.AsyncByteStream):
            def __iter__(self):
                try:
                    yield from body
                except ConnectionCut:
                    raise module.RemoteProtocolError("peer closed connection") from None

            async def __aiter__(self):
                for chunk in self:
                    yield chunk

        return module.Response(answer.status, headers=answer.headers, stream=Stream())


class _RequestHandler(BaseHTTPRequestHandler):
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
        provider: LocalProvider = self.server.provider
        request = ProviderRequest(self.command, self.path, headers, body)
        provider.requests.append(request)
        answer = provider.reply(request)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            for item in value if isinstance(value, list) else [value]:
                self.send_header(name, item)
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
            except ConnectionCut:
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815


@pytest.fixture
def provider(starts_server):
    """A local provider, stopped after the test."""
    provider = LocalProvider()
    yield provider
    provider.stop()
