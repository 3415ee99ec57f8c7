"""The settings that decide which parts of a request are compared."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_tape import JSON, URL, request

from multitrack.errors import BadOption, CassetteCorrupt, CassetteMiss
from multitrack.tape.file import storage
from multitrack.tape.matching.jsonpath import JsonPath
from multitrack.tape.normalize.placeholders import Placeholders
from multitrack.tape.settings import MATCHED, TELEMETRY, Settings
from multitrack.tape.tape import Tape

DOCUMENT = {
    "metadata": {"id": 1, "user": 2},
    "messages": [{"role": "user", "name": "a"}, {"role": "assistant", "name": "b"}],
    "odd key": 1,
    "nested": {"id": 5, "deep": [{"id": 6, "kept": 7}]},
}


def edited(**changes):
    return {**DOCUMENT, **changes}


@pytest.mark.parametrize(
    ("path", "remaining"),
    [
        ("$.metadata.*", edited(metadata={})),
        ("$.metadata", {key: value for key, value in DOCUMENT.items() if key != "metadata"}),
        ("$.metadata.id", edited(metadata={"user": 2})),
        ("$['metadata'][\"id\"]", edited(metadata={"user": 2})),
        ("$.messages[*].name", edited(messages=[{"role": "user"}, {"role": "assistant"}])),
        ("$.messages[1]", edited(messages=DOCUMENT["messages"][:1])),
        ("$.messages[0].role", edited(messages=[{"name": "a"}, DOCUMENT["messages"][1]])),
        ("$['odd key']", {key: value for key, value in DOCUMENT.items() if key != "odd key"}),
        ("$..id", edited(metadata={"user": 2}, nested={"deep": [{"kept": 7}]})),
        ("$..deep[*].id", edited(nested={"id": 5, "deep": [{"kept": 7}]})),
        ("$.absent.at.all", DOCUMENT),
        ("$.messages.name", DOCUMENT),
    ],
)
def test_a_json_path_removes_the_values_that_it_names(path, remaining):
    assert JsonPath.parse(path).remove_from(DOCUMENT) == remaining


@pytest.mark.parametrize("path", ["", "$", "a", "$a", "$.", "$.a.", "$[", "$[a]", "$.a[?(@.b)]", "$.a b"])
def test_an_invalid_json_path_is_rejected(path):
    with pytest.raises(ValueError, match="is not a JSON path such as"):
        JsonPath.parse(path)
    with pytest.raises(BadOption, match=r"here: ignore: .* is not a JSON path such as \$\.metadata"):
        Settings().with_options({"ignore": [path]}, "here")


def test_ignored_values_are_not_compared_but_are_recorded(recorded):
    settings = Settings(ignore=("$.metadata.*", "$.messages[*].name"))
    text = recorded.put((request(json.dumps(DOCUMENT)), "answer"), settings=settings)
    assert '"user": 2' in text
    other = edited(metadata={"run": "x"}, messages=[{"role": "user"}, {"role": "assistant", "name": "z"}])
    assert recorded.play(request(json.dumps(other)), settings=settings) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(request(json.dumps(other)))


def test_a_miss_does_not_show_ignored_values(recorded):
    settings = Settings(ignore=("$.metadata.*",))
    recorded.put((request(json.dumps(DOCUMENT)), "answer"), settings=settings)
    with pytest.raises(CassetteMiss) as missed:
        recorded.play(request(json.dumps(edited(metadata={"run": "x"}, nested=None))), settings=settings)
    assert "metadata" not in str(missed.value)
    assert "differs in 1 place\n    $.nested\n" in str(missed.value)


SENT = request('{"a": 1}', url="https://a.example:8443/v1/chat?x=1", method="POST")
OTHERS = {
    "method": request('{"a": 1}', url="https://a.example:8443/v1/chat?x=1", method="PUT"),
    "scheme": request('{"a": 1}', url="http://a.example:8443/v1/chat?x=1"),
    "host": request('{"a": 1}', url="https://b.example:8443/v1/chat?x=1"),
    "port": request('{"a": 1}', url="https://a.example/v1/chat?x=1"),
    "path": request('{"a": 1}', url="https://a.example:8443/v2/chat?x=1"),
    "query": request('{"a": 1}', url="https://a.example:8443/v1/chat?x=2"),
    "body": request('{"a": 2}', url="https://a.example:8443/v1/chat?x=1"),
}


@pytest.mark.parametrize("part", OTHERS)
def test_match_on_selects_the_parts_that_are_compared(recorded, part):
    recorded.put((SENT, "answer"))
    rest = tuple(other for other in OTHERS if other != part)
    assert recorded.play(OTHERS[part], settings=Settings(match_on=rest)) == ["answer"]
    for wanted in ((part,), (), ("uri", "method", "body")):
        with pytest.raises(CassetteMiss):
            recorded.play(OTHERS[part], settings=Settings(match_on=wanted))


@pytest.mark.parametrize("part", ["method", "uri", "host", "port"])
def test_match_on_compares_parts_of_an_address_in_brackets(recorded, part):
    recorded.put((request("{}", url="http://[2001:db8::1]:8123/v1", method="post"), "answer"))
    settings = Settings(match_on=(part,))
    assert recorded.play(request("{}", url="http://[2001:db8::1]:8123/v1", method="POST"), settings=settings)


@pytest.mark.parametrize("match_on", [(), ("method", "uri"), ("body",)])
@pytest.mark.parametrize("url", ["http://h.example:port/v1", "http://h.example:99999/v1", "http://[::1/v1"])
def test_an_invalid_url_in_a_cassette_is_damage(recorded, url, match_on):
    text = recorded.put((request('{"a": 1}', url="http://h.example/v1"), "answer"))
    recorded.path.write_text(text.replace("http://h.example/v1", f"'{url}'"), encoding="utf-8")
    with pytest.raises(CassetteCorrupt, match=r"the uri is invalid"):
        Tape(recorded.path, settings=Settings(match_on=match_on))


def test_uri_includes_all_parts_of_the_url(recorded):
    assert set(MATCHED) == {*OTHERS, "uri"}
    recorded.put((SENT, "answer"))
    settings = Settings(match_on=("method", "uri"))
    assert recorded.play(OTHERS["body"], settings=settings) == ["answer"]
    with pytest.raises(CassetteMiss) as missed:
        recorded.play(OTHERS["path"], settings=settings)
    assert "differs in 1 place\n    url\n" in str(missed.value)


def test_placeholders_replace_values_that_change_from_run_to_run(recorded):
    settings = Settings().with_options(
        {"placeholders": {"today": r"\d{4}-\d{2}-\d{2}", "run-id": r"run_[0-9a-f]{8}"}}, "here"
    )

    def sent(day, run):
        return request(json.dumps({"q": f"what is new on {day}?", "run": run}), url=f"{URL}/{run}?day={day}")

    first = sent("2026-01-02", "run_0123abcd")
    text = recorded.put((first, '{"on": "2026-01-02", "run": "run_0123abcd"}'), settings=settings)
    assert f"uri: {URL}/run-id?day=today" in text
    assert '"q": "what is new on today?"' in text
    # the response is replayed as the provider sent it
    [answer] = recorded.play(sent("2027-11-30", "run_ffffffff"), settings=settings)
    assert json.loads(answer) == {"on": "2026-01-02", "run": "run_0123abcd"}
    with pytest.raises(CassetteMiss) as missed:
        recorded.play(request(json.dumps({"q": "what was on 2027-11-30?", "run": "run_ffffffff"})), settings=settings)
    assert "2027" not in str(missed.value)


def test_placeholders_apply_to_cassettes_recorded_without_them(recorded):
    recorded.put((request('{"day": "2026-01-02"}'), "answer"))
    settings = Settings(placeholders=(("today", r"\d{4}-\d{2}-\d{2}"),))
    assert recorded.play(request('{"day": "2027-11-30"}'), settings=settings) == ["answer"]


FORM = (("content-type", "application/x-www-form-urlencoded"),)
PARTS = (("content-type", "multipart/form-data; boundary=x"),)
PART = '--x\r\ncontent-disposition: form-data; name="at"\r\n\r\n{}\r\n--x--'
AT = r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}"


@pytest.mark.parametrize("placeholders_when_recording", [True, False])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (lambda at: request(urlencode({"at": at, "b": "ü"}), headers=FORM), "at=now&b=%C3%BC"),
        (lambda at: request("{}", url=f"{URL}?{urlencode({'at': at})}&b=c"), "?at=now&b=c"),
        (lambda at: request(PART.format(at), headers=PARTS), "\r\n\r\nnow\r\n"),
        (lambda at: request(json.dumps({"at": at}), url="grpc://h/p.S/M"), '"at": "now"'),
        (lambda at: request(f"at {at}", headers=()), "at now"),
    ],
    ids=["form", "query", "multipart", "grpc", "text"],
)  # fmt: skip
def test_placeholders_apply_to_every_kind_of_request(recorded, sent, kept, placeholders_when_recording):
    settings = Settings(placeholders=(("now", AT),))
    recorded.put((sent("2026-01-02 03:04"), "answer"), settings=settings if placeholders_when_recording else None)
    [stored] = storage.read(recorded.path).interactions
    assert (kept in f"{stored.request.url} {stored.request.body.decode()}") == placeholders_when_recording
    assert recorded.play(sent("2027-11-30 23:59"), settings=settings) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(sent("yesterday"), settings=settings)


NUMBERED = [
    ('{{"user": {}, "n": 7}}', 12345678, 87654321, '"user": "id"'),
    ('{{"users": [{}, 7]}}', 12345678, 87654321, '"id"'),
    ('{{"user": {}}}', 1234567812345678, 8765432112345678, '"user": "idid"'),
    ('{{"user": {}.5}}', 12345678, 87654321, '"user": "id.5"'),
    ('{{"{}": true, "n": {}}}', 12345678, 87654321, '"id": true'),
    ('{{"text": "a {} b", "user": {}}}', 12345678, 87654321, '"text": "a id b"'),
    ('{{"user": {}}}\n{{"user": 7}}\n', 12345678, 87654321, '{"user": "id"}\n{"user": 7}\n'),
    ("{}", 12345678, 87654321, '"id"'),
]


@pytest.mark.parametrize("placeholders_when_recording", [True, False])
@pytest.mark.parametrize(("sent", "first", "second", "kept"), NUMBERED, ids=range(len(NUMBERED)))
def test_a_placeholder_for_a_number_of_json_leaves_the_body_json(
    recorded, sent, first, second, kept, placeholders_when_recording
):
    settings = Settings(placeholders=(("id", r"\d{8}"),))
    before, after = (request(sent.format(*[number] * sent.count("{}"))) for number in (first, second))
    recorded.put((before, "answer"), settings=settings if placeholders_when_recording else None)
    if placeholders_when_recording:
        [stored] = storage.read(recorded.path).interactions
        assert kept in stored.request.body.decode()
        for line in stored.request.body.splitlines() if "\n{" in sent else [stored.request.body]:
            json.loads(line)
    assert recorded.play(after, settings=settings) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(request(sent.format(*["1"] * sent.count("{}"))), settings=settings)


scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
json_document = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(json_document, st.booleans(), st.sampled_from([r"\d", r"\d{2,}", "n", "u0", "[a-z]+", '"', "[{,]", r"\\"]))
def test_a_body_that_is_json_stays_json_whatever_a_placeholder_matches(document, is_ascii, pattern):
    placeholders = Placeholders((("WORD", pattern), ('a "quoted" \\ word', "true|e")))
    body = json.dumps(document, ensure_ascii=is_ascii)
    json.loads(placeholders.insert_into(request(body)).body)


def test_repeated_requests_are_answered_with_allow_repeats(recorded):
    recorded.put((request("[1]"), "first"), (request("[1]"), "second"), (request("[2]"), "other"))
    sent = [request(body) for body in ("[1]", "[2]", "[1]", "[1]", "[2]", "[1]")]
    answers = ["first", "other", "second", "second", "other", "second"]
    assert recorded.play(*sent, settings=Settings(allow_repeats=True)) == answers
    with pytest.raises(CassetteMiss, match="already replayed: the cassette has this request 2 times"):
        recorded.play(*sent)


@pytest.mark.parametrize("glob", TELEMETRY)
def test_telemetry_is_dropped_by_default_in_every_mode_with_a_cassette(recorded, glob):
    url = f"https://{glob.replace('*', 'eu')}/v1/ingest"
    for mode in ("replay", "record", "record-missing"):
        tape = Tape(recorded.path, mode=mode)
        answer = tape.route(request("{}", url=url)).response
        assert answer.status == 202
        assert answer.body == b"{}"
        assert tape.sent == []
        assert tape.violations == []
        assert tape.save() is None


def test_json_paths_do_not_change_forms(recorded):
    form = (("content-type", "application/x-www-form-urlencoded"),)
    recorded.put((request("a=1", headers=form), "answer"))
    assert recorded.play(request("a=1", headers=form), settings=Settings(ignore=("$.a",))) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(request("a=2", headers=JSON), settings=Settings(ignore=("$.a",)))
