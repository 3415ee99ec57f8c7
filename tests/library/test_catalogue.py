"""The catalogue of behaviours: every cell is filled, and every cassette says where its answer comes from."""

import base64
from pathlib import Path

import pytest
from corpora import OPENLLMETRY, OPENLLMETRY_ANTHROPIC_BEDROCK, load_corpus
from scripts.behaviours.page import write_page

from multitrack import decode
from multitrack.library import Behaviour, behaviours
from multitrack.library.catalogue import CELLS, ENTRIES, list_cells
from multitrack.wires import read_answer

ROOT = Path(__file__).parents[2]
CASSETTES = ROOT / "cassettes" / "library"


def test_every_cell_has_a_cassette_or_a_reason():
    recorded = {(one.wire, one.name) for one in behaviours()}
    empty = [
        (entry.name, cell) for entry, cell in list_cells() if ((cell, entry.name) in recorded) == (cell in entry.absent)
    ]
    assert empty == []


def test_every_file_is_a_cell():
    files = {(path.parent.name, path.stem) for path in CASSETTES.glob("*/*.yaml")}
    assert files == {(one.wire, one.name) for one in behaviours()}


def test_reasons_name_only_cells():
    assert {cell for entry in ENTRIES for cell in entry.absent} <= set(CELLS)


@pytest.mark.slow
def test_a_corpus_answer_is_the_one_in_the_corpus():
    records = {one["id"]: one for path in (OPENLLMETRY, OPENLLMETRY_ANTHROPIC_BEDROCK) for one in load_corpus(path)}
    from_corpus = [one for one in behaviours() if one.provenance == "corpus"]
    assert len(from_corpus) >= 26
    text = [one for one in from_corpus if "response_body" in records[one.source]]
    assert [str(one) for one in text if one.body.decode() != records[one.source]["response_body"]] == []
    # a cassette has the messages of an AWS event stream as lines
    for one in from_corpus:
        if one not in text:
            assert one.wire == "bedrock.stream"
            received = base64.b64decode(records[one.source]["response_b64"])
            assert read_answer(one.body, one.wire) == read_answer(received, one.wire)


@pytest.mark.slow
def test_all_other_answers_come_from_the_stand_in():
    others = [one for one in behaviours() if one.provenance != "corpus"]
    assert {one.provenance for one in others} == {"standin"}
    assert {one.source for one in others} == {""}


def test_the_licence_of_the_corpus_is_with_the_cassettes():
    licence = (ROOT / "tests" / "data" / "corpora" / "LICENSE.openllmetry").read_text(encoding="utf-8")
    assert (CASSETTES / "LICENSE.openllmetry").read_text(encoding="utf-8") == licence
    assert "LICENSE.openllmetry" in (CASSETTES / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_is_current():
    page = (ROOT / "docs" / "behaviours.md").read_text(encoding="utf-8")
    assert write_page(page) == page, "run: make cassettes"


def test_a_behaviour_describes_itself():
    [behaviour] = behaviours("anthropic.stream", "three_parallel_calls")
    assert behaviour == Behaviour("anthropic.stream", "three_parallel_calls")
    assert behaviour.__name__ == "anthropic.stream-three_parallel_calls"
    assert behaviour.description == "The model calls tools three times in one answer."
    assert behaviour.seen
    assert behaviour.status == 200
    assert [call.name for call in behaviour.calls] == ["Weather", "Weather", "GoogleSearch"]
    assert decode(behaviour.body, behaviour.wire_format) == list(behaviour.calls)


def test_a_wire_format_includes_its_streams():
    assert {one.wire for one in behaviours("gemini.grpc")} == {"gemini.grpc", "gemini.grpc.stream"}
    assert {one.wire for one in behaviours("gemini.grpc.stream")} == {"gemini.grpc.stream"}
    assert {one.name for one in behaviours(name="refusal")} == {"refusal"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wire": "openai"}, "unknown wire format 'openai'; use one of: openai.chat, "),
        ({"name": "one_cal"}, "unknown behaviour 'one_cal'; use one of: one_call, "),
    ],
)
def test_an_unknown_name_is_an_error(arguments, message):
    with pytest.raises(ValueError, match="unknown") as error:
        behaviours(**arguments)
    assert str(error.value).startswith(message)
