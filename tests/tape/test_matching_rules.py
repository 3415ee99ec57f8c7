"""The rules of the user's own: what of a request takes part in matching."""

import json
from urllib.parse import urlencode

import pytest
from recorded_tape import JSON, URL, request

from multitrack.errors import BadOption, CassetteMiss
from multitrack.tape.file import storage
from multitrack.tape.matching.jsonpath import JsonPath
from multitrack.tape.settings import MATCHED, TELEMETRY, Settings
from multitrack.tape.tape import Tape

DOCUMENT = {
    "metadata": {"id": 1, "user": 2},
    "messages": [{"role": "user", "name": "a"}, {"role": "assistant", "name": "b"}],
    "odd key": 1,
    "nested": {"id": 5, "deep": [{"id": 6, "kept": 7}]},
}


def without(**changes):
    return {**DOCUMENT, **changes}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$.metadata.*", without(metadata={})),
        ("$.metadata", {key: value for key, value in DOCUMENT.items() if key != "metadata"}),
        ("$.metadata.id", without(metadata={"user": 2})),
        ("$['metadata'][\"id\"]", without(metadata={"user": 2})),
        ("$.messages[*].name", without(messages=[{"role": "user"}, {"role": "assistant"}])),
        ("$.messages[1]", without(messages=DOCUMENT["messages"][:1])),
        ("$.messages[0].role", without(messages=[{"name": "a"}, DOCUMENT["messages"][1]])),
        ("$['odd key']", {key: value for key, value in DOCUMENT.items() if key != "odd key"}),
        ("$..id", without(metadata={"user": 2}, nested={"deep": [{"kept": 7}]})),
        ("$..deep[*].id", without(nested={"id": 5, "deep": [{"kept": 7}]})),
        ("$.absent.at.all", DOCUMENT),
        ("$.messages.name", DOCUMENT),
    ],
)
def test_what_a_path_names(path, left):
    assert JsonPath.parse(path).remove_from(DOCUMENT) == left


@pytest.mark.parametrize("path", ["", "$", "a", "$a", "$.", "$.a.", "$[", "$[a]", "$.a[?(@.b)]", "$.a b"])
def test_what_is_no_path(path):
    with pytest.raises(ValueError, match="is not a JSON path such as"):
        JsonPath.parse(path)
    with pytest.raises(BadOption, match=r"here: ignore: .* is not a JSON path such as \$\.metadata"):
        Settings().with_options({"ignore": [path]}, "here")


def test_what_is_ignored_plays_no_part_and_stays_on_the_tape(recorded):
    settings = Settings(ignore=("$.metadata.*", "$.messages[*].name"))
    text = recorded.put((request(json.dumps(DOCUMENT)), "answer"), settings=settings)
    assert '"user": 2' in text
    other = without(metadata={"run": "x"}, messages=[{"role": "user"}, {"role": "assistant", "name": "z"}])
    assert recorded.play(request(json.dumps(other)), settings=settings) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(request(json.dumps(other)))


def test_a_miss_does_not_tell_of_what_is_ignored(recorded):
    settings = Settings(ignore=("$.metadata.*",))
    recorded.put((request(json.dumps(DOCUMENT)), "answer"), settings=settings)
    with pytest.raises(CassetteMiss) as missed:
        recorded.play(request(json.dumps(without(metadata={"run": "x"}, nested=None))), settings=settings)
    assert "metadata" not in str(missed.value)
    assert "it differs in 1 place\n    $.nested\n" in str(missed.value)


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
def test_match_on_names_the_parts_that_count(recorded, part):
    recorded.put((SENT, "answer"))
    rest = tuple(other for other in OTHERS if other != part)
    assert recorded.play(OTHERS[part], settings=Settings(match_on=rest)) == ["answer"]
    for wanted in ((part,), (), ("uri", "method", "body")):
        with pytest.raises(CassetteMiss):
            recorded.play(OTHERS[part], settings=Settings(match_on=wanted))


def test_uri_stands_for_its_parts(recorded):
    assert set(MATCHED) == {*OTHERS, "uri"}
    recorded.put((SENT, "answer"))
    settings = Settings(match_on=("method", "uri"))
    assert recorded.play(OTHERS["body"], settings=settings) == ["answer"]
    with pytest.raises(CassetteMiss) as missed:
        recorded.play(OTHERS["path"], settings=settings)
    assert "it differs in 1 place\n    url\n" in str(missed.value)


def test_words_of_the_user_stand_for_what_changes_from_run_to_run(recorded):
    settings = Settings().with_options(
        {"placeholders": {"today": r"\d{4}-\d{2}-\d{2}", "run-id": r"run_[0-9a-f]{8}"}}, "here"
    )

    def sent(day, run):
        return request(json.dumps({"q": f"what is new on {day}?", "run": run}), url=f"{URL}/{run}?day={day}")

    first = sent("2026-01-02", "run_0123abcd")
    text = recorded.put((first, '{"on": "2026-01-02", "run": "run_0123abcd"}'), settings=settings)
    assert f"uri: {URL}/run-id?day=today" in text
    assert '"q": "what is new on today?"' in text
    # the answer is the provider's, and says what it said
    [answer] = recorded.play(sent("2027-11-30", "run_ffffffff"), settings=settings)
    assert json.loads(answer) == {"on": "2026-01-02", "run": "run_0123abcd"}
    with pytest.raises(CassetteMiss) as missed:
        recorded.play(request(json.dumps({"q": "what was on 2027-11-30?", "run": "run_ffffffff"})), settings=settings)
    assert "2027" not in str(missed.value)


def test_words_hold_for_tapes_that_were_made_without_them(recorded):
    recorded.put((request('{"day": "2026-01-02"}'), "answer"))
    settings = Settings(placeholders=(("today", r"\d{4}-\d{2}-\d{2}"),))
    assert recorded.play(request('{"day": "2027-11-30"}'), settings=settings) == ["answer"]


FORM = (("content-type", "application/x-www-form-urlencoded"),)
PARTS = (("content-type", "multipart/form-data; boundary=x"),)
PART = '--x\r\ncontent-disposition: form-data; name="at"\r\n\r\n{}\r\n--x--'
AT = r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}"


@pytest.mark.parametrize("tells_when_recording", [True, False])
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
def test_words_stand_in_every_kind_of_request(recorded, sent, kept, tells_when_recording):
    settings = Settings(placeholders=(("now", AT),))
    recorded.put((sent("2026-01-02 03:04"), "answer"), settings=settings if tells_when_recording else None)
    [one] = storage.read(recorded.path).interactions
    assert (kept in f"{one.request.url} {one.request.body.decode()}") == tells_when_recording
    assert recorded.play(sent("2027-11-30 23:59"), settings=settings) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(sent("yesterday"), settings=settings)


def test_repeats_are_played_where_that_is_allowed(recorded):
    recorded.put((request("[1]"), "first"), (request("[1]"), "second"), (request("[2]"), "other"))
    sent = [request(body) for body in ("[1]", "[2]", "[1]", "[1]", "[2]", "[1]")]
    answers = ["first", "other", "second", "second", "other", "second"]
    assert recorded.play(*sent, settings=Settings(allow_repeats=True)) == answers
    with pytest.raises(CassetteMiss, match="already replayed: the cassette has this request 2 times"):
        recorded.play(*sent)


@pytest.mark.parametrize("glob", TELEMETRY)
def test_telemetry_is_dropped_by_default_in_every_mode_that_has_a_tape(recorded, glob):
    url = f"https://{glob.replace('*', 'eu')}/v1/ingest"
    for mode in ("replay", "record", "record-missing"):
        tape = Tape(recorded.path, mode=mode)
        answer = tape.route(request("{}", url=url)).response
        assert (answer.status, answer.body, tape.sent, tape.violations, tape.save()) == (202, b"{}", [], [], None)


def test_form_and_multipart_bodies_are_left_alone_by_json_paths(recorded):
    form = (("content-type", "application/x-www-form-urlencoded"),)
    recorded.put((request("a=1", headers=form), "answer"))
    assert recorded.play(request("a=1", headers=form), settings=Settings(ignore=("$.a",))) == ["answer"]
    with pytest.raises(CassetteMiss):
        recorded.play(request("a=2", headers=JSON), settings=Settings(ignore=("$.a",)))
