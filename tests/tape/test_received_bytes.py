"""A replayed response has the bytes that were received, in their content encoding if the client expects it."""

import asyncio
import gzip
import hashlib
import http.client
import json
import urllib.request
import zlib
from urllib.parse import urlsplit

import brotli
import httplib2
import httpx
import httpx2
import pytest
import requests
import urllib3
import yaml
import zstandard
from local_provider import STREAM, ProviderAnswer

from multitrack.tape.active import activate
from multitrack.tape.tape import Tape

JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


def record_and_replay(path, provider, use):
    """Return the result of ``use`` while recording and on replay. The provider is not reached on replay."""
    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        live = use()
    assert tape.save().state == "written"
    count = len(provider.requests)
    with activate(Tape(path)):
        replayed = use()
    assert len(provider.requests) == count
    return live, replayed


BODIES = {
    "JSON lines, one": (LINES, b'{"done":true}\n'),
    "JSON lines": (LINES, b'{"a": 1}\n{"done":true}\n'),
    "compact": (JSON, b'{"a":{"b":[1,2,{}],"c":[]},"d":"x: y, {z}\\n"}'),
    "spaced": (JSON, b'{"a": {"b": [1, 2, {}], "c": []}, "d": "x: y, {z}\\n"}'),
    "mixed": (JSON, b'{"a":1, "b" : [1,2 ]}'),
    "trailing newline": (JSON, b'{"a":1}\n'),
    "trailing newlines": (JSON, b'{"a": 1}\n\n'),
    "leading whitespace": (JSON, b' \n{"a":1}'),
    "trailing space": (JSON, b'{"a":1} '),
    "two spaces": (JSON, b'{\n  "a": [\n    1\n  ]\n}'),
    "four spaces": (JSON, b'{\n    "a": [\n        1\n    ]\n}\n'),
    "tabs": (JSON, b'{\n\t"a": 1\n}'),
    "empty object with space": (JSON, b'{ "a": { }, "b": [ ] }'),
    "CRLF": (JSON, b'{\r\n  "a": 1\r\n}\r\n'),
    "CRLF text": ({"content-type": "text/plain"}, b"one\r\ntwo\r\n"),
    "repeated keys": (JSON, b'{"a":1,"a":2}'),
    "numbers": (JSON, b'{"a":1.0,"b":1e5,"c":1E+05,"d":-0,"e":0.10,"f":12345678901234567890}'),
    "escapes": (JSON, b'{"a":"\\u00e9\\/\\ud83d\\ude00","b\\"c":"\\u0041"}'),
    "letters": (JSON, '{"a":"é😀","é":1}'.encode()),
    "separators of Unicode": (JSON, '{"a":"x\u2028y\u2029z\x85\x7f\ufeff"}'.encode()),
    "byte order mark": (JSON, b'\xef\xbb\xbf{"a":1}'),
    "array": (JSON, b'[1,[2,"a"],[[]],null]'),
    "text like YAML": ({"content-type": "text/plain"}, b"- a: b\n  # c\n\n"),
    "binary": ({"content-type": "application/octet-stream"}, bytes(range(256))),
    "empty": (JSON, b""),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_received_bytes_are_replayed(path, provider, name):
    headers, body = BODIES[name]
    provider.reply = lambda _: ProviderAnswer(body, headers=headers)
    live, replayed = record_and_replay(path, provider, lambda: httpx.get(provider.url).content)
    assert live == body
    assert replayed == body


def test_lines_of_json_are_replayed_line_by_line(path, provider):
    provider.reply = lambda _: ProviderAnswer(b'{"done":true}\n', headers=LINES)

    def read():
        with httpx.stream("GET", provider.url) as response:
            return [json.loads(line) for line in response.iter_lines()]

    _, replayed = record_and_replay(path, provider, read)
    assert replayed == [{"done": True}]


def test_a_signature_of_the_body_stays_valid(path, provider):
    body = b'{"id": "evt_1",\n "amount": 1.50}\n'
    provider.reply = lambda _: ProviderAnswer(body, headers=JSON)
    _, replayed = record_and_replay(path, provider, lambda: hashlib.sha256(requests.get(provider.url).content))
    assert replayed.hexdigest() == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("name", ["compact", "spaced", "trailing newline"])
def test_reversible_json_is_stored_indented(path, provider, name):
    headers, body = BODIES[name]
    provider.reply = lambda _: ProviderAnswer(body, headers=headers)
    record_and_replay(path, provider, lambda: httpx.get(provider.url).content)
    assert "      string: |" in path.read_text(encoding="utf-8")
    assert '          "a": ' in path.read_text(encoding="utf-8")


def test_a_body_that_was_edited_by_hand_is_replayed_as_the_same_json(path, provider):
    provider.reply = lambda _: ProviderAnswer(b'{"a":1,"b":2}', headers=JSON)
    record_and_replay(path, provider, lambda: httpx.get(provider.url).content)
    path.write_text(path.read_text().replace('"a": 1,', '"a" : 7,  "c": [1, 2],'))
    with activate(Tape(path)):
        assert httpx.get(provider.url).json() == {"a": 7, "c": [1, 2], "b": 2}


DOCUMENT = b'{"answer":"' + b"a" * 300 + b'"}'
ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "deflate, gzip": lambda body: gzip.compress(zlib.compress(body)),
    # without the frame of zlib
    "raw deflate": lambda body: zlib.compress(body, wbits=-15),
    "gzip, raw deflate": lambda body: zlib.compress(gzip.compress(body), wbits=-15),
}
DECODERS = {
    "gzip": gzip.decompress,
    "x-gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": zstandard.decompress,
    "deflate, gzip": lambda body: zlib.decompress(gzip.decompress(body)),
    "raw deflate": lambda body: zlib.decompress(body, -15),
    "gzip, raw deflate": lambda body: gzip.decompress(zlib.decompress(body, -15)),
}


def _request(url, encoding):
    return urllib.request.Request(url, headers={"accept-encoding": encoding})


def by_urllib(url, encoding):
    with urllib.request.urlopen(_request(url, encoding)) as response:
        return response.headers["content-encoding"], response.read()


def by_http_client(url, encoding):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/", headers={"accept-encoding": encoding})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.getheader("content-encoding"), body


def by_requests_raw(url, encoding):
    response = requests.get(url, stream=True, headers={"accept-encoding": encoding})
    return response.headers["content-encoding"], response.raw.read()


def by_urllib3(url, encoding):
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, preload_content=False, headers={"accept-encoding": encoding})
        return response.headers["content-encoding"], response.read(decode_content=False)


def by_httplib2_connection(url, encoding):
    connection = httplib2.HTTPConnectionWithTimeout(urlsplit(url).netloc)
    connection.request("GET", "/", headers={"accept-encoding": encoding})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.getheader("content-encoding"), body


def by_httpx(module):
    def read(url, encoding):
        with module.stream("GET", url, headers={"accept-encoding": encoding}) as response:
            return response.headers["content-encoding"], b"".join(response.iter_raw())

    return read


def by_aiohttp(url, encoding):
    aiohttp = pytest.importorskip("aiohttp")

    async def main():
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(url, headers={"accept-encoding": encoding}) as response,
        ):
            return response.headers["content-encoding"], await response.read()

    return asyncio.run(main())


RAW_CLIENTS = {
    "urllib": by_urllib,
    "http.client": by_http_client,
    "requests": by_requests_raw,
    "urllib3": by_urllib3,
    "httplib2": by_httplib2_connection,
    "httpx": by_httpx(httpx),
    "httpx2": by_httpx(httpx2),
    "aiohttp": by_aiohttp,
}


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("client", RAW_CLIENTS)
def test_a_client_that_does_not_decode_receives_the_encoded_body(path, provider, client, encoding):
    header = encoding.replace("raw ", "")
    encoded = {**JSON, "content-encoding": header}
    provider.reply = lambda _: ProviderAnswer(ENCODERS[encoding](DOCUMENT), headers=encoded)
    live, replayed = record_and_replay(path, provider, lambda: RAW_CLIENTS[client](provider.url, header))
    assert live[0] == replayed[0] == header
    assert DECODERS[encoding](live[1]) == DOCUMENT
    assert DECODERS[encoding](replayed[1]) == DOCUMENT


def test_a_body_that_was_encoded_without_being_asked_for_is_encoded_on_replay(path, provider):
    provider.reply = lambda _: ProviderAnswer(gzip.compress(DOCUMENT), headers={**JSON, "content-encoding": "gzip"})
    _, replayed = record_and_replay(path, provider, lambda: urllib.request.urlopen(provider.url).read())
    assert gzip.decompress(replayed) == DOCUMENT


def by_httplib2(url):
    client = httplib2.Http()
    body = client.request(url)[1]
    client.close()
    return body


def by_async_httpx(url):
    async def main():
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).content

    return asyncio.run(main())


def by_decoding_aiohttp(url):
    aiohttp = pytest.importorskip("aiohttp")

    async def main():
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.read()

    return asyncio.run(main())


DECODING_CLIENTS = {
    "requests": lambda url: requests.get(url).content,
    "httplib2": by_httplib2,
    "httpx": lambda url: httpx.get(url).content,
    "httpx2": lambda url: httpx2.get(url).content,
    "httpx-async": by_async_httpx,
    "aiohttp": by_decoding_aiohttp,
}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "br", "zstd"])
@pytest.mark.parametrize("client", DECODING_CLIENTS)
def test_a_client_that_decodes_receives_the_document(path, provider, client, encoding):
    header = encoding.removeprefix("raw ")

    def reply(request):
        if header not in request.headers.get("accept-encoding", ""):
            return ProviderAnswer(DOCUMENT)
        return ProviderAnswer(ENCODERS[encoding](DOCUMENT), headers={**JSON, "content-encoding": header})

    provider.reply = reply
    live, replayed = record_and_replay(path, provider, lambda: DECODING_CLIENTS[client](provider.url))
    assert live == DOCUMENT
    assert replayed == DOCUMENT


def test_a_client_that_does_not_accept_the_recorded_encoding_receives_the_decoded_body(path, provider):
    provider.reply = lambda _: ProviderAnswer(brotli.compress(DOCUMENT), headers={**JSON, "content-encoding": "br"})
    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        assert httpx.get(provider.url, headers={"accept-encoding": "br"}).content == DOCUMENT
    tape.save()
    with activate(Tape(path)):
        response = httpx.get(provider.url, headers={"accept-encoding": "gzip"})
    assert response.content == DOCUMENT
    assert "content-encoding" not in response.headers


def test_the_cassette_has_the_decoded_body(path, provider):
    provider.reply = lambda _: ProviderAnswer(gzip.compress(b'{"a":1}'), headers={**JSON, "content-encoding": "gzip"})
    record_and_replay(path, provider, lambda: httpx.get(provider.url).content)
    [interaction] = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    assert interaction["response"]["body"]["string"] == '{\n  "a": 1\n}'
    assert interaction["response"]["encoding"] == "gzip"
    assert "content-encoding" not in interaction["response"]["headers"]


@pytest.mark.parametrize("client", [httpx, httpx2])
def test_an_encoded_stream_is_replayed_event_by_event(path, provider, client):
    events = [b"data: a\n\n", b"data: b\n\n", b"data: c\n\n"]

    def reply(_):
        encoder = zlib.compressobj(wbits=31)
        parts = [encoder.compress(event) + encoder.flush(zlib.Z_SYNC_FLUSH) for event in events]
        return ProviderAnswer(iter([*parts, encoder.flush()]), headers={**STREAM, "content-encoding": "gzip"})

    provider.reply = reply

    def read():
        with client.stream("GET", provider.url) as response:
            return list(response.iter_bytes())

    _, replayed = record_and_replay(path, provider, read)
    assert replayed == events


def test_an_empty_body_keeps_its_encoding(path, provider):
    provider.reply = lambda _: ProviderAnswer(b"", headers={**JSON, "content-encoding": "gzip"})
    _, replayed = record_and_replay(path, provider, lambda: httpx.get(provider.url).headers["content-encoding"])
    assert replayed == "gzip"
