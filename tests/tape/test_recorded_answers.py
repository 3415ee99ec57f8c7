"""The answers of a tape by their indent: the same as by its YAML."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitrack.errors import CassetteCorrupt
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file import recorded_answers, storage, yaml_format
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction

# what looks like the parts of a tape, inside of a body
LINES = ["- request:", "  response:", "    body:", "      string: |-", "metadata:", "interactions:", "  models: {a: b}"]
LINES += ["", "        deep", "{", "}", "a", "a ", "\ta", "a: |-", "é😀", "\u2028", "'"]
text = st.lists(st.sampled_from(LINES), max_size=6).map("\n".join)
body = st.one_of(text.map(str.encode), text.map(lambda value: json.dumps({"a": value}).encode()), st.binary(max_size=6))
interaction = st.builds(
    Interaction,
    st.builds(Request, st.just("POST"), st.just("https://provider.test/v1"), st.just(()), body),
    st.builds(
        Response,
        st.just(200),
        text,
        st.just((("content-type", "application/json"),)),
        body,
        st.sampled_from(["complete", "left"]),
        st.just(Chunks()) | st.just(Chunks(joined=(2,))),
    ),
    st.lists(text, max_size=2).map(tuple),
    st.sampled_from(["live", "standin"]),
    st.lists(st.tuples(st.sampled_from(["A", "null", "b: c"]), text), max_size=2, unique_by=lambda pair: pair[0]).map(
        tuple
    ),
    st.none() | st.lists(st.sampled_from(["12345678", "?", "1e345678", "invalid:0a0b0c0d"]), max_size=2).map(tuple),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tapes")


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(interaction, max_size=3))
def test_every_tape_is_read_as_by_its_yaml(folder, interactions):
    tape = folder / "tape.yaml"
    cassette = Cassette(tuple(interactions), {"format": 1})
    tape.write_text(yaml_format.dump_cassette(cassette), encoding="utf-8", newline="\n")
    read = storage.read(tape).interactions
    assert [(one.body, one.models, one.results) for one in recorded_answers.read(tape)] == [
        (one.response.body, dict(one.models), one.results or ()) for one in read
    ]


def test_what_we_write_is_read_without_yaml(folder, monkeypatch):
    tape = folder / "ours.yaml"
    one = Interaction(
        Request("POST", "https://provider.test/v1", (), b'{"ask": {"a": 1}}'),
        Response(200, "OK", (), b'{"answer": [1, 2]}', chunks=Chunks(joined=(2,))),
        ("test_it",),
        models=(("Weather", "trip:Weather"),),
        results=("12345678",),
    )
    storage.write(tape, Cassette((one, one), {"format": 1}))
    monkeypatch.setattr(yaml_format, "load_cassette", lambda *_: pytest.fail("it was read as YAML"))
    first, second = recorded_answers.read(tape)
    assert first == second
    assert json.loads(first.body) == {"answer": [1, 2]}
    assert (first.models, first.results) == ({"Weather": "trip:Weather"}, ("12345678",))


def test_a_damaged_tape_is_an_error(folder):
    tape = folder / "damaged.yaml"
    tape.write_text(
        "version: 1\ninteractions:\n- request:\n    method: POST\nmetadata:\n  format: 1\n", encoding="utf-8"
    )
    with pytest.raises(CassetteCorrupt, match="interaction 1: it has no 'response'"):
        recorded_answers.read(tape)
