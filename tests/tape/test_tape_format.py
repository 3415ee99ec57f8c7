"""The file format: Multitrack reads the cassettes of vcrpy, and vcrpy reads the cassettes of Multitrack."""

import gzip
import json
import os
import subprocess
import sys
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from local_provider import ProviderAnswer
from recorded_tape import JSON, request
from vcr.serialize import deserialize as vcr_deserialize
from vcr.serializers import yamlserializer

from multitrack.errors import CassetteNotWritten
from multitrack.tape import jsontext
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Ending, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.file import cassette_reader, storage, yaml_text
from multitrack.tape.file.blobs import Blobs
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.file.yaml_loader import Loader
from multitrack.tape.interaction import Interaction
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

NASTY = ["1e5", "1.0", "yes", "null", "~", "0x1F", "2024-01-01", "- x", "a: b", "#", "%", "@", "'", '"', "...", "---"]
SPECIAL = ["\r\n", "\u2028", "\u2029", "\x85", "\ufeff", "\t", " \n", "\n\n", "😀", "\x00", "\x7f", "é", "`", "|", ">"]
SPECIAL += ["\ud800", "\udce9", "\ud83d\ude00"]  # halves of surrogate pairs
text = st.one_of(
    st.sampled_from(NASTY),
    st.sampled_from([*NASTY, " a", "a ", "é", "a\n", "😀\r\n"]).map(lambda part: part * 1100),
    st.lists(st.one_of(st.sampled_from(SPECIAL), st.text(max_size=5)), max_size=6).map("".join),
)
number = st.sampled_from(["1", "1.0", "1e5", "-0", "-0.0", "1E+2", "12345678901234567890", "0.1", "1e400", "3.10"])
string = text.map(json.dumps) | text.map(lambda value: json.dumps(value, ensure_ascii=False))
space = st.sampled_from(["", " ", "\n", "\t\r\n"])


def array(inner):
    return st.builds(lambda items, gap: "[" + f"{gap},{gap}".join(items) + "]", st.lists(inner, max_size=3), space)


def mapping(inner):
    pair = st.builds(lambda key, gap, value: f"{key}{gap}:{gap}{value}", string, space, inner)
    return st.builds(lambda items, gap: "{" + f"{gap},{gap}".join(items) + "}", st.lists(pair, max_size=3), space)


document = st.recursive(
    number | string | st.sampled_from(["null", "true", "false"]),
    lambda inner: array(inner) | mapping(inner),
    max_leaves=8,
)


def without_surrogates(value):
    return value.encode("utf-8", "replace").decode()


large = st.sampled_from([b'{"data": "%s"}' % b64encode(bytes([n]) * 900) for n in range(2)])
body = st.one_of(
    large,
    st.binary(max_size=20),
    text.map(lambda value: without_surrogates(value).encode()),
    document.map(lambda value: without_surrogates(value).encode()),
)
name = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True) | st.sampled_from(
    ["null", "", "n" * 127, "n" * 2000, "\udce9"]
)
headers = st.dictionaries(name, st.lists(text, min_size=1, max_size=2), max_size=2).map(
    lambda grouped: tuple((key, value) for key, values in grouped.items() for value in values)
)
positive = st.integers(1, 9)
chunks = st.builds(
    Chunks,
    st.lists(positive, max_size=3).map(tuple),
    st.lists(st.tuples(positive, positive), max_size=3).map(tuple),
    st.lists(positive, max_size=3).map(tuple),
    st.booleans(),
)
failure = st.builds(Failure, text, text, st.sampled_from(get_args(During)), text)
encoding = st.sampled_from([("", True), ("gzip", True), ("br, gzip", False), ("deflate", True, True)])
response = st.builds(
    lambda *parts: Response(*parts[:-1], *parts[-1]),
    st.integers(200, 599),
    text,
    headers,
    body,
    st.sampled_from(get_args(Ending)),
    chunks,
    st.none() | failure,
    encoding,
)
interaction = st.builds(
    Interaction,
    st.builds(
        Request,
        st.sampled_from(["GET", "POST", "M\udce9"]),
        # vcrpy accepts no bytes as URL, but clients encode a URL anyway
        st.builds("{}{}".format, st.sampled_from(["http://h/", "grpc://h/pkg.Service/"]), text.map(without_surrogates)),
        headers,
        body,
    ),
    response,
    st.lists(text, max_size=2).map(tuple),
    st.sampled_from(["live", "local", "standin"]),
    st.dictionaries(text, text, max_size=2).map(lambda models: tuple(models.items())),
    st.none() | st.lists(text, max_size=2).map(tuple),
)


def is_same_body(first, second):
    """Return whether the bodies are equal, or the same JSON document with the same spelling of numbers and strings."""
    if first == second:
        return True
    tokens = [jsontext._TOKEN.findall(side.decode()) for side in (first, second)]
    spelled = [[json.loads(token) if token.startswith('"') else token for token in side] for side in tokens]
    return spelled[0] == spelled[1]


@pytest.mark.slow
@given(st.lists(interaction, max_size=3))
def test_a_written_cassette_is_read_again(interactions):
    metadata = {"format": 1, "recorder": "x", "sdks": {"openai": "3.0"}, "recorded_at": "2026-01-02T03:04:05+00:00"}
    written = dump_cassette(Cassette(tuple(interactions), metadata))
    read = cassette_reader.load_cassette(written.encode(), Path("x"))
    assert read.metadata == metadata
    assert len(read.interactions) == len(interactions)
    for before, after in zip(interactions, read.interactions, strict=True):
        assert is_same_body(before.request.body, after.request.body)
        assert after.response == before.response
        assert after.tests == before.tests
        assert after.provenance == before.provenance
        assert after.models == before.models
        assert after.results == before.results
        assert after.request.headers == before.request.headers
        assert after.request.method == before.request.method
        assert after.request.url == before.request.url
    # writing it again changes nothing, and other loaders read the same document
    assert dump_cassette(read) == written
    document = yaml.load(written, Loader=Loader)
    assert yaml.load(written, Loader=yaml.SafeLoader) == document
    requests, responses, *_ = vcr_deserialize(written, yamlserializer)
    blobs = Blobs(document["metadata"].get("blobs"))
    for ours, sent, received in zip(read.interactions, requests, responses, strict=True):
        assert yaml_text.restore_text(sent.method) == ours.request.method
        assert sent.uri == ours.request.url
        assert blobs.restore(sent.body) == ours.request.body
        assert received["status"]["code"] == ours.response.status
        assert is_same_body(received["body"]["string"], ours.response.body)


CASSETTES = sorted((Path(__file__).parents[2] / "cassettes").rglob("*.yaml"))


def test_cassettes_of_this_repository_are_written_unchanged():
    assert CASSETTES
    for path in CASSETTES:
        text = path.read_text(encoding="utf-8")
        assert dump_cassette(cassette_reader.load_cassette(text.encode(), path)) == text, path


@pytest.mark.slow
@pytest.mark.parametrize(
    "body", ["one line " * 50_000, "a line\n" * 70_000, "data: {}\r\n\r\n" * 40_000, b"\xff" * 400_000]
)
def test_a_large_body_is_written_faster_than_with_pyyaml(body):
    def time(write, *arguments, **options):
        start = process_time()
        write(*arguments, **options)
        return process_time() - start

    recorded = Interaction(request(body), Response(200, "OK", (), b""))
    ours = time(dump_cassette, Cassette((recorded,), {"format": 1}))
    assert ours < time(yaml.dump, body, Dumper=yaml.SafeDumper, allow_unicode=True, width=10**9) / 4


@pytest.mark.slow
@given(document)
def test_indented_json_is_the_same_document(text):
    laid_out = jsontext.indented(text)
    if laid_out is not None:
        assert jsontext.parse(laid_out) == jsontext.parse(text)
        assert jsontext.indented(laid_out) == laid_out
        assert not {"\u2028", "\u2029", "\x85", "\ufeff", "\x7f"} & set(laid_out)


def test_a_cassette_is_readable(recorded):
    parameters = {"model": "gpt-4o-mini", "temperature": 1.0, "messages": [{"role": "user", "content": "weather?"}]}
    calls = [
        {
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": "Weather", "arguments": json.dumps({"city": city})},
        }
        for n, city in enumerate(["Toronto", "Dallas"])
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    answer = {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}
    assert (
        recorded.put((request(json.dumps(parameters)), json.dumps(answer))).splitlines()
        == """\
# 1 · openai.chat gpt-4o-mini · 2 calls
#   Weather(city='Toronto')
#   Weather(city='Dallas')
version: 1
interactions:
- request:
    method: POST
    uri: https://api.example.com/v1/chat
    headers: {content-type: [application/json]}
    body: |-
      {
        "model": "gpt-4o-mini",
        "temperature": 1.0,
        "messages": [
          {
            "role": "user",
            "content": "weather?"
          }
        ]
      }
  response:
    status: {code: 200, message: OK}
    headers: {content-type: [application/json]}
    body:
      string: |-
        {
          "object": "chat.completion",
          "choices": [
            {
              "index": 0,
              "message": {
                "role": "assistant",
                "content": null,
                "tool_calls": [
                  {
                    "id": "call_0",
                    "type": "function",
                    "function": {
                      "name": "Weather",
                      "arguments": "{\\"city\\": \\"Toronto\\"}"
                    }
                  },
                  {
                    "id": "call_1",
                    "type": "function",
                    "function": {
                      "name": "Weather",
                      "arguments": "{\\"city\\": \\"Dallas\\"}"
                    }
                  }
                ]
              }
            }
          ]
        }
    layout: spaced
  tests: ['t.py::test']
metadata:
  format: 1
  recorder: multitrack 0.1.0
  sdks: {SDKS}
  recorded_at: '2026-01-02T03:04:05+00:00'
  provenance: live
""".replace("{SDKS}", str(storage.read(recorded.path).metadata["sdks"]).replace("'", "")).splitlines()
    )


def test_a_comment_stays_on_its_line(recorded):
    recorded.put((request("{}", url="https://h.example/\n- request: x\r\u2028#"), "fine"))
    assert len(storage.read(recorded.path).interactions) == 1


def test_equal_recordings_are_equal_byte_for_byte(recorded):
    clock = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    exchanges = [(request('{"b": 1, "a": 2}'), '{"x": [1.0, 1e5]}'), (request(b"\xff"), b"\x00\xfe")]
    first = recorded.put(*exchanges, clock=clock)
    assert recorded.put(*exchanges, clock=clock) == first
    recorded.path.unlink()
    assert recorded.put(*exchanges, clock=clock) == first


def test_a_cassette_is_written_atomically(recorded, monkeypatch):
    before = recorded.put((request("{}"), "old"))
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(CassetteNotWritten, match="not written: disk full"):
        recorded.put((request("{}"), "new"))
    assert recorded.text == before
    assert [path.name for path in recorded.path.parent.iterdir()] == ["tape.yaml"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_endings_changed_by_git_are_read(recorded, newline):
    sse = (200, (("content-type", "text/event-stream"),), "data: a\r\n\r\ndata: b\n\n")
    recorded.put((request('{"a": 1}'), sse))
    recorded.path.write_bytes(recorded.path.read_bytes().replace(b"\n", newline.encode()))
    assert recorded.play(request('{"a": 1}')) == ["data: a\r\n\r\ndata: b\n\n"]


VCRPY = """
import json, sys
import vcr
{imports}

with vcr.use_cassette(sys.argv[1], record_mode="{mode}") as cassette:
    for method, url, body in json.loads(sys.argv[2]):
        {send}
        print(json.dumps([response.status_code, response.headers.get("content-type"), response.text]))
    assert "{mode}" != "none" or cassette.play_count == len(cassette)
"""
SENDING = {
    "requests": ("import requests", "response = requests.request(method, url, data=body.encode() or None)"),
    "httpx": ("import httpx", "response = httpx.request(method, url, content=body.encode())"),
}


def vcrpy(path, requests, library, mode="none"):
    """Send ``requests`` with vcrpy, without Multitrack. Return the status, content type and text of each response."""
    imports, send = SENDING[library]
    script = VCRPY.format(imports=imports, send=send, mode=mode)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(path), json.dumps(requests)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("library", SENDING)
def test_vcrpy_alone_replays_what_we_write(recorded, library):
    answers = ['{"answer": "grüße 😀", "n": 1.0}', "line\r\nline\u2028end ", "data: {}\n\ndata: [DONE]\n\n"]
    kinds = ["application/json", "text/plain; charset=utf-8", "text/event-stream; charset=utf-8"]
    requests = [["POST", f"https://api.example.com/v1/{n}?a=1", f'{{"n": {n}}}'] for n in range(3)]
    recorded.put(
        *(
            (request(body, url=url), (200, (("content-type", kind),), answer))
            for (_, url, body), kind, answer in zip(requests, kinds, answers, strict=True)
        )
    )
    responses = vcrpy(recorded.path, requests, library)
    assert [[status, kind] for status, kind, _ in responses] == [[200, kind] for kind in kinds]
    assert json.loads(responses[0][2]) == json.loads(answers[0])
    assert [text for *_, text in responses[1:]] == answers[1:]


@pytest.mark.slow
@pytest.mark.parametrize("library", SENDING)
def test_vcrpy_loads_broken_streams_and_failed_connections(recorded, library):
    tape = Tape(recorded.path, mode="record", settings=Settings(keep_errors=True))
    requests = [["GET", f"https://api.example.com/v1/{n}", ""] for n in range(2)]
    broken, failed = (tape.route(request(method=method, url=url)) for method, url, _ in requests)
    broken.record_head(200, "OK", (("content-type", "text/event-stream"),))
    for chunk in (b"data: a", b"\n\ndata: b\n\n"):
        broken.record_chunk(chunk)
    broken.record_end("broken", error=TimeoutError("timed out"))
    failed.record_failure(ConnectionRefusedError(111, "Connection refused"), during="connect")
    assert tape.save().state == "written"
    assert "chunks: {joined: [1], cut: [1+7]}" in recorded.text
    assert "failure: {error: TimeoutError, message: timed out, during: read}" in recorded.text
    refused = (
        "failure: {error: ConnectionRefusedError, message: Connection refused, during: connect, code: ECONNREFUSED}"
    )
    assert refused in recorded.text
    responses = vcrpy(recorded.path, requests, library)
    assert responses == [[200, "text/event-stream", "data: a\n\ndata: b\n\n"], [599, None, ""]]


@pytest.mark.parametrize("library", SENDING)
def test_we_replay_what_vcrpy_writes(provider, recorded, library):
    zipped = gzip.compress(b'{"zipped": true}')
    provider.reply = lambda sent: (
        ProviderAnswer(zipped, headers={"content-encoding": "gzip", "content-type": "application/json"})
        if sent.path == "/zipped"
        else ProviderAnswer(b'{"plain": "gr\xc3\xbc\xc3\x9fe"}')
    )
    requests = [["GET", f"{provider.url}/zipped", ""], ["POST", f"{provider.url}/plain", '{"a": 1}']]
    vcrpy(recorded.path, requests, library, mode="once")
    sent = [request(body, url=url, method=method, headers=JSON if body else ()) for method, url, body in requests]
    assert recorded.play(*reversed(sent)) == ['{"plain": "grüße"}', '{"zipped": true}']


@pytest.mark.parametrize("form", ["string", "base64", "parsed"])
def test_bodies_of_older_recorders_are_read(recorded, form):
    response = {
        "string": "body: {string: hello}",
        "base64": "body: {string: !!binary aGVsbG8=}",
        "parsed": "body: {string: hello}\n    content: null",
    }[form]
    recorded.path.write_text(
        f"""\
interactions:
- request: {{body: null, headers: {{Accept: ['*/*']}}, method: GET, uri: 'https://h.example/x'}}
  response:
    {response}
    headers: {{Content-Type: [text/plain], Content-Encoding: [gzip]}}
    status: {{code: 200, message: null}}
version: 1
"""
    )
    assert recorded.play(request(url="https://h.example/x", method="GET", headers=())) == ["hello"]


def test_a_cassette_of_vcrpy_is_redacted_when_it_is_read(recorded):
    key = "sk-proj-0123456789abcdefghij"
    recorded.path.write_text(
        f"""\
interactions:
- request:
    body: '{{"prompt": "my key is {key}"}}'
    headers: {{authorization: [Bearer {key}], content-type: [application/json]}}
    method: POST
    uri: https://us-central1-aiplatform.googleapis.com/v1/projects/acme-prod-7/locations/us-central1/x?key={key}
  response: {{body: {{string: 'of {key} in acme-prod-7'}}, headers: {{}}, status: {{code: 200, message: OK}}}}
version: 1
"""
    )
    url = "https://asia-east1-aiplatform.googleapis.com/v1/projects/zeta-test-9/locations/asia-east1/x?key=other-key-99"
    sent = request('{"prompt": "my key is none"}', url=url)
    assert recorded.play(sent) == [f"of {key} in acme-prod-7"]
    tape = Tape(recorded.path)
    assert tape.interactions[0].response.body == b"of __redacted__ in project-0"
