"""Secrets that a stream delivers in pieces: only the pieces of the secrets change."""

from __future__ import annotations

import json

import pytest

from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.word_boundaries import REDACTED

KEY = "hush-hush-0123456789"
OTHER = "open-sesame-9876543210"


@pytest.fixture
def redactor():
    return Redactor({"THEIR_TOKEN": KEY, "OTHER_TOKEN": OTHER})


def stream(pieces):
    documents = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return "".join(f"data: {json.dumps(document)}\n\n" for document in documents).encode()


def contents(body):
    lines = [line for line in body.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines]


def test_the_events_between_two_secrets_stay_as_they_are(redactor):
    words = [f" word{number}" for number in range(2000)]
    body = stream([KEY[:7], KEY[7:], *words, "so ", OTHER[:3], OTHER[3:9], OTHER[9:] + "!"])
    assert contents(redactor.redact_body(body)) == [REDACTED, "", *words, "so ", REDACTED, "", "!"]


def test_events_without_a_secret_keep_their_bytes(redactor):
    body = stream(["a", KEY[:7], KEY[7:], "b"])
    before, after = body.split(b"\n\n"), redactor.redact_body(body).split(b"\n\n")
    assert before[0] == after[0]
    assert before[3:] == after[3:]


def test_many_secrets_in_one_stream_are_each_removed(redactor):
    pieces = [piece for number in range(50) for piece in (f"{number} ", KEY[:4], KEY[4:])]
    expected = [piece for number in range(50) for piece in (f"{number} ", REDACTED, "")]
    assert contents(redactor.redact_body(stream(pieces))) == expected


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_a_secret_in_events_of_text_is_removed(redactor, end):
    body = "".join(f"data: {piece}{end}" for piece in ["It is ", KEY[:6], KEY[6:12], KEY[12:], " indeed", "[DONE]"])
    lines = redactor.redact_body(body.encode()).decode().split(end)
    assert lines == ["data: It is ", f"data: {REDACTED}", "data: ", "data: ", "data:  indeed", "data: [DONE]", ""]


def test_a_secret_in_events_of_json_texts_is_removed(redactor):
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in [KEY[:6], KEY[6:], ' "quoted"'])
    events = redactor.redact_body(body.encode()).decode().split("\n\n")
    assert events == [f'data: "{REDACTED}"', 'data: ""', 'data: " \\"quoted\\""', ""]


def test_a_secret_in_lines_of_ollama_is_removed(redactor):
    lines = [json.dumps({"message": {"role": "assistant", "content": piece}}) for piece in ["so ", KEY[:9], KEY[9:]]]
    redacted = redactor.redact_body("\n".join(lines).encode()).decode()
    assert [json.loads(line)["message"]["content"] for line in redacted.splitlines()] == ["so ", REDACTED, ""]


def test_names_of_many_projects_in_one_text_are_all_replaced(redactor):
    names = [f"projects/acme-{number}-x/locations/europe-west{number}" for number in range(300)]
    text = redactor.redact_text(" ".join(names) + " acme-299-x, acme-0-x")
    assert text.startswith("projects/project-0/locations/location-0 projects/project-1/locations/location-1 ")
    assert text.endswith("projects/project-299/locations/location-299 project-299, project-0")
