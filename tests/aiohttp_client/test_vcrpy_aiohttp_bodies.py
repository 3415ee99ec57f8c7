"""Cassettes that vcrpy recorded over aiohttp replay, however the body was passed: see data/tapes/README.md.

For aiohttp, vcrpy stores the argument ``data=`` or ``json=`` instead of the bytes that were sent, and the method as the
caller wrote it. It stores no header that aiohttp adds.
"""

import asyncio
import io
import json
import shutil
from pathlib import Path

import aiohttp
import httpx
import pytest

from multitrack import use_cassette
from multitrack.errors import CassetteCorrupt, CassetteMiss

TAPES = Path(__file__).parents[1] / "data" / "tapes"
NAME = "vcrpy-9.4.2-aiohttp-bodies"
URL = "http://127.0.0.1:8123"
BODIES = {
    "form-mapping": lambda: {"data": {"a": "1", "b": "ü x"}},
    "form-numbers": lambda: {"data": {"n": 1, "f": 1.5}},
    "form-repeated": lambda: {"data": {"a": ["1", "2"]}},
    "form-pairs": lambda: {"data": [("a", "1"), ("b", "2"), ("a", "3")]},
    "form-tuple": lambda: {"data": (("a", "1"), ("b", "2"))},
    "form-bytes": lambda: {"data": {"a": b"1", "b": "2"}},
    "form-file": lambda: {"data": {"a": io.BytesIO(b"of a file")}},
    "form-empty": lambda: {"data": {}},
    "json-string": lambda: {"json": "s"},
    "json-string-number": lambda: {"json": "5"},
    "json-empty-string": lambda: {"json": ""},
    "json-number": lambda: {"json": 5},
    "json-float": lambda: {"json": 1.5},
    "json-zero": lambda: {"json": 0},
    "json-true": lambda: {"json": True},
    "json-false": lambda: {"json": False},
    "json-none": lambda: {"json": None},
    "json-list": lambda: {"json": [1, "a", None, {"b": [True]}]},
    "json-empty-list": lambda: {"json": []},
    "json-object": lambda: {"json": {"a": "1", "b": None}},
    "text": lambda: {"data": "plain text"},
    "text-number": lambda: {"data": "5"},
    "text-null": lambda: {"data": "null"},
    "bytes": lambda: {"data": b"\xff\x00"},
    "file": lambda: {"data": io.BytesIO(b"of a file")},
    "json-bytes": lambda: {"data": b'{"q": 1}', "headers": {"content-type": "application/json"}},
}
# vcrpy's JSON serializer cannot store bytes and iterators
YAML_ONLY = {"form-tuple", "form-bytes", "form-file", "bytes", "file"}


def send(path, name, method="POST", **arguments):
    """Send the request ``name`` over aiohttp while the cassette at ``path`` is open, and return its response."""

    async def run():
        async with (
            use_cassette(path),
            aiohttp.ClientSession() as session,
            session.request(method, f"{URL}/{name}", **(arguments or BODIES[name]())) as response,
        ):
            return await response.json()

    return asyncio.run(run())


@pytest.fixture(params=["yaml", "json"])
def cassette(request, tmp_path):
    return Path(shutil.copy(TAPES / f"{NAME}.{request.param}", tmp_path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # aiohttp's, for bytes in a form
@pytest.mark.parametrize(
    ("cassette", "name"),
    [(suffix, name) for suffix in ("yaml", "json") for name in BODIES if suffix == "yaml" or name not in YAML_ONLY],
    indirect=["cassette"],
)
def test_a_body_replays_if_it_is_passed_in_the_same_way(cassette, name):
    assert send(cassette, name)["at"] == f"/{name}"


@pytest.mark.parametrize("method", ["post", "POST", "Post"])
def test_methods_match_without_regard_to_case(cassette, method):
    assert send(cassette, "form-mapping", method, **BODIES["form-mapping"]())["at"] == "/form-mapping"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("form-mapping", {"data": {"b": "ü x", "a": "1"}}),
        ("form-pairs", {"data": [("b", "2"), ("a", "1"), ("a", "3")]}),
        ("form-empty", {"json": {}}),
        ("json-object", {"data": b'{"b": null, "a": "1"}', "headers": {"content-type": "application/json"}}),
        ("json-string", {"data": "s"}),
        ("json-float", {"data": b"1.50", "headers": {"content-type": "application/json"}}),
        ("json-number", {"data": b"5.0", "headers": {"content-type": "application/json"}}),
        ("text-number", {"json": 5}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_vcrpy_stores_alike_matches(cassette, name, arguments):
    assert send(cassette, name, **arguments)["at"] == f"/{name}"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("form-mapping", {"data": {"a": "1", "b": "other"}}),
        ("form-mapping", {"data": {"a": "1"}}),
        ("form-mapping", {"data": {"a": "1", "b": ["ü x", "ü x"]}}),
        ("form-repeated", {"data": {"a": ["2", "1"]}}),
        ("form-pairs", {"data": [("a", "3"), ("b", "2"), ("a", "1")]}),
        ("form-empty", {"data": {"a": "1"}}),
        ("json-string", {"json": "t"}),
        ("json-number", {"json": 6}),
        ("json-number", {"json": [5]}),
        ("json-true", {"json": False}),
        ("json-true", {"json": 1}),
        ("json-zero", {"json": False}),
        ("json-none", {"json": "x"}),
        ("json-list", {"json": [1, "a", None, {"b": [False]}]}),
        ("json-object", {"json": {"a": "1"}}),
        ("text", {"data": "other text"}),
    ],
)
def test_a_different_body_is_a_miss_that_shows_the_difference(cassette, name, arguments):
    async def run():
        async with use_cassette(cassette) as tape, aiohttp.ClientSession() as session:
            with tape.expect_misses(), pytest.raises(CassetteMiss) as miss:
                await session.post(f"{URL}/{name}", **arguments)
            return str(miss.value)

    assert "differs in 0 places" not in asyncio.run(run())


def test_a_form_also_replays_for_another_client(cassette):
    with use_cassette(cassette), httpx.Client() as client:
        assert client.post(f"{URL}/form-mapping", data={"b": "ü x", "a": "1"}).json()["at"] == "/form-mapping"
        assert client.post(f"{URL}/form-pairs", data={"a": ["1", "3"], "b": "2"}).json()["at"] == "/form-pairs"
        assert client.post(f"{URL}/json-string", json="s").json()["at"] == "/json-string"


def test_equal_requests_replay_first_in_first_out(tmp_path):
    path = tmp_path / "cassette.yaml"
    item = {
        "request": {"method": "post", "uri": f"{URL}/form", "body": {"a": "1"}, "headers": {}},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": ""}},
    }
    items = [{**item, "response": {**item["response"], "body": {"string": answer}}} for answer in ("first", "second")]
    path.write_text(json.dumps({"version": 1, "interactions": items}))
    with use_cassette(path) as tape:
        assert httpx.post(f"{URL}/form", data={"a": "1"}).text == "first"
        assert httpx.post(f"{URL}/form", json={"a": "1"}).text == "second"
        expected = "already replayed: the cassette has this request 2 times"
        with tape.expect_misses(), pytest.raises(CassetteMiss, match=expected):
            httpx.post(f"{URL}/form", data={"a": "1"})
        assert len(tape.played) == 2


def test_a_secret_in_a_form_matches_any_value(tmp_path, monkeypatch):
    path = tmp_path / "cassette.yaml"
    item = {
        "request": {
            "method": "POST",
            "uri": f"{URL}/form",
            "body": {"z": "1", "a": "hush-hush-0123456789"},
            "headers": {},
        },
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "answer"}},
    }
    path.write_text(json.dumps({"version": 1, "interactions": [item]}))
    monkeypatch.setenv("THEIR_API_KEY", "hush-hush-0123456789")
    with use_cassette(path):
        assert httpx.post(f"{URL}/form", data={"z": "1", "a": "another"}).text == "answer"


def test_an_iterator_of_numbers_is_read_as_a_list(tmp_path):
    path = tmp_path / "cassette.yaml"
    path.write_text(
        "interactions:\n"
        "- request: {body: !!python/object/apply:builtins.iter {args: [[5]]}, headers: {}, method: POST, "
        f"uri: '{URL}/form'}}\n"
        "  response: {body: {string: fine}, headers: {}, status: {code: 200, message: OK}}\n"
        "version: 1\n"
    )
    with use_cassette(path):
        assert httpx.post(f"{URL}/form", json=[5]).text == "fine"


ALIASES = """\
interactions:
- request: {{body: {body}, headers: {{}}, method: POST, uri: '{url}/one'}}
  response: &answer {{body: {{string: fine}}, headers: {{}}, status: {{code: 200, message: OK}}}}
- request: {{body: *payload, headers: {{}}, method: POST, uri: '{url}/two'}}
  response: *answer
version: 1
"""


def test_a_payload_that_was_sent_twice_is_stored_as_an_alias_and_replays(tmp_path):
    path = tmp_path / "cassette.yaml"
    path.write_text(ALIASES.format(body="&payload {q: [1, {r: 2}]}", url=URL))
    with use_cassette(path):
        assert httpx.post(f"{URL}/two", json={"q": [1, {"r": 2}]}).text == "fine"
        assert httpx.post(f"{URL}/one", json={"q": [1, {"r": 2}]}).text == "fine"


@pytest.mark.parametrize(
    "body",
    [
        # ten to the power of nine values
        "&payload ["
        + ", ".join(f"&a{level} [{', '.join([f'*a{level - 1}' if level else '0'] * 10)}]" for level in range(9))
        + "]",
        "&payload [*payload]",
        "&payload {a: &payload2 [*payload, *payload2]}",
    ],
    ids=["bomb", "in itself", "in each other"],
)
def test_aliases_that_stand_for_too_many_values_are_damage(tmp_path, body):
    path = tmp_path / "cassette.yaml"
    path.write_text(ALIASES.format(body=body, url=URL))
    with pytest.raises(CassetteCorrupt), use_cassette(path):
        httpx.post(f"{URL}/two")


@pytest.mark.parametrize(
    "body",
    [
        "!!python/object/apply:builtins.iter {args: [2500000000]}",
        "!!python/object/apply:builtins.iter {args: 5}",
        "!!python/object/new:_io.BytesIO {state: 5}",
        "!!python/object:StringIO.StringIO {buf: 5, buflist: [a]}",
        "{a: !!int x}",
        "!!set {a, b}",
    ],
)
def test_a_body_that_vcrpy_does_not_write_is_damage(tmp_path, body):
    path = tmp_path / "cassette.yaml"
    path.write_text(ALIASES.format(body=f"{body}", url=URL).replace("*payload", "''"))
    with pytest.raises(CassetteCorrupt), use_cassette(path):
        httpx.post(f"{URL}/two")
