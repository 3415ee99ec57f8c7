"""Cassettes that other recorders wrote replay for current clients: see data/tapes/README.md."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from multitrack import use_cassette

CASSETTES = sorted(
    path
    for path in (Path(__file__).parents[1] / "data" / "tapes").iterdir()
    if path.suffix != ".md" and not path.stem.endswith(("-grpc", "-bodies"))
)
URL = "http://127.0.0.1:8123"
GREETING = '{"answer": "grüße 😀", "n": 1.0}'.encode()
LINKS = [("link", "<a>"), ("link", "<b>")]
# the responses of the server: path -> status, body, headers
READ = {
    "gzip": (200, GREETING, []),
    "deflate": (200, GREETING, []),
    "br": (200, GREETING, []),
    "zstd": (200, GREETING, []),
    "binary": (200, b"\x00\xff\xfe\n\r", []),
    "text": (200, "line one\nline two é\n".encode(), []),
    "links": (200, b"{}", LINKS),
    "missing?a=1&a=2": (404, b'{"error": "no"}', []),
    "stream": (200, b'data: {"a": 1}\r\n\r\ndata: [DONE]\n\n', []),
    "empty": (204, b"", []),
}
PLAIN = {"content-type": "text/plain"}
# the requests, and the beginning of the body in the response
SENT = {
    "json": ({"json": {"text": "grüße", "q": 1}}, '{"q":'),
    "form": ({"data": {"a": "1", "b": "ü x"}}, "a=1&b=%C3%BC+x"),
    "bytes": ({"content": b"\xff\x00 bytes", "headers": {"content-type": "application/octet-stream"}}, "ÿ\x00 bytes"),
    "file": ({"content": b"of a file", "headers": PLAIN}, "of a file"),
    "iterator": ({"content": b"of an iterator", "headers": PLAIN}, "of an iterator"),
}
# vcrpy 4 stored the bytes of httpx as text
LOST = {("vcrpy-4.1.1-httpx.yaml", "binary")}


def is_same_body(first, second):
    """Compare JSON as documents, because recorders other than vcrpy serialize it again."""
    return first == second or (first[:1] == b"{" and json.loads(first) == json.loads(second))


@pytest.mark.parametrize("cassette", CASSETTES, ids=lambda path: path.name)
def test_a_cassette_of_another_recorder_replays(cassette, tmp_path):
    text = cassette.read_text(encoding="utf-8")
    copy = tmp_path / cassette.name
    shutil.copy(cassette, copy)
    read = [path for path in READ if f"{URL}/{path}" in text and (cassette.name, path) not in LOST]
    sent = [path for path in SENT if f"{URL}/{path}" in text and (cassette.name, path) not in LOST]
    assert {"text", "links", "missing?a=1&a=2", "stream", "json"} <= {*read, *sent}
    with use_cassette(copy) as tape, httpx.Client() as client:
        for path in read:
            response = client.get(f"{URL}/{path}")
            status, body, headers = READ[path]
            assert response.status_code == status, path
            assert is_same_body(response.content, body), path
            assert [pair for pair in response.headers.multi_items() if pair[0] == "link"] == headers
        for path in sent:
            arguments, beginning = SENT[path]
            assert client.post(f"{URL}/{path}", **arguments).json()["got"].startswith(beginning), path
        assert len(tape.played) == len(read) + len(sent)
    # replay does not change the file
    assert copy.read_bytes() == cassette.read_bytes()


def test_a_request_that_is_not_recorded_is_a_miss(tmp_path):
    copy = Path(shutil.copy(CASSETTES[0], tmp_path))
    with use_cassette(copy) as tape, tape.expect_misses() as misses:
        httpx.get(f"{URL}/nothing")
    assert len(misses) == 1
