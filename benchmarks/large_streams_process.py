"""One process of the benchmark of large streams: read one response, live or replayed, once, and report time and memory.

Each step has its own process, because only the peak memory of a process can be measured. A live response comes from a
server in another process.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.metadata import version
from itertools import chain, repeat
from pathlib import Path
from random import Random
from time import process_time
from typing import Any

import openai

from benchmarks.measurement import CPU_TIME, format_results
from multitrack import use_cassette

MOCK, LIVE, RECORDED, REPLAYED = "mock", "live", "record", "replay"
MEMORY = "peak memory"
"""The name of the figure for the peak memory of the process, in bytes."""

STREAM = "stream"
TEXT, IMAGE, EMBEDDINGS = "text", "image", "embeddings"

_EVENT = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "delta": {"content": "{word}"}, "finish_reason": None}],
}
_END = b"data: [DONE]\n\n"
_PIECE = 1 << 16
_ROW = {"object": "embedding", "index": 12345, "embedding": [-0.00692, 0.00453, 0.01213, -0.00081]}

# the SDK uses a different HTTP library since version 3
_httpx: Any = import_module("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")


def _write_events(number: int) -> Iterator[bytes]:
    """Yield the events of a stream, with a different word in each."""
    before, after = f"data: {json.dumps(_EVENT)}\n\n".encode().split(b"{word}")
    for position in range(number):
        yield b"%b word%d%b" % (before, position % 1000, after)
    yield _END


def _write_body(kind: str, size: int) -> tuple[str, Iterable[bytes]]:
    """Return the content type and the parts of a body of about ``size`` bytes."""
    if kind == TEXT:
        line = b"The weather in Toronto was mild, with some clouds in the afternoon.\n"
        return "text/plain", repeat(line * 1000, size // len(line) // 1000)
    if kind == IMAGE:
        image = base64.b64encode(Random(1).randbytes(size * 3 // 4))
        return "application/json", [b'{"created":1,"data":[{"b64_json":"', image, b'"}]}']
    row = json.dumps(_ROW, separators=(",", ":")).encode()
    rows = repeat(row + b",", size // (len(row) + 1))
    return "application/json", chain([b'{"object":"list","data":['], rows, [row, b"]}"])


def _serve(kind: str, size: int) -> None:
    """Answer one request. A stream has one chunk for each event, and a body has a length."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection:
            _read_request(connection)
            if kind == STREAM:
                head = "content-type: text/event-stream\r\ntransfer-encoding: chunked"
                parts: Iterable[bytes] = chain(
                    (b"%x\r\n%b\r\n" % (len(event), event) for event in _write_events(size)), [b"0\r\n\r\n"]
                )
            else:
                content_type, parts = _write_body(kind, size)
                body = b"".join(parts)
                head, parts = f"content-type: {content_type}\r\ncontent-length: {len(body)}", [body]
            connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
            waiting = bytearray()
            for part in parts:
                waiting += part
                if len(waiting) > _PIECE:
                    connection.sendall(waiting)
                    waiting.clear()
            connection.sendall(waiting)


def _read_request(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(_PIECE)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    missing = int(lengths[0].partition(b":")[2]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(_PIECE))


class _MockStream(_httpx.SyncByteStream):  # type: ignore[misc]
    def __init__(self, events: int) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        return _write_events(self._events)


def _make_client(events: int | None) -> Any:
    """Return a client. If ``events`` is given, its responses are streams with that many events."""
    if events is None:
        return _httpx.Client(timeout=None)

    def respond(request: Any) -> Any:
        del request
        return _httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_MockStream(events))

    return _httpx.Client(transport=_httpx.MockTransport(respond))


def _read_lines(client: Any, url: str) -> int:
    with client.stream("POST", f"{url}/chat/completions", json={"stream": True}) as response:
        return sum(1 for line in response.iter_lines() if line) - 1


def _read_chunks(client: Any, url: str) -> int:
    sdk = openai.OpenAI(api_key="none", base_url=url, http_client=client)
    messages: Any = [{"role": "user", "content": "Tell me a long story."}]
    return sum(1 for _ in sdk.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True))


def _read_bytes(client: Any, url: str) -> int:
    with client.stream("POST", url, json={}) as response:
        return sum(map(len, response.iter_bytes()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_streams_process")
    parser.add_argument("kind", choices=(STREAM, TEXT, IMAGE, EMBEDDINGS))
    parser.add_argument("--size", type=int, required=True, help="the number of events, or of bytes")
    parser.add_argument("--step", choices=(MOCK, LIVE, RECORDED, REPLAYED))
    parser.add_argument("--cassette", type=Path)
    parser.add_argument("--sdk", action="store_true")
    options = parser.parse_args()
    if options.step is None:
        _serve(options.kind, options.size)
        return
    read = _read_bytes if options.kind != STREAM else _read_chunks if options.sdk else _read_lines
    client = _make_client(options.size if options.step == MOCK else None)
    # the replayed request must have the recorded URL
    address = options.cassette.with_suffix(".url")
    url = address.read_text() if options.step == REPLAYED else "http://provider.test"
    server = None
    if options.step in (LIVE, RECORDED):
        command = [sys.executable, "-m", "benchmarks.large_streams_process", options.kind, f"--size={options.size}"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        url = f"http://127.0.0.1:{server.stdout.readline().strip() if server.stdout else ''}"
        address.write_text(url)
    tape: AbstractContextManager[object] = nullcontext()
    if options.step in (RECORDED, REPLAYED):
        tape = use_cassette(options.cassette, mode=options.step)
    start = process_time()
    with tape:
        count = read(client, url)
    time = process_time() - start
    if server is not None:
        server.wait()
    if options.kind == STREAM and count != options.size:
        raise SystemExit(f"{options.step}: read {count} events instead of {options.size}")
    # kilobytes on Linux, bytes on macOS
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    versions = {package: version(package) for package in ("multitrack", "openai", _httpx.__name__)}
    print(format_results(versions, {options.step: [{CPU_TIME: time, MEMORY: memory}]}))


if __name__ == "__main__":
    main()
