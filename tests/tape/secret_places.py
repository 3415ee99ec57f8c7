"""Places in which a secret may reach a cassette or the terminal."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from recorded_tape import JSON, URL, request

from multitrack.tape.exchange import Request
from multitrack.wires.event_stream import write_message

EVENTS = (("content-type", "text/event-stream"),)
LINES = (("content-type", "application/x-ndjson"),)
TEXT = (("content-type", "text/plain"),)
FORM = (("content-type", "application/x-www-form-urlencoded"),)

AWS_EVENTS = (("content-type", "application/vnd.amazon.eventstream"),)

Response = tuple[int, tuple[tuple[str, str], ...], Sequence[bytes]] | tuple[int, Any, Sequence[bytes], str]
"""The status, the headers, the chunks of the body, and the reason in the status line (default: ``OK``)."""


@dataclass(frozen=True)
class Place:
    """A place in a request or a response."""

    name: str
    exchange: Callable[[str], tuple[Request, Response]]
    encodes: bool = False
    """True if the secret is written in another spelling, so that only its value can be found and not its shape."""


def _cut(text: str, length: int = 5) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)]


def _chat(text: str) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})


def _ok(body: str | bytes, headers: Any = JSON) -> Response:
    return 200, headers, [body if isinstance(body, bytes) else body.encode()]


def _sent(name: str, write: Callable[[str], Any], *, encodes: bool = False) -> Place:
    """Return a place in a request. ``write`` returns the body, or a request."""

    def exchange(secret: str) -> tuple[Request, Response]:
        written = write(secret)
        sent = written if isinstance(written, Request) else request(written, url=f"{URL}/{quote(name)}")
        return sent, _ok("{}")

    return Place(name, exchange, encodes)


def _received(name: str, write: Callable[[str], Any], *, encodes: bool = False) -> Place:
    """Return a place in a response. ``write`` returns the body, or a response."""

    def exchange(secret: str) -> tuple[Request, Response]:
        written = write(secret)
        response = written if isinstance(written, tuple) else _ok(written)
        return request("{}", url=f"{URL}/{quote(name)}"), response

    return Place(name, exchange, encodes)


def _with_header(name: str, value: str) -> Response:
    return 200, (*JSON, (name, value)), [b"{}"]


def _events(documents: Sequence[Any]) -> Response:
    return _ok("".join(f"data: {json.dumps(document)}\n\n" for document in documents) + "data: [DONE]\n\n", EVENTS)


def _delta(text: str) -> Any:
    return {"id": "c-1", "choices": [{"index": 0, "delta": {"content": text}}]}


def _arguments(text: str) -> Any:
    call = {"index": 0, "function": {"arguments": text}}
    return {"id": "c-1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def _encode_at(offset: int) -> Callable[[str], str]:
    return lambda secret: _chat(base64.b64encode(b"x" * offset + b"key " + secret.encode() + b" end").decode())


def _multipart(secret: str) -> Request:
    lines = ["--b", 'Content-Disposition: form-data; name="note"', "", secret, "--b--", ""]
    headers = (("content-type", "multipart/form-data; boundary=b"),)
    return request("\r\n".join(lines), url=f"{URL}/multipart", headers=headers)


def _file(secret: str) -> Request:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n\xff\xfe'
    headers = (("content-type", "multipart/form-data; boundary=b"),)
    return request(head + secret.encode() + b"\xff\r\n--b--\r\n", url=f"{URL}/file", headers=headers)


def _multipart_names(secret: str) -> Request:
    head = f'Content-Disposition: form-data; name="{secret}"; filename="{secret}.txt"'
    headers = (("content-type", "multipart/form-data; boundary=b"),)
    return request(f"--b\r\n{head}\r\n\r\nx\r\n--b--\r\n", url=f"{URL}/names", headers=headers)


def _protobuf(secret: str) -> str:
    """Return a ``google.rpc.Status`` with the message ``secret``, in base64."""
    size = len(secret.encode())
    length = [size] if size < 128 else [size % 128 + 128, size // 128]
    return base64.b64encode(b"\x08\x03\x12" + bytes(length) + secret.encode()).decode()


def _aws_chunks(texts: Sequence[str]) -> Response:
    """Return the events of Bedrock's ``InvokeModelWithResponseStream``, which have JSON in base64."""
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    encoded = (base64.b64encode(json.dumps(_delta(text)).encode()).decode() for text in texts)
    return 200, AWS_EVENTS, [write_message(headers, json.dumps({"bytes": one}).encode()) for one in encoded]


def _grpc(secret: str) -> Request:
    headers = (("content-type", "application/grpc"),)
    body = json.dumps({"contents": [{"parts": [{"text": f"use {secret}"}]}]})
    return request(body, url="grpc://api.example.com/acme.Service/Generate", headers=headers)


def _halve(body: bytes) -> list[bytes]:
    middle = len(body) // 2
    return [body[:middle], body[middle:]]


PLACES: list[Place] = [
    # requests
    _sent("path", lambda s: request("{}", url=f"{URL}/files/{quote(s, safe='')}/x"), encodes=True),
    _sent("query", lambda s: request("{}", url=f"{URL}?cursor={quote(s, safe='')}&page=2"), encodes=True),
    _sent("query of a form", lambda s: request("{}", url=f"{URL}?note={quote_plus(s)}"), encodes=True),
    _sent("name in a query", lambda s: request("{}", url=f"{URL}?{quote(s, safe='')}=1"), encodes=True),
    _sent("password in a URL", lambda s: request("{}", url=f"https://u:{quote(s, safe='')}@x.example/"), encodes=True),
    _sent("prompt", lambda s: _chat(f"the key is {s}, really")),
    _sent("beginning of a line", lambda s: _chat(f"the key:\n{s}\nreally")),
    _sent("brackets", lambda s: _chat(f"the key ({s}) or [{s}]")),
    _sent("assignment", lambda s: _chat(f"KEY={s}")),
    _sent("JSON key", lambda s: json.dumps({s: 1})),
    _sent("JSON in JSON", lambda s: _chat(json.dumps({"key": s}))),
    _sent("JSON in JSON in JSON", lambda s: _chat(json.dumps({"in": json.dumps({"key": s})}))),
    _sent("JSON with escaped letters", lambda s: json.dumps({"note": s}, ensure_ascii=True)),
    _sent("JSON with letters", lambda s: json.dumps({"note": s}, ensure_ascii=False)),
    _sent("tool result", lambda s: json.dumps({"messages": [{"role": "tool", "tool_call_id": "1", "content": s}]})),
    _sent("system prompt", lambda s: json.dumps({"system": [{"type": "text", "text": f"use {s} for it"}]})),
    _sent("repr", lambda s: _chat(f"{{'key': {s!r}}}"), encodes=True),
    _sent("repr of bytes", lambda s: _chat(f"{s.encode()!r}"), encodes=True),
    _sent("URL in a prompt", lambda s: _chat(f"https://x.example/?q={quote(s, safe='')}"), encodes=True),
    _sent("URL of a form in a prompt", lambda s: _chat(f"https://x.example/?q={quote_plus(s)}"), encodes=True),
    _sent("URL in a URL", lambda s: _chat(f"https://x.example/?u={quote(quote(s, safe=''), safe='')}"), encodes=True),
    _sent("form", lambda s: request(f"note={quote_plus(s)}&n=1", url=f"{URL}/form", headers=FORM), encodes=True),
    _sent("multipart field", _multipart),
    _sent("uploaded file", _file),
    _sent("names in a multipart form", _multipart_names),
    _sent("array of bytes", lambda s: json.dumps({"data": list(s.encode())})),
    _sent("array of bytes in lines", lambda s: json.dumps({"data": list(s.encode())}, indent=1)),
    _sent("unknown fields of gRPC", lambda s: json.dumps({"@wire": _protobuf(s)}), encodes=True),
    _sent("message of gRPC", _grpc),
    _sent("plain text", lambda s: request(f"text {s}", url=f"{URL}/text", headers=TEXT)),
    _sent("base64", _encode_at(0), encodes=True),
    _sent("base64, one byte later", _encode_at(1), encodes=True),
    _sent("base64, two bytes later", _encode_at(2), encodes=True),
    _sent(
        "base64 for URLs",
        lambda s: _chat(base64.urlsafe_b64encode(b"key " + s.encode()).decode()),
        encodes=True,
    ),
    _sent("base64 in lines", lambda s: _chat(base64.encodebytes(b"x" * 50 + s.encode()).decode()), encodes=True),
    _sent("lines of seven characters", lambda s: _chat("\n".join(_cut(s, 7))), encodes=True),
    _sent("HTML", lambda s: _chat(f"<p title='{html.escape(s)}'>"), encodes=True),
    # responses
    _received("answer", _chat),
    _received("error", lambda s: (500, JSON, [json.dumps({"error": {"message": f"bad key {s}"}}).encode()])),
    _received(
        "header location", lambda s: (200, (*JSON, ("location", f"/x?y={quote(s, safe='')}")), [b"{}"]), encodes=True
    ),
    _received("header grpc-message", lambda s: (200, (*JSON, ("grpc-message", quote(s))), [b"{}"]), encodes=True),
    _received(
        "header grpc-status-details-bin",
        lambda s: _with_header("grpc-status-details-bin", _protobuf(s)),
        encodes=True,
    ),
    _received("header content-disposition", lambda s: _with_header("content-disposition", f'x; filename="{s}"')),
    _received("status line", lambda s: (200, JSON, [b"{}"], f"OK {s}")),
    _received("AWS events", lambda s: _aws_chunks(["It is ", *_cut(s), " indeed"])),
    _received("text", lambda s: _ok(f"of {s}.", TEXT)),
    _received("XML", lambda s: _ok(f"<a>{html.escape(s)}</a>", (("content-type", "application/xml"),)), encodes=True),
    _received("bytes", lambda s: _ok(b"\xff\x00 " + s.encode() + b" \xff", (("content-type", "application/x"),))),
    _received("two chunks", lambda s: (200, JSON, _halve(_chat(s).encode()))),
    _received("one event", lambda s: _events([_delta(f"it is {s}."), _delta("ok")])),
    _received("events", lambda s: _events([_delta(piece) for piece in ["It is ", *_cut(s), " indeed"]])),
    _received("events of three characters", lambda s: _events([_delta(piece) for piece in _cut(f"It is {s}.", 3)])),
    _received("arguments", lambda s: _events([_arguments(piece) for piece in _cut(json.dumps({"key": s}))])),
    _received(
        "two texts at the same time",
        lambda s: _events([event for piece in _cut(s) for event in (_delta(piece), _arguments("x"))]),
    ),
    _received("events of text", lambda s: _ok("".join(f"data: {p}\n\n" for p in _cut(s.replace("\n", " "))), EVENTS)),
    _received("events of JSON texts", lambda s: _events(_cut(s))),
    _received(
        "lines of JSON",
        lambda s: _ok("".join(json.dumps({"message": {"content": piece}}) + "\n" for piece in _cut(s)), LINES),
    ),
    _received(
        "items of an array",
        lambda s: _ok(json.dumps([{"candidates": [{"content": {"parts": [{"text": p}]}}]} for p in _cut(s)])),
    ),
    _received("base64 in an answer", lambda s: _chat(base64.b64encode(f"user:{s}".encode()).decode()), encodes=True),
]


TEXTS: dict[str, Callable[[str], str]] = {
    "message of an error": lambda s: f"ValueError: no access with {s}",
    "repr in an assertion": lambda s: f"assert {s!r} == 'x'",
    "JSON of a report": lambda s: json.dumps({"failure": f"with {s}"}),
    "JUnit XML": lambda s: f'<failure message="{html.escape(s)}"/>',
    "name of a test": lambda s: f"test_a.py::test_it[{s}]",
    "log": lambda s: f"INFO httpx: GET https://x.example/?q={quote(s, safe='')}",
}
"""Texts that are printed or written to reports."""
