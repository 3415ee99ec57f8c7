"""Read cassettes of other recorders."""

import gzip
import json
import sys
import zlib
from dataclasses import replace

import brotli
import pytest
import yaml
import zstandard
from recorded_tape import JSON, request

from multitrack.errors import CassetteCorrupt
from multitrack.tape.file import storage
from multitrack.tape.tape import Tape

URL = "https://api.example.com/v1/chat"


def write_vcrpy_cassette(path, body, encoding=None, dump=yaml.dump):
    """Write a cassette as vcrpy does."""
    headers = {"Content-Type": ["application/json"], "Date": ["Thu, 01 Jan 2026 10:00:00 GMT"]}
    if encoding:
        headers["Content-Encoding"] = [encoding]
    document = {
        "interactions": [
            {
                "request": {
                    "body": '{"q": 1}',
                    "headers": {"Content-Type": ["application/json"]},
                    "method": "POST",
                    "uri": URL,
                },
                "response": {"body": {"string": body}, "headers": headers, "status": {"code": 200, "message": "OK"}},
            }
        ],
        "version": 1,
    }
    path.write_text(dump(document))


ANSWER = b'{"answer": "gr\xc3\xbc\xc3\x9fe"}'
RAW = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": gzip.compress(ANSWER),
    "deflate": zlib.compress(ANSWER),
    "deflate, gzip": gzip.compress(zlib.compress(ANSWER)),
    "br": brotli.compress(ANSWER),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_compressed_bodies_are_decoded(recorded, encoding):
    write_vcrpy_cassette(recorded.path, ENCODED[encoding], encoding)
    assert recorded.play(request('{"q": 1}')) == [ANSWER.decode()]


def test_raw_deflate_is_decoded(recorded):
    write_vcrpy_cassette(recorded.path, RAW.compress(ANSWER) + RAW.flush(), "deflate")
    assert recorded.play(request('{"q": 1}')) == [ANSWER.decode()]


def test_zstd_is_decoded(recorded):
    write_vcrpy_cassette(recorded.path, zstandard.compress(ANSWER), "zstd")
    assert recorded.play(request('{"q": 1}')) == [ANSWER.decode()]


@pytest.mark.parametrize(
    ("encoding", "modules", "package"),
    [
        ("br", ["brotli", "brotlicffi"], "brotli"),
        ("zstd", ["compression.zstd", "backports.zstd", "zstandard"], "zstandard"),
    ],
)
def test_a_body_whose_library_is_missing_names_what_to_install(recorded, monkeypatch, encoding, modules, package):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    write_vcrpy_cassette(recorded.path, b"(\xb5/\xfd\x04\x00", encoding)
    with pytest.raises(CassetteCorrupt) as refused:
        storage.read(recorded.path)
    assert refused.value.reason == f"interaction 1: the content encoding {encoding} requires another package"
    assert refused.value.advice == f"to read it: pip install {package}"
    # a body that was decoded when it was recorded requires no library
    write_vcrpy_cassette(recorded.path, ANSWER.decode(), encoding)
    assert recorded.play(request('{"q": 1}')) == [ANSWER.decode()]


def test_a_json_cassette_of_vcrpy_is_read(recorded):
    write_vcrpy_cassette(recorded.path, '{"answer": "\U0001f600/"}', dump=json.dumps)
    assert "\\ud83d" in recorded.text
    assert recorded.play(request('{"q": 1}')) == ['{"answer": "\U0001f600/"}']


def test_the_recording_time_is_the_latest_date_of_a_response(recorded):
    write_vcrpy_cassette(recorded.path, "x")
    assert storage.read(recorded.path).recorded_at.isoformat() == "2026-01-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("!!python/unicode 'a=b'", "a=b"),
        ("!!python/str 'a=b'", "a=b"),
        ("!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary YT1i, 0, null]}", "a=b"),
        ("!!python/object/apply:builtins.iter {args: !!python/tuple [[!!binary YT0=, b]]}", "a=b"),
        ("!!python/object/new:_io.StringIO {state: !!python/tuple [a=b, '\\n', 0, null]}", "a=b"),
        ("!!python/object:StringIO.StringIO {buf: b, buflist: [a, '='], len: 3, pos: 0}", "a=b"),
        ("!!binary YT1i", "a=b"),
        ("null", ""),
    ],
)
def test_bodies_with_python_tags_of_vcrpy_are_read(recorded, body, sent):
    recorded.path.write_text(
        f"interactions:\n- request: {{body: {body}, headers: {{}}, method: POST, uri: '{URL}'}}\n"
        "  response: {body: {string: fine}, headers: {}, status: {code: 200, message: OK}}\nversion: 1\n"
    )
    assert recorded.play(request(sent, headers=())) == ["fine"]


def test_a_tag_that_would_run_code_is_refused(recorded, tmp_path):
    recorded.path.write_text(
        "interactions:\n- request: {body: !!python/object/apply:os.mkdir ["
        + str(tmp_path / "made")
        + "], headers: {}, method: GET, uri: 'http://x'}\n  response: {}\nversion: 1\n"
    )
    with pytest.raises(CassetteCorrupt, match="could not determine a constructor for the tag"):
        storage.read(recorded.path)
    assert not (tmp_path / "made").exists()


def test_parsed_bodies_are_serialized(recorded):
    recorded.path.write_text(
        f"""\
interactions:
- request:
    headers: {{content-type: [application/json]}}
    method: POST
    parsed_body: {{q: 1, text: grüße}}
    uri: {URL}
  response:
    headers: {{content-type: [application/json]}}
    parsed_body:
      choices: []
      n: 1.0
    status: {{code: 200, message: OK}}
- request: {{body: '', headers: {{}}, method: GET, uri: '{URL}'}}
  response:
    body: {{string: plain}}
    headers: {{content-type: [text/plain]}}
    status: {{code: 404, message: Not Found}}
version: 1
"""
    )
    sent = [request('{"text": "grüße", "q": 1}'), request(method="GET", headers=())]
    first, second = recorded.play(*sent)
    assert json.loads(first) == {"choices": [], "n": 1.0}
    assert second == "plain"


CASSETTER = f"""\
version: 1
interactions:
- request:
    method: POST
    uri: {URL}/binary
    headers: {{content-type: [application/octet-stream]}}
    body: {{type: binary, content: fe01}}
  response:
    status: 200
    headers: {{content-type: [application/octet-stream]}}
    body: {{type: binary, content: ff0001}}
  recorded_at: 2026-01-21T00:39:15.904368+00:00
- request:
    method: POST
    uri: {URL}/json
    headers: {{content-type: [application/json]}}
    body: {{type: json, content: {{q: 1}}}}
  response:
    status: 429
    headers: {{content-type: [application/json]}}
    body: {{type: json, content: {{a: 1.0}}}}
  recorded_at: 2026-02-21T00:39:15.904368+00:00
- request:
    method: GET
    uri: {URL}/text
    headers: {{}}
    body: {{type: none}}
  response:
    status: 200
    headers: {{content-type: [text/event-stream]}}
    body:
      type: text
      content: |+
        data: x

  recorded_at: 2026-01-21T00:39:15.904368+00:00
"""


def test_cassettes_of_cassetter_are_read(recorded):
    recorded.path.write_text(CASSETTER)
    tape = Tape(recorded.path)
    kind = (("content-type", "application/octet-stream"),)
    answers = [
        tape.route(sent).response
        for sent in (
            request('{"q": 1}', url=f"{URL}/json"),
            request(b"\xfe\x01", url=f"{URL}/binary", headers=kind),
            request(url=f"{URL}/text", method="GET", headers=()),
        )
    ]
    assert [(answer.status, answer.body) for answer in answers] == [
        (429, b'{"a": 1.0}'),
        (200, b"\xff\x00\x01"),
        (200, b"data: x\n\n"),
    ]
    assert storage.read(recorded.path).recorded_at.isoformat().startswith("2026-02-21T00:39:15")


# cassetter writes YAML 1.2, in which these are texts; YAML 1.1 has dates, times in sexagesimal numbers, and two signs
@pytest.mark.parametrize("text", ["2020-10-01", "2020-10-01T10:00:00Z", "12:30", "1:30:00", "12:30:45.6", "=", "<<"])
def test_a_text_without_quotes_in_a_cassette_of_cassetter_is_kept(recorded, text):
    changed = CASSETTER.replace("{a: 1.0}", f"{{{text}: {text}}}" if text != "<<" else '{"<<": <<}')
    recorded.path.write_text(changed.replace("headers: {}", f"headers: {{openai-version: [{text}]}}"))
    tape = Tape(recorded.path)
    answer = tape.route(request('{"q": 1}', url=f"{URL}/json")).response
    assert json.loads(answer.body) == {text: text}
    sent = request(url=f"{URL}/text", method="GET", headers=(("openai-version", text),))
    assert tape.route(sent).response.status == 200


def test_websocket_messages_of_cassetter_are_refused(recorded):
    recorded.path.write_text("version: 1\ninteractions: []\nws_interactions:\n- x\n")
    with pytest.raises(
        CassetteCorrupt, match="the file contains WebSocket messages in cassetter's format, which only cassetter"
    ):
        storage.read(recorded.path)


def test_a_body_of_an_unknown_kind_is_refused(recorded):
    recorded.path.write_text(CASSETTER.replace("type: json, content: {q: 1}", "type: xml, content: x"))
    with pytest.raises(CassetteCorrupt, match="interaction 2: the body type 'xml' is not supported"):
        storage.read(recorded.path)


@pytest.mark.parametrize("body", ["1", "1.5", "{string: 1}"])
def test_a_body_that_is_neither_text_nor_bytes_is_refused(recorded, body):
    recorded.path.write_text(
        f"interactions:\n- request: {{body: null, headers: {{}}, method: GET, uri: '{URL}'}}\n"
        f"  response: {{body: {body}, headers: {{}}, status: {{code: 200, message: OK}}}}\nversion: 1\n"
    )
    with pytest.raises(CassetteCorrupt, match=r"interaction 1: a body is .+, which is neither text nor bytes"):
        storage.read(recorded.path)


def test_an_invalid_time_is_ignored(recorded):
    recorded.path.write_text(CASSETTER.replace("2026-02-21T00:39:15.904368+00:00", "soon"))
    assert storage.read(recorded.path).recorded_at.isoformat().startswith("2026-01-21T00:39:15")


def test_json_headers_are_kept(recorded):
    write_vcrpy_cassette(recorded.path, "x")
    [interaction] = storage.read(recorded.path).interactions
    assert interaction.request.headers == JSON


def write_cassette_with_key(path):
    """Write a cassette of vcrpy whose response contains a key."""
    write_vcrpy_cassette(path, json.dumps({"echo": KEY}).encode())


KEY = "sk-proj-" + "Zk4mQw8Lx2Rv9Tn6Bc3Yd7Hs" * 2


def test_the_response_of_another_recorder_is_shown_without_its_secrets(recorded):
    write_cassette_with_key(recorded.path)
    assert KEY not in repr(Tape(recorded.path).interactions)


def test_the_response_of_another_recorder_is_replayed_with_its_secrets(recorded):
    write_cassette_with_key(recorded.path)
    assert recorded.play(request('{"q": 1}')) == [json.dumps({"echo": KEY})]


def test_equal_responses_of_another_recorder_are_equal(recorded):
    write_cassette_with_key(recorded.path)
    one, other = (Tape(recorded.path).interactions[0].response for _ in range(2))
    assert one == other


def test_a_response_of_another_recorder_can_be_changed(recorded):
    write_cassette_with_key(recorded.path)
    response = Tape(recorded.path).interactions[0].response
    assert replace(response, status=500).body == response.body
