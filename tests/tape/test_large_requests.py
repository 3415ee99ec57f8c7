"""Large and unusual requests are stored, and match on replay."""

import base64
import gzip
import hashlib
import io
import json
import random
import zlib

import brotli
import httpx
import pytest
import requests
import yaml
from local_provider import ProviderAnswer
from recorded_tape import request

from multitrack.errors import CassetteCorrupt, CassetteMiss
from multitrack.tape.file import storage
from multitrack.tape.use_cassette import use_cassette

PICTURE = random.Random(7).randbytes(50_000)
BASE64 = base64.b64encode(PICTURE).decode()
NAME = f"multitrack:sha256:{hashlib.sha256(PICTURE).hexdigest()}"


def picture_request(picture, question="what is this?"):
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    return request(json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": question}, url]}]}))


def test_a_large_image_is_stored_once_under_its_sha256(recorded):
    text = recorded.put(*((picture_request(BASE64, f"question {number}"), f"answer {number}") for number in range(5)))
    assert text.count(BASE64) == 1
    assert text.count(f'"url": "data:image/png;base64,{NAME}"') == 5
    document = yaml.safe_load(text)
    assert document["metadata"]["blobs"] == {hashlib.sha256(PICTURE).hexdigest(): BASE64}
    # the request is read as it was sent
    [first, *_] = storage.read(recorded.path).interactions
    assert json.loads(first.request.body) == json.loads(picture_request(BASE64, "question 0").body)
    assert recorded.play(picture_request(BASE64, "question 3"), picture_request(BASE64, "question 1")) == [
        "answer 3",
        "answer 1",
    ]
    other = base64.b64encode(PICTURE[::-1]).decode()
    with pytest.raises(CassetteMiss) as missed:
        recorded.play(picture_request(other, "question 3"))
    assert "$.messages[0].content[1].image_url.url" in str(missed.value)
    assert len(str(missed.value)) < 1000


BODIES_WITH_DATA = {
    "openai.chat: a picture": lambda data: {
        "messages": [{"content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]}]
    },
    "openai.chat: sound": lambda data: {
        "messages": [{"content": [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]}]
    },
    "openai.chat: a file": lambda data: {
        "messages": [{"content": [{"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}"}}]}]
    },
    "openai.responses: a file": lambda data: {
        "input": [{"content": [{"type": "input_file", "file_data": f"data:application/pdf;base64,{data}"}]}]
    },
    "gemini: inline": lambda data: {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}]},
    "gemini: a signature": lambda data: {"contents": [{"parts": [{"text": "x", "thoughtSignature": data}]}]},
}


@pytest.mark.parametrize("letters", ["standard", "urlsafe"])
@pytest.mark.parametrize("kind", BODIES_WITH_DATA)
def test_large_pieces_are_found_in_every_wire_format(recorded, kind, letters):
    data = BASE64 if letters == "standard" else base64.urlsafe_b64encode(PICTURE).decode()
    sent = request(json.dumps(BODIES_WITH_DATA[kind](data)))
    text = recorded.put((sent, "one"), (sent, "two"))
    assert max(map(len, text.splitlines())) < len(BASE64) + 100
    assert text.count(BASE64) == 1
    assert text.count(data[:1000]) == (letters == "standard")
    assert text.count(NAME) == 2
    assert [json.loads(each.request.body) for each in storage.read(recorded.path).interactions] == [
        BODIES_WITH_DATA[kind](data)
    ] * 2
    assert recorded.play(sent, sent) == ["one", "two"]


def test_recording_again_keeps_only_the_pieces_still_sent(recorded):
    recorded.put((picture_request(BASE64), "old"), test="t.py::one")
    other = base64.b64encode(PICTURE[::-1]).decode()
    text = recorded.put((picture_request(other), "new"), test="t.py::two")
    assert text.count(BASE64) == 1
    assert text.count(other) == 1
    text = recorded.put((picture_request("small"), "newer"), test="t.py::one")
    assert text.count(BASE64) == 0
    assert text.count(other) == 1


@pytest.mark.parametrize(
    "piece",
    [
        BASE64[:-3],  # not a multiple of four letters
        base64.urlsafe_b64encode(PICTURE).decode()[:-3],
        base64.b64encode(b"\0" * 3000).decode()[:-1] + "B=",
        "multitrack:sha256:" + "0" * 64,
        "a" * 5000,
    ],
    ids=["cut", "urlsafe", "other bits", "a name", "letters"],
)
def test_text_that_looks_like_a_piece_is_unchanged(recorded, piece):
    recorded.put((picture_request(piece), "answer"))
    [interaction] = storage.read(recorded.path).interactions
    assert json.loads(interaction.request.body) == json.loads(picture_request(piece).body)
    assert recorded.play(picture_request(piece)) == ["answer"]


def test_damaged_pieces_are_an_error(recorded):
    text = recorded.put((picture_request(BASE64), "answer"))
    recorded.path.write_text(text[: text.index("  blobs:")] + "  blobs: [x]\n  provenance: live\n")
    with pytest.raises(CassetteCorrupt, match=r"metadata\.blobs is a list, not a mapping"):
        storage.read(recorded.path)


ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "identity": bytes}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_compressed_request_is_stored_decompressed(provider, recorded, encoding):
    def send(document):
        content = ENCODERS[encoding](json.dumps(document).encode())
        headers = {"content-encoding": encoding, "content-type": "application/json"}
        return httpx.post(f"{provider.url}/v1", content=content, headers=headers).status_code

    provider.reply = lambda _: ProviderAnswer(b"{}")
    with use_cassette(recorded.path, mode="record"):
        send({"a": 1, "b": "text"})
    assert '"b": "text"' in recorded.text
    provider.stop()
    with use_cassette(recorded.path):
        assert send({"b": "text", "a": 1.0}) == 200


def pieces():
    yield b'{"a": 1,'
    yield b' "b": "text"}'


BODIES = {
    "iterator": lambda: pieces(),
    "file": lambda: io.BytesIO(b"".join(pieces())),
    "bytes": lambda: b"".join(pieces()),
}


@pytest.mark.parametrize("client", ["httpx", "requests"])
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_can_be_read_only_once_is_sent_and_recorded(provider, recorded, client, body):
    def send(kind):
        headers = {"content-type": "application/json"}
        if client == "httpx":
            return httpx.post(f"{provider.url}/v1", content=BODIES[kind](), headers=headers).json()
        return requests.post(f"{provider.url}/v1", data=BODIES[kind](), headers=headers).json()

    document = json.loads(b"".join(pieces()))
    with use_cassette(recorded.path, mode="record"):
        assert send(body) == document
    assert [json.loads(sent.body) for sent in provider.requests] == [document]
    provider.stop()
    with use_cassette(recorded.path):
        assert send("bytes") == document
    with use_cassette(recorded.path):
        assert send(body) == document


@pytest.mark.parametrize("client", ["httpx", "requests"])
def test_files_of_a_form_match_with_any_boundary(provider, recorded, client):
    def send(content, purpose="assistants"):
        post = httpx.post if client == "httpx" else requests.post
        files = {"file": ("picture.png", content, "image/png")}
        return post(f"{provider.url}/v1/files", data={"purpose": purpose}, files=files).status_code

    provider.reply = lambda _: ProviderAnswer(b"{}")
    with use_cassette(recorded.path, mode="record"):
        send(PICTURE)
    provider.stop()
    with use_cassette(recorded.path):
        assert send(PICTURE) == 200
    for changed in ((PICTURE[::-1], "assistants"), (PICTURE, "vision")):
        with use_cassette(recorded.path) as tape, tape.expect_misses() as misses:
            send(*changed)
        assert len(misses) == 1


@pytest.mark.parametrize("client", ["httpx", "requests"])
def test_a_form_is_compared_by_its_decoded_pairs(provider, recorded, client):
    def send(pairs):
        if client == "httpx":
            return httpx.post(f"{provider.url}/v1", data=dict(pairs)).status_code
        return requests.post(f"{provider.url}/v1", data=pairs).status_code

    provider.reply = lambda _: ProviderAnswer(b"{}")
    with use_cassette(recorded.path, mode="record"):
        send([("a", "x y"), ("b", "é&=")])
    provider.stop()
    kind = (("content-type", "application/x-www-form-urlencoded"),)
    assert recorded.play(request("a=x%20y&b=%c3%a9%26%3D", url=f"{provider.url}/v1", headers=kind)) == ["{}"]
    with use_cassette(recorded.path) as tape, tape.expect_misses() as misses:
        send([("a", "x y"), ("b", "other")])
    assert len(misses) == 1
