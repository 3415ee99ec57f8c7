"""The corpus: the cassettes and the answers in this repository, and the inputs that the fuzzer has found."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FINDINGS = Path(__file__).parent / "findings"
LIBRARY = ROOT / "cassettes" / "library"

_LARGEST = 20_000
_LARGEST_ANSWER = 4_000
_BEHAVIOURS_PER_FORMAT = 2
_REQUEST = b"POST /v1/chat?key=x HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n"
_MESSAGES = (
    _REQUEST + b'Content-Length: 8\r\n\r\n{"a": 1}',
    _REQUEST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n wo\r\n0\r\nx-checksum: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: {}\n\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nx: a\r\n b\r\n\r\n",
    b"HTTP/1.0 429 Too Many Requests\nRetry-After: 5\nContent-Length: 0\n\n",
)
_SECRETS = (
    b'application/json\n{"api_key": "sk-proj-0123456789abcdefghijABCDEFGHIJ", "password": "hunter2hunter2"}',
    b"application/x-www-form-urlencoded\nclient_secret=abcdefghijklmnop&grant_type=refresh_token&code=a%2Fb",
    b'text/event-stream\ndata: {"delta": "sk-proj-0123456789"}\n\ndata: {"delta": "abcdefghijABCDEFGHIJ"}\n\n',
    b'application/x-ndjson\n{"message": {"content": "sk-proj-0123"}}\n{"message": {"content": "456789abcdefghij"}}\n',
    b'application/json\n{"logprobs": {"content": [{"token": "sk-proj-0123456789abcdefghij", "bytes": [115, 107], '
    b'"top_logprobs": [{"token": "sk-proj-0123456789abcdefghij"}]}, {"token": "ABCDEFGHIJ"}]}}',
    b'text/event-stream\ndata: {"chosenCandidates": [{"token": "sk-proj-0123456789"}], "topCandidates": '
    b'[{"candidates": [{"token": "sk-proj-0123456789"}]}]}\n\n'
    b'data: {"chosenCandidates": [{"token": "abcdefghijABCDEFGHIJ"}]}\n\n',
    b'application/json\n{"tokens": ["sk-proj-0123456789", "abcdefghijABCDEFGHIJ"], "token_logprobs": [-1, -2], '
    b'"top_logprobs": [{"sk-proj-0123456789": -1}]}',
    b"text/plain\npostgres://user:correct-horse-battery@db.example/app -----BEGIN PRIVATE KEY-----\nMIIEvQ\n"
    b"projects/acme-prod-7/locations/us-central1 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijklmnopqrstuvwxyz",
)


def find_seeds(target: str) -> Iterator[bytes]:
    """Yield the seeds of ``target``."""
    yield from (path.read_bytes() for path in list_findings(target))
    match target:
        case "reader":
            yield from _list_cassettes()
        case "wires":
            yield from _list_answers()
        case "http1":
            yield from _MESSAGES
        case "redactor":
            yield from _SECRETS
            yield from (b"application/json\n" + answer for answer in _list_answers())


def list_findings(target: str) -> list[Path]:
    """Return the inputs on which ``target`` once failed."""
    return sorted((FINDINGS / target).glob("*"))


def _list_cassettes() -> Iterator[bytes]:
    in_library: dict[Path, int] = {}
    for folder in (ROOT / "cassettes", ROOT / "tests" / "data"):
        for path in sorted(folder.rglob("*")):
            if path.suffix not in (".yaml", ".toml", ".json") or path.stat().st_size > _LARGEST:
                continue
            if path.is_relative_to(LIBRARY):
                # the hundreds of recorded behaviours are similar, so all of them would only cost time
                in_library[path.parent] = in_library.get(path.parent, 0) + 1
                if in_library[path.parent] > _BEHAVIOURS_PER_FORMAT:
                    continue
            yield path.read_bytes()


def _list_answers() -> Iterator[bytes]:
    for path in sorted((ROOT / "tests" / "data" / "answers").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            body = json.loads(line)["body"]
            yield (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
    kinds: dict[str, int] = {}
    for path in sorted((ROOT / "tests" / "data" / "corpora").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            entry = json.loads(line)
            if "response_b64" in entry:
                content = base64.b64decode(entry["response_b64"])
            else:
                content = str(entry.get("response_body", "")).encode()
            kind = f"{entry.get('wire')} {content[:20]!r}"
            # a few of each kind, because thousands of similar seeds only cost time
            kinds[kind] = kinds.get(kind, 0) + 1
            if content and len(content) <= _LARGEST_ANSWER and kinds[kind] <= 3:
                yield content
