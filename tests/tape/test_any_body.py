"""Whatever a request contains, it is answered from the cassette or it is a miss; routing never fails otherwise."""

import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_tape import JSON, URL, RecordedCassette, request

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Replay, Request
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

SCALARS = ["5", "5.0", "-0.0", "1e400", "null", "true", "false", '"text"', '""', "[]", "[5]", "{}", "NaN", '"\\ud800"']
texts = st.text(max_size=8) | st.sampled_from(["__redacted__", "project-0", "\ud800", "\x00", "a=b&c=d"])


def create_documents(texts):
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )


documents = create_documents(texts)
# YAML cannot represent half of a surrogate pair
vcrpy_documents = create_documents(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
bodies = st.one_of(
    documents.map(lambda document: json.dumps(document).encode()),
    documents.map(lambda document: json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    documents.map(lambda document: json.dumps(document).encode("utf-16")),
    st.binary(max_size=20),
    st.sampled_from([text.encode() for text in SCALARS]),
    st.sampled_from(
        [
            b'{"password": "0123456789abcdef\\q0123456789"}',
            b'{"a": 1, "a": 2}',
            b"--b\r\ncontent-disposition: form-data; name\r\n\r\n1\r\n--b--",
            b"--b\r\ncontent-disposition: attachment; filename*=''\r\ncontent-type: text/\xff\r\n\r\n1\r\n--b--",
            b"a=%ff&b=%E9&=&a",
            b"data: 5\n\ndata: {}\n\n",
        ]
    ),
)
content_types = st.none() | st.sampled_from(
    [
        "application/json",
        "application/vnd.api+json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "multipart/mixed; boundary=",
        'multipart/form-data; boundary="',
        "multipart/form-data; boundary=b; charset=nonsense",
        "text/plain; charset=utf-16",
        "application/x-ndjson",
        "",
        ";",
        "é\xff",
    ]
)
encodings = st.sampled_from([None, None, "gzip", "br", "zstd", "deflate, gzip", "unknown", ","])
urls = st.sampled_from(
    [
        URL,
        f"{URL}?a=%ff&b&=",
        "http://127.0.0.1:8123/v1/chat",
        "http://[::1]:8123/v1",
        "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/m:generateContent",
    ]
)
options = st.sampled_from(
    [
        {},
        {"ignore": ("$.a", "$..b", "$[0]", "$.*")},
        {"placeholders": (("id", r"\d{4}"), ("word", r"[a-z]+"))},
        {"placeholders": (("x", r"."),)},
        {"placeholders": (("\\1{", r"\W*"),)},
        {"match_on": ("method", "uri")},
        {"match_on": ("body",)},
        {"allow_repeats": True, "ignore": ("$.prompt_cache_key",)},
    ]
)


@st.composite
def requests(draw):
    headers = [(name, value) for name, value in (("content-type", draw(content_types)),) if value is not None]
    if encoding := draw(encodings):
        headers.append(("content-encoding", encoding))
    method = draw(st.sampled_from(["POST", "post", "GET", "M-SEARCH"]))
    return Request(method, draw(urls), tuple(headers), draw(bodies))


def route(tape, sent):
    """Return whether ``tape`` answers ``sent``. If it does not, the miss must be recorded and printable."""
    try:
        return isinstance(tape.route(sent), Replay)
    except CassetteMiss as miss:
        found = miss
    assert tape.violations[-1] is found
    str(found).encode()
    return False


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(requests(), min_size=1, max_size=3), requests(), options)
def test_what_was_recorded_replays_and_anything_else_is_a_miss(tmp_path_factory, recorded, other, chosen):
    path = tmp_path_factory.mktemp("cassettes") / "cassette.yaml"
    configured = Settings(**chosen)
    RecordedCassette(path).put(*((one, "{}") for one in recorded), settings=configured)
    tape = Tape(path, settings=configured)
    for one in recorded:
        assert route(tape, one)
    assert tape.violations == []
    route(tape, other)


def write_foreign(path, sent, body):
    """Write a cassette of vcrpy with one request, whose stored body is ``body``."""
    headers = {name: [value] for name, value in sent.headers}
    item = {
        "request": {"method": sent.method, "uri": sent.url, "body": body, "headers": headers},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "fine"}},
    }
    path.write_text(yaml.dump({"version": 1, "interactions": [item]}), encoding="utf-8")


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), st.none() | vcrpy_documents | bodies, requests(), options)
def test_any_body_that_vcrpy_stores_is_indexed_and_compared(tmp_path_factory, stored, body, sent, chosen):
    path = tmp_path_factory.mktemp("cassettes") / "cassette.yaml"
    write_foreign(path, stored, body)
    tape = Tape(path, settings=Settings(**chosen))
    route(tape, sent)
    route(tape, stored)


@pytest.mark.parametrize("stored", SCALARS)
@pytest.mark.parametrize("sent", SCALARS)
def test_json_scalars_are_compared_as_json(recorded, stored, sent):
    recorded.put((request(stored), "answer"))
    tape = Tape(recorded.path)
    equal = json.loads(stored) == json.loads(sent) and (type(json.loads(stored)) is bool) == (
        type(json.loads(sent)) is bool
    )
    if stored == sent or equal:
        assert recorded.play(request(sent)) == ["answer"]
        return
    with pytest.raises(CassetteMiss, match=r"the nearest recording, interaction 1 of 1, differs in 1 place"):
        tape.route(request(sent))


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json", "Application/JSON; a=x"])
def test_a_number_is_compared_by_value_if_it_is_json(recorded, content_type):
    headers = (("content-type", content_type),)
    recorded.put((request("5.0", headers=headers), "answer"))
    assert recorded.play(request(" 5 ", headers=headers)) == ["answer"]


def test_a_number_is_compared_as_text_if_it_is_not_json(recorded):
    headers = (("content-type", "text/plain"),)
    recorded.put((request("5.0", headers=headers), "answer"))
    with pytest.raises(CassetteMiss):
        recorded.play(request("5", headers=headers))


@pytest.mark.parametrize(
    ("pattern", "sent"),
    [
        (r"\d{4}", "http://127.0.0.1:8123/v1/{}"),
        (r"\d{4}", "http://[2001:db8::8123]:8123/v1/{}"),
        (r"\d+", "http://127.0.0.1:8123/v1?run={}"),
        (r"/\d+", "http://127.0.0.1:8123/{}"),
        (r"h\w*|\d+", "http://h.example/{}"),
    ],
)
def test_placeholders_leave_the_address_of_the_server_alone(recorded, pattern, sent):
    configured = Settings(placeholders=(("id", pattern),))
    text = recorded.put((request("{}", url=sent.format(1234)), "answer"), settings=configured)
    address = sent.partition("{}")[0].rpartition("/")[0].removesuffix("/v1")
    assert f"uri: {address}" in text or f"uri: '{address}" in text
    assert "1234" not in text
    assert recorded.play(request("{}", url=sent.format(5678)), settings=configured) == ["answer"]


def test_placeholders_apply_to_headers_that_are_recorded(recorded):
    configured = Settings(placeholders=(("the-run", r"run-\d+"),), keep_headers=("x-run",))
    headers = (*JSON, ("x-run", "run-17"))
    assert "x-run: [the-run]" in recorded.put((request("{}", headers=headers), "answer"), settings=configured)


@pytest.mark.parametrize("boundary", ["1234", "----5678--9012", '"1234 5"'])
def test_placeholders_leave_the_boundary_of_a_multipart_body_alone(recorded, boundary):
    configured = Settings(placeholders=(("id", r"\d{4}"),))
    bare = boundary.strip('"')

    def send(boundary, bare, value, name="at"):
        headers = (("content-type", f"multipart/form-data; boundary={boundary}"),)
        body = f'--{bare}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\nof {value}\r\n--{bare}--\r\n'
        return request(body, headers=headers)

    recorded.put((send(boundary, bare, 1111), "answer"), settings=configured)
    assert recorded.play(send("x9999", "x9999", 2222), settings=configured) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(send(boundary, bare, 2222, name="other"), settings=configured)
