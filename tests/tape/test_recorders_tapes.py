"""Cassettes that other recorders wrote replay for current clients: see data/tapes/README.md."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from multitrack import use_cassette
from multitrack.errors import CassetteMiss

TAPES = sorted(
    path
    for path in (Path(__file__).parents[1] / "data" / "tapes").iterdir()
    if path.suffix != ".md" and not path.stem.endswith(("-grpc", "-bodies"))
)
URL = "http://127.0.0.1:8123"
GREETING = '{"answer": "grüße 😀", "n": 1.0}'.encode()
LINKS = [("link", "<a>"), ("link", "<b>")]
# what the server answered: path -> status, body, headers
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
# what was sent, and how it goes on in the answer
SENT = {
    "json": ({"json": {"text": "grüße", "q": 1}}, '{"q":'),
    "form": ({"data": {"a": "1", "b": "ü x"}}, "a=1&b=%C3%BC+x"),
    "bytes": ({"content": b"\xff\x00 bytes", "headers": {"content-type": "application/octet-stream"}}, "ÿ\x00 bytes"),
    "file": ({"content": b"of a file", "headers": PLAIN}, "of a file"),
    "iterator": ({"content": b"of an iterator", "headers": PLAIN}, "of an iterator"),
}
# vcrpy 4 stored the bytes of httpx as text
LOST = {("vcrpy-4.1.1-httpx.yaml", "binary")}


def same(one, other):
    """As documents where they are; recorders beside vcrpy write JSON anew."""
    return one == other or (one[:1] == b"{" and json.loads(one) == json.loads(other))


@pytest.mark.parametrize("tape", TAPES, ids=lambda path: path.name)
def test_a_cassette_of_another_recorder_replays(tape, tmp_path):
    text = tape.read_text(encoding="utf-8")
    copy = tmp_path / tape.name
    shutil.copy(tape, copy)
    read = [path for path in READ if f"{URL}/{path}" in text and (tape.name, path) not in LOST]
    sent = [path for path in SENT if f"{URL}/{path}" in text and (tape.name, path) not in LOST]
    assert {"text", "links", "missing?a=1&a=2", "stream", "json"} <= {*read, *sent}
    with use_cassette(copy) as playing, httpx.Client() as client:
        for path in read:
            answer = client.get(f"{URL}/{path}")
            status, body, headers = READ[path]
            assert (answer.status_code, path) == (status, path)
            assert same(answer.content, body), path
            assert [pair for pair in answer.headers.multi_items() if pair[0] == "link"] == headers
        for path in sent:
            message, told = SENT[path]
            assert client.post(f"{URL}/{path}", **message).json()["got"].startswith(told), path
        assert len(playing.played) == len(read) + len(sent)
    # playing it leaves it as it was
    assert copy.read_bytes() == tape.read_bytes()


def test_a_request_that_is_not_recorded_is_a_miss(tmp_path):
    copy = Path(shutil.copy(TAPES[0], tmp_path))
    with use_cassette(copy) as tape, tape.expect_misses(), pytest.raises(CassetteMiss):
        httpx.get(f"{URL}/nothing")
