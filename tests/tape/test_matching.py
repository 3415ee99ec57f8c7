"""Find the recording that answers a request."""

import json

import pytest
from recorded_tape import JSON, URL, request

from multitrack.errors import CassetteMiss
from multitrack.tape.exchange import Passthrough, Replay, Response
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import Index, RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.matching.replay_state import ReplayState
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

FORM = (("content-type", "application/x-www-form-urlencoded"),)
PROBLEM = (("content-type", "application/problem+json"),)
STANDIN = (*JSON, ("x-multitrack-standin", "api.example.com"))


def parts(boundary, *values):
    lines = []
    for name, value in values:
        lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", value]
    headers = (("content-type", f"multipart/form-data; boundary={boundary}"),)
    return request("\r\n".join([*lines, f"--{boundary}--", ""]), headers=headers)


EQUAL = {
    "key order": (request('{"a": 1, "b": [1, 2]}'), request('{"b": [1, 2], "a": 1}')),
    "whitespace": (request('{"a":1}'), request(' {\n"a" : 1\t}\n')),
    "number": (request('{"a": 1}'), request('{"a": 1.0}')),
    "exponent": (request('{"a": 1000.0}'), request('{"a": 1e3}')),
    "escapes": (request('{"a": "\\u00e9\\/"}'), request('{"a": "é/"}')),
    "json with another content type": (
        request('{"a":1}', headers=(("content-type", "text/plain"),)),
        request('{"a": 1}'),
    ),
    "form": (request("a=1&b=x+y", headers=FORM), request("a=1&b=x%20y", headers=FORM)),
    "multipart": (parts("one", ("a", "1"), ("b", "2")), parts("two", ("a", "1"), ("b", "2"))),
    "query order": (request(url=URL + "?a=1&b=2"), request(url=URL + "?b=2&a=1")),
    "default port": (request(url="https://h.example/x"), request(url="https://h.example:443/x")),
    "host case": (request(url="https://h.example/x"), request(url="https://H.example/x")),
    "percent-encoding": (request(url="https://h.example/a%7Eb%20c"), request(url="https://h.example/a~b%20c")),
    "percent case": (request(url="https://h.example/a%c3%a9"), request(url="https://h.example/a%C3%A9")),
    "method case": (request(method="post"), request(method="POST")),
    "json sent as a form": (request("[null]", headers=FORM), request("[ null ]", headers=FORM)),
    "json with a suffix": (request("5.0", headers=PROBLEM), request("5", headers=PROBLEM)),
    "no path": (request(url="https://h.example"), request(url="https://h.example/")),
    "headers": (request("{}", headers=(*JSON, ("x-id", "1"))), request("{}", headers=(*JSON, ("x-id", "2")))),
}
DIFFERENT = {
    "array order": (request("[1, 2]"), request("[2, 1]")),
    "null": (request('{"a": null}'), request("{}")),
    "true": (request('{"a": true}'), request('{"a": 1}')),
    "text of a number": (request('{"a": "1"}'), request('{"a": 1}')),
    "repeated keys": (request('{"a": 1, "a": 2}'), request('{"a": 2}')),
    "method": (request(), request(method="PUT")),
    "path": (request(url=URL + "/a"), request(url=URL + "/b")),
    "encoded slash": (request(url=URL + "/a%2Fb"), request(url=URL + "/a/b")),
    "order of one parameter": (request(url=URL + "?a=1&a=2"), request(url=URL + "?a=2&a=1")),
    "host": (request(url="https://a.example/"), request(url="https://b.example/")),
    "scheme": (request(url="https://a.example/"), request(url="http://a.example/")),
    "port": (request(url="https://a.example/"), request(url="https://a.example:8443/")),
    "form": (request("a=1&b=2", headers=FORM), request("b=2&a=1", headers=FORM)),
    "multipart": (parts("one", ("a", "1")), parts("one", ("a", "2"))),
    "bytes": (request(b"\xff\x00"), request(b"\xff\x01")),
    "text that looks like a pseudonym": (request('{"q": "sum up project-3"}'), request('{"q": "sum up project-5"}')),
}


@pytest.mark.parametrize("name", EQUAL)
def test_requests_that_mean_the_same_match(recorded, name):
    first, second = EQUAL[name]
    for before, live in (first, second), (second, first):
        recorded.path.unlink(missing_ok=True)
        recorded.put((before, "answer"))
        assert recorded.play(live) == ["answer"]


@pytest.mark.parametrize("name", DIFFERENT)
def test_requests_that_differ_do_not_match(recorded, name):
    first, second = DIFFERENT[name]
    for before, live in (first, second), (second, first):
        recorded.path.unlink(missing_ok=True)
        recorded.put((before, "answer"))
        with pytest.raises(CassetteMiss):
            recorded.play(live)


def test_equal_requests_replay_first_in_first_out_and_others_in_any_order(recorded):
    recorded.put(*((request(f"[{number % 3}]"), f"answer {number}") for number in range(9)))
    order = [2, 0, 0, 1, 2, 1, 0, 1, 2]
    assert recorded.play(*(request(f"[{number}]") for number in order)) == [
        f"answer {number}" for number in (2, 0, 3, 1, 5, 4, 6, 7, 8)
    ]


@pytest.mark.parametrize(
    ("url", "headers"),
    [(URL, STANDIN), ("http://127.0.0.1:8000/v1/chat", JSON), ("http://localhost:1/v1/chat", JSON)],
    ids=["standin", "loopback", "localhost"],
)
@pytest.mark.parametrize("live", [URL, "http://10.0.0.1:99/v1/chat", "http://127.0.0.1:1/v1/chat"])
def test_the_address_of_a_local_server_is_not_compared(recorded, url, headers, live):
    recorded.put((request("{}", url=url), (200, headers, "answer")))
    assert recorded.play(request("{}", url=live)) == ["answer"]


def test_a_recording_of_a_provider_only_answers_requests_to_that_provider(recorded):
    text = recorded.put((request("{}"), "answer"))
    assert "provenance: live" in text
    with pytest.raises(CassetteMiss, match=r"differs in 1 place\n    url\n"):
        recorded.play(request("{}", url="http://127.0.0.1:1/v1/chat"))


@pytest.mark.slow
def test_the_cost_of_matching_does_not_grow_with_the_cassette(monkeypatch):
    requests = [request(f"[{number}]") for number in range(10_000)]
    state = ReplayState(Index(Interaction(sent, Response(200, "OK", (), sent.body)) for sent in requests))
    compared = []
    monkeypatch.setattr(RecordedEntry, "accepts", lambda entry, _: compared.append(entry))
    for sent in reversed(requests):
        assert state.take(MatchingKey.from_request(sent)).interaction.response.body == sent.body
    assert state.take(MatchingKey.from_request(requests[0])) is None
    assert compared == []


def test_requests_to_ignored_hosts_go_live(recorded):
    options = {"ignore_hosts": ("127.0.0.1:6333", "*.trace.example", "[::1]:80", "OTHER.example")}
    tape = Tape(recorded.path, settings=Settings(**options))
    for url in (
        "http://127.0.0.1:6333/x",
        "https://a.trace.example/x",
        "http://[::1]/x",
        "https://other.EXAMPLE:8443/x",
    ):
        assert isinstance(tape.route(request(url=url)), Passthrough), url
    for url in ("http://127.0.0.1:6334/", "https://trace.example/", "https://[::1]/"):
        with pytest.raises(CassetteMiss):
            tape.route(request(url=url))


@pytest.mark.parametrize("address", ["db.example:5432", "db.example", "[2001:db8::1]:443", "2001:db8::1"])
def test_the_line_that_the_tripwire_suggests_allows_the_host(recorded, address):
    tape = Tape(recorded.path, settings=Settings(allow_hosts=(address,)))
    host, port = ("db.example", 5432) if address.startswith("db") else ("2001:db8::1", 443)
    assert tape.allows_connection(host, port)
    assert not tape.allows_connection("other.example", port)


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://oauth2.googleapis.com/token", "access_token"),
        ("http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token", "access_token"),
        ("https://iamcredentials.googleapis.com/v1/x/allowedLocations", "locations"),
    ],
)
def test_token_exchanges_are_never_recorded_and_answered_on_replay(recorded, url, field):
    tape = Tape(recorded.path, mode="record")
    assert isinstance(tape.route(request("assertion=secret", url=url, headers=FORM)), Passthrough)
    assert tape.save() is None
    assert not recorded.path.exists()
    tape = Tape(recorded.path)
    answer = tape.route(request("assertion=secret", url=url, headers=FORM))
    assert isinstance(answer, Replay)
    assert field in json.loads(answer.response.body)
    assert tape.sent == []
    assert tape.violations == []


def test_many_redacted_secrets_are_compared_quickly(recorded, monkeypatch):
    monkeypatch.setenv("THEIR_API_KEY", "hush-hush-0123456789")
    text = "key hush-hush-0123456789 and " * 30
    recorded.put((request(json.dumps({"q": text})), "answer"))
    monkeypatch.delenv("THEIR_API_KEY")
    # without atomic groups, backtracking would take practically forever
    with pytest.raises(CassetteMiss):
        recorded.play(request(json.dumps({"q": "key k and " * 100 + "x"})))
    assert recorded.play(request(json.dumps({"q": "key None and " * 30}))) == ["answer"]


def test_a_document_nested_too_deep_is_compared_as_text(recorded):
    deep = "[" * 600 + "]" * 600
    recorded.put((request(deep), deep))
    assert recorded.play(request(deep)) == [deep]
    with pytest.raises(CassetteMiss):
        recorded.play(request("[" + deep + "]"))
