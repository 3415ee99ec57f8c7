"""Requests whose content encoding cannot be removed, and requests that are decoded only once."""

import gzip
import http.client
import http.server
import threading

import pytest
from recorded_tape import JSON, request

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.tape import Tape

DAMAGED = (*JSON, ("content-encoding", "gzip"))
UNKNOWN = (*JSON, ("content-encoding", "snappy"))


@pytest.mark.parametrize("headers", [DAMAGED, UNKNOWN])
def test_a_body_that_cannot_be_decoded_is_compared_as_it_was_sent(recorded, headers):
    recorded.put((request(b"\x00\xff?", headers=headers), "answer"))
    assert recorded.play(request(b"\x00\xff?", headers=headers)) == ["answer"]


def test_a_body_that_cannot_be_decoded_is_passed_to_the_test_as_it_was_sent(tmp_path):
    tape = Tape(tmp_path / "tape.yaml", mode="record")
    tape.route(request(b"?!", headers=UNKNOWN))
    assert tape.sent[0].body == b"?!"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (DAMAGED, "the body is not valid gzip data: Error -3 while decompressing data: incorrect header check"),
        (UNKNOWN, "unknown content encoding 'snappy'"),
    ],
)
def test_a_miss_says_why_a_body_could_not_be_decoded(recorded, headers, reason):
    recorded.put((request(b'{"n": 1}'), "answer"))
    with pytest.raises(CassetteMiss) as miss:
        recorded.play(request(b"\x00\xff?", headers=headers))
    assert f"  the body could not be decoded, so its encoded bytes were compared: {reason}\n" in str(miss.value)


def test_a_miss_names_the_package_that_decodes_the_body(recorded, monkeypatch):
    monkeypatch.setattr("multitrack.tape.normalize.content_encoding.import_module", _refuse_import)
    recorded.put((request(b'{"n": 1}'), "answer"))
    with pytest.raises(CassetteMiss) as miss:
        recorded.play(request(b"\x00", headers=(*JSON, ("content-encoding", "br"))))
    assert "the content encoding br requires another package: pip install brotli\n" in str(miss.value)


def _refuse_import(name):
    raise ImportError(name)


def test_a_miss_does_not_mention_the_encoding_of_a_body_that_was_decoded(recorded):
    recorded.put((request(b'{"n": 1}'), "answer"))
    with pytest.raises(CassetteMiss) as miss:
        recorded.play(request(gzip.compress(b'{"n": 2}'), headers=DAMAGED))
    assert "could not be decoded" not in str(miss.value)


@pytest.mark.slow
def test_a_body_is_decoded_once_whatever_client_sends_it(tmp_path):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        tape = Tape(tmp_path / "tape.yaml", mode="record")
        with activate(tape):
            connection = http.client.HTTPConnection(*server.server_address)
            connection.request("POST", "/", gzip.compress(gzip.compress(b"text")), {"content-encoding": "gzip"})
            connection.getresponse().read()
            connection.close()
        server.shutdown()
    assert gzip.decompress(tape.sent[0].body) == b"text"
