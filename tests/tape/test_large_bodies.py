"""Large bodies are redacted, written and read part by part, with the same result as small ones."""

import base64
import random
import tracemalloc
from pathlib import Path

import pytest
import yaml
from recorded_tape import request

from multitrack.tape.chunks import Chunks, measure_chunks
from multitrack.tape.exchange import Response
from multitrack.tape.file import cassette_writer, yaml_layout, yaml_text
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_reader import load_cassette
from multitrack.tape.file.cassette_writer import dump_cassette, encode_cassette
from multitrack.tape.file.yaml_layout import UnknownLayout
from multitrack.tape.file.yaml_loader import Loader
from multitrack.tape.interaction import Interaction
from multitrack.tape.redaction import windows
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.word_boundaries import REDACTED

PATH = Path("tape.yaml")
KEY = "hush-hush-0123456789"
SHAPED = "sk-proj-" + "a1B2c3D4e5F6g7H8" * 3
EVENTS = "text/event-stream"
LINES = [
    "one\ntwo\n\nthree\n\n\n" * 20,
    "one\ntwo\n" * 30 + "the end",
    "it's one line " * 40,
    "a tab\tand 'quotes' and \"quotes\"\r\n" * 20,
    "lines of \U0001f600 and é\n" * 30,
    "\U0001f600é" * 60,
    "a line that is longer than a part, and then\n" + "x" * 80 + "\n\n" + "y" * 47 + "\nz",
    *("x" * length + "\n" + "y" * 70 for length in range(14, 19)),
]


def cassette_with(body):
    sent = request("a short question")
    return Cassette((Interaction(sent, Response(200, "OK", (("content-type", "text/plain"),), body)),), {"format": 1})


@pytest.mark.parametrize("body", [*map(str.encode, LINES), random.Random(1).randbytes(300)], ids=range(len(LINES) + 1))
def test_a_body_in_parts_is_written_like_a_body_as_a_whole(monkeypatch, body):
    whole = dump_cassette(cassette_with(body))
    for module, name in ((yaml_text, "_LARGE"), (yaml_layout, "_PART")):
        monkeypatch.setattr(module, name, 16)
    monkeypatch.setattr(yaml_text, "_BASE64_PART", 57)
    written = dump_cassette(cassette_with(body))
    # a line of more than two parts may be written with other quotes
    string = yaml.load(written, Loader=yaml.CSafeLoader)["interactions"][0]["response"]["body"]["string"]
    assert string == yaml.load(whole, Loader=yaml.CSafeLoader)["interactions"][0]["response"]["body"]["string"]
    assert load_cassette(written.encode(), PATH).interactions[0].response.body == body


def test_a_large_json_body_is_not_indented(monkeypatch):
    monkeypatch.setattr(cassette_writer, "_LARGEST_INDENTED", 100)
    body = b'{"data":[' + b'{"index":1},' * 10 + b"1]}"
    assert body.decode() in dump_cassette(cassette_with(body))


FILLERS = {
    "words": "some words, ",
    "base64": base64.b64encode(random.Random(1).randbytes(60)).decode(),
    "escapes": "a\\n%0A\\\\\\n ",
    "letters": "abcdefghijk",
}
SPELLINGS = {
    "plain": f" {KEY} ",
    "base64": " " + base64.b64encode(f"the key {KEY} is".encode()).decode() + " ",
    "with line breaks": f" {KEY[:7]}\\n{KEY[7:]} ",
    "field": ' "client_secret": "one-two-three-4567-eight" ',
    "shape": f" {SHAPED} ",
}


@pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS)
def test_a_secret_at_the_boundary_of_two_windows_is_found(monkeypatch, filler):
    for name in ("windows", "secret_spellings", "known_secrets", "long_words"):
        monkeypatch.setattr(f"multitrack.tape.redaction.{name}.WINDOW", 200)
    redactor = Redactor({"THEIR_TOKEN": KEY})
    texts = [
        (filler * 40)[:length] + spelling + filler * 40
        for spelling in SPELLINGS.values()
        for length in range(150, 210, 7)
    ]
    in_windows = [redactor.redact_text(text) for text in texts]
    monkeypatch.undo()
    assert in_windows == [redactor.redact_text(text) for text in texts]
    assert all(REDACTED in text for text in in_windows)


def peak_memory(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BODIES = {
    "lines": b"a line of a text that is not long\n" * 135_000,
    "base64": base64.b64encode(random.Random(1).randbytes(3_450_000)),
}


@pytest.mark.slow
# tracing the redaction of base64 would take ten seconds, because it has many words that might begin a secret
@pytest.mark.parametrize(
    ("step", "kind"), [("redact", "lines"), *((step, kind) for step in ("write", "read") for kind in BODIES)]
)
def test_a_large_body_is_copied_few_times(step, kind):
    body = BODIES[kind]
    redactor = Redactor({"THEIR_TOKEN": KEY})
    # the rules and the patterns are loaded once
    redactor.redact_body(b"a text")
    cassette = cassette_with(body)
    written = b"".join(encode_cassette(cassette))
    steps = {
        "redact": lambda: redactor.redact_body(body),
        "write": lambda: encode_cassette(cassette),
        "read": lambda: load_cassette(written, PATH),
    }
    assert len(body) > 4 * windows.WINDOW
    assert peak_memory(steps[step]) < 2.5 * len(body)


def test_a_long_stream_keeps_its_chunks():
    events = [b"data: %d\n\n" % number for number in range(10_000)]
    body = b"".join(events)
    ends = [len(b"".join(events[:100])) + 3, *range(8192, len(body), 8192), len(body)]
    chunks = measure_chunks(dict.fromkeys(sorted(ends), 20), body, EVENTS)
    recorded = Response(200, "OK", (("content-type", EVENTS),), body, chunks=chunks)
    written = dump_cassette(Cassette((Interaction(request("a question"), recorded),), {"format": 1}))
    read = load_cassette(written.encode(), PATH).interactions[0].response
    assert read.chunks == chunks
    assert [len(chunk) for chunk in read.chunks.split(body, EVENTS)] == [
        end - start for start, end in zip([0, *sorted(ends)], sorted(ends), strict=False)
    ]


@pytest.mark.parametrize(
    "text", ["{joined: [010]}", "{joined: [1_0]}", "{cut: [1+2, 3]}", "{joined: [1], joined: [2]}"]
)
def test_only_numbers_in_our_form_are_read_without_yaml(text):
    lines = dump_cassette(cassette_with(b"a\nb")).replace("  tests: []\n", f"    chunks: {text}\n  tests: []\n")
    try:
        expected = yaml.load(f"key: {text}", Loader=Loader)["key"]
    except yaml.YAMLError:
        expected = UnknownLayout
    try:
        found = yaml_layout.parse_interaction(lines.encode(), *next(yaml_layout.find_interactions(lines.encode())))
        read = found["response"]["chunks"]
    except UnknownLayout:
        read = UnknownLayout
    assert read == expected


@pytest.mark.parametrize("content_type", [EVENTS, "application/json", "application/grpc"])
def test_an_empty_body_has_no_chunks(content_type):
    assert Chunks().split(b"", content_type) == []


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        (b"a\n\n\nb\n\n", [3, 4, 7]),
        (b"a\r\n\r\nb\n\r\nc\r\r", [5, 9, 12]),
        (b"a\r\r\rb", [3, 4, 5]),
        (b"", []),
    ],
)
def test_events_end_after_an_empty_line(body, ends):
    assert Chunks().count_events(body, EVENTS) == len(ends)
    assert [len(part) for part in Chunks().split(body, EVENTS)] == [
        end - start for start, end in zip([0, *ends], ends, strict=False)
    ]
