"""Cassettes in Multitrack's layout are read without a YAML parser. Other cassettes are read, or refused, as YAML."""

import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_tape import JSON, request

from multitrack.errors import CassetteCorrupt, CassetteMiss
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Response
from multitrack.tape.file import cassette_reader, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_reader import load_cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.file.plain_values import UNKNOWN, parse_value
from multitrack.tape.file.yaml_layout import UnknownLayout
from multitrack.tape.file.yaml_loader import Loader
from multitrack.tape.interaction import Interaction
from multitrack.tape.settings import Settings

PATH = Path("tape.yaml")
BODIES = [
    b"",
    b"a word",
    b'{"a": {"b": [1.0, "x: y"]}}',
    b"a\nb\n",
    b"a\n\nb\n\n",
    b"data: {}\r\n\r\n",
    b"\xff\x00",
    "é\n😀".encode(),
]
body = st.sampled_from(BODIES)
interaction = st.builds(
    Interaction,
    st.builds(request, body, url=st.sampled_from(["https://h.test/", "https://h.test/'?a=b&c=*d#e"])),
    st.builds(
        Response,
        st.sampled_from([200, 429]),
        st.sampled_from(["OK", "it's", "a: b"]),
        st.sampled_from([(), JSON, (("link", "a"), ("link", "b"))]),
        body,
        st.sampled_from(["complete", "left"]),
        st.sampled_from([Chunks(), Chunks(joined=(2,), cut=((1, 7),), gaps=(10,))]),
    ),
    st.sampled_from([(), ("t.py::a[b]",), ("t.py::it's", "t.py::b")]),
    st.sampled_from(["live", "standin"]),
    st.sampled_from([(), (("Weather", "trip:Weather"),)]),
    st.sampled_from([None, (), ("12345678", "?", "8f2e11aa")]),
)
tape = st.lists(interaction, min_size=1, max_size=3).map(
    lambda found: dump_cassette(Cassette(tuple(found), {"format": 1, "sdks": {"openai": "3.0"}}))
)
LINES = [
    "",
    "      ",
    "        x",
    "  response:",
    "- request:",
    "# a comment",
    "    body: x",
    "metadata:",
    "  format: 2",
]
PARTS = [":", " ", "'", '"', "&a ", "*a", "{", "]", "|", "\t", "\x85", "\u2028", "\x01", "é", "!!binary "]


@pytest.mark.slow
@given(tape, st.data())
@settings(deadline=None)
def test_an_edited_cassette_is_read_as_yaml(text, data):
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(0, 2))):
        number = data.draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        column = data.draw(st.integers(0, len(line)))
        change = data.draw(st.sampled_from(["drop", "repeat", "put", "cut", "add"]))
        lines[number : number + 1] = {
            "drop": [],
            "repeat": [line, line],
            "put": [data.draw(st.sampled_from(LINES)), line],
            "cut": [line[:column]],
            "add": [line[:column] + data.draw(st.sampled_from(PARTS)) + line[column:]],
        }[change]
    changed = "\n".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cassette_reader, "_load_by_layout", refuse_layout)
        read_as_yaml = outcome(changed)
    assert outcome(changed) == read_as_yaml


def refuse_layout(*_):
    raise UnknownLayout


def outcome(text):
    try:
        return load_cassette(text.encode(), PATH)
    except CassetteCorrupt as error:
        return error.line, error.reason


SCALARS = ["a", "No", "null", "y", "0", "00", "12", "1.5", "1.2.3", "1:30", "0x1f", "e5", "2020-01-01", "é"]
SCALARS += ["content-type", "text/html; q=1", "https://h.test/?a=b", ".", "=", "<<", "~", "'", "'a'"]
scalar = st.lists(st.sampled_from([*SCALARS, *":,-#&*!|>%@`?+_()[]{} \t\x85"]), max_size=4).map("".join)
flow_list = st.lists(scalar, max_size=3).map(", ".join).map("[{}]".format)
flow_mapping = (
    st.lists(st.tuples(scalar, scalar | flow_list).map(": ".join), max_size=3).map(", ".join).map("{{{}}}".format)
)


@pytest.mark.slow
@given(scalar | flow_list | flow_mapping)
@settings(deadline=None)
def test_a_value_that_is_parsed_without_yaml_is_the_same_in_yaml(text):
    value = parse_value(text)
    if value is not UNKNOWN:
        assert repr(yaml.load(f"key: {text}", Loader=Loader)["key"]) == repr(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("POST", "POST"),
        ("https://api.openai.com/v1/chat/completions?a=b", "https://api.openai.com/v1/chat/completions?a=b"),
        ("{code: 200, message: OK}", {"code": 200, "message": "OK"}),
        (
            "{content-type: [text/event-stream; charset=utf-8], date: ['Mon, 01 Jan']}",
            {"content-type": ["text/event-stream; charset=utf-8"], "date": ["Mon, 01 Jan"]},
        ),
        ("{openai: 3.57.0}", {"openai": "3.57.0"}),
        ("[project-0, 'a: b']", ["project-0", "a: b"]),
    ],
)
def test_the_usual_values_are_parsed_without_yaml(text, value):
    assert parse_value(text) == value


@pytest.mark.slow
@given(tape)
def test_written_cassettes_have_our_layout(text):
    broken = text.replace("  format: 1\n", "  format: 1\n  # a comment\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cassette_reader, "_load_document", lambda *_: pytest.fail("it was read as YAML"))
        assert load_cassette(broken.encode(), PATH) == load_cassette(text.encode(), PATH)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "status: {code: 200,",
            "status: {code: '200',",
            "interaction 2: the status code is '200', not a number from 200 to 999",
        ),
        ("    method: POST\n", "", "interaction 2: it has no 'method'"),
        ("tests: ['t.py::test']", "tests: ['t.py::test'", "did not find expected ',' or ']'"),
        ('        "n": 2\n', '    "n": 2\n', "interaction 2: the request has an unknown key 'n'"),
        ('"n": 2', '"n": \x01', "U+0001 is not allowed"),
        (
            "headers: {content-type: [a]}",
            "headers: {a: &a [b], c: *a}",
            "it uses YAML aliases, which Multitrack does not write",
        ),
    ],
)
def test_damage_in_the_middle_is_reported_on_opening(recorded, old, new, reason):
    kind = (("content-type", "a"),)
    recorded.put(*((request(json.dumps({"n": n}), headers=kind), '{"fine": true}') for n in range(1, 4)))
    before, middle, after = (f"\n- request:{part}" for part in recorded.text.split("\n- request:")[1:])
    head = recorded.text.split("\n- request:")[0]
    assert old in middle
    recorded.path.write_text(head + before + middle.replace(old, new, 1) + after, encoding="utf-8")
    with pytest.raises(CassetteCorrupt) as refused:
        recorded.play(request('{"n": 3}', headers=kind))
    assert refused.value.reason == reason
    first = (head + before).count("\n") + 1
    assert first <= refused.value.line <= first + middle.count("\n") + 1


def test_an_alias_of_a_text_is_refused(recorded):
    recorded.put((request("{}", url="https://h.test/"), "fine"))
    text = recorded.text.replace("method: POST", "method: &a POST").replace("message: OK", "message: *a")
    recorded.path.write_text(text, encoding="utf-8")
    with pytest.raises(CassetteCorrupt, match="it uses YAML aliases, which Multitrack does not write") as refused:
        storage.read(recorded.path)
    assert "*a" in text.splitlines()[refused.value.line - 1]


def test_our_layout_takes_less_time_and_memory_than_yaml():
    answer = json.dumps({"object": "chat.completion", "text": "word " * 300, "list": [1.0, 2.5]}).encode()
    found = [
        Interaction(request(json.dumps({"n": n, "ask": "é " * 200})), Response(200, "OK", JSON, answer), (f"t::{n}",))
        for n in range(150)
    ]
    content = dump_cassette(Cassette(tuple(found), {"format": 1})).encode()

    def measure(read):
        start = process_time()
        read()
        time = process_time() - start
        tracemalloc.start()
        try:
            kept = read()
            assert kept
            return time, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    ours, whole = (
        measure(lambda: load_cassette(content, PATH)),
        measure(lambda: yaml.load(content, Loader=Loader)),
    )
    assert ours[0] < whole[0] / 2
    assert ours[1] < whole[1] / 2


LARGE = "word " * 30_000


def test_a_large_shared_cassette_is_read_once(recorded, monkeypatch):
    recorded.put(*((request(json.dumps({"n": n})), json.dumps({"n": n, "text": LARGE})) for n in range(2)))
    read = []
    loads = load_cassette
    monkeypatch.setattr(
        cassette_reader,
        "load_cassette",
        lambda content, path, *known: read.append(path) or loads(content, path, *known),
    )
    beginnings = [recorded.play(request('{"n": 1}'))[0][:8] for _ in range(3)]
    assert beginnings == ['{"n": 1,'] * 3
    assert read == [recorded.path]
    # a change is noticed even if the size and the time are as before
    text, times = recorded.text, recorded.path.stat()
    recorded.path.write_text(text.replace('"n": 1,', '"n": 7,'), encoding="utf-8")
    os.utime(recorded.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert recorded.play(request('{"n": 1}'))[0].startswith('{"n": 7,')
    recorded.path.unlink()
    assert storage.read(recorded.path) is None


def test_tests_with_different_settings_share_a_large_cassette(recorded):
    recorded.put((request('{"n": 1, "id": "a"}'), LARGE))
    other = request('{"n": 1, "id": "b"}')
    for _ in range(2):
        with pytest.raises(CassetteMiss):
            recorded.play(other)
        assert recorded.play(other, settings=Settings(ignore=("$.id",))) == [LARGE]
        assert recorded.play(replace(other, url="https://else.test/"), settings=Settings(match_on=("method",))) == [
            LARGE
        ]


def test_a_large_shared_cassette_is_opened_quickly(recorded):
    recorded.put(*((request(json.dumps({"n": n, "ask": "word " * 100})), '{"fine": true}') for n in range(500)))
    times = []
    for _ in range(4):
        start = process_time()
        recorded.play(request(json.dumps({"n": 250, "ask": "word " * 100})))
        times.append(process_time() - start)
    first, *others = times
    assert min(others) < first / 3
