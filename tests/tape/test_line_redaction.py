"""Redaction of secrets that are divided by the lines of JSON lines."""

import json

import pytest

from multitrack.tape.exchange import Response
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.word_boundaries import REDACTED

KEY = "sk-" + "aB3x9Q" * 6
HEADERS = (("content-type", "application/x-ndjson"),)


def write_lines(pieces, end="\n", field="content"):
    chunks = [{"model": "m", "message": {"role": "assistant", field: piece}, "done": False} for piece in pieces]
    return "".join(json.dumps(chunk, separators=(",", ":")) + end for chunk in chunks).encode()


def redact(body):
    return Redactor({}).redact_response(Response(200, "OK", HEADERS, body)).body


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("field", ["content", "thinking"])
def test_a_key_that_lines_divide_is_redacted_as_a_whole(end, field):
    recorded = redact(write_lines(["It is ", KEY[:5], KEY[5:20], KEY[20:], " and that is all"], end, field))
    texts = [json.loads(line)["message"][field] for line in recorded.decode().splitlines()]
    assert "".join(texts) == f"It is {REDACTED} and that is all"
    assert len(texts) == 5


@pytest.mark.parametrize("half", [chr(0xD83D), chr(0xDC80)], ids=["first", "second"])
@pytest.mark.parametrize("layout", ["lines", "array", "events"])
def test_half_an_emoji_beside_a_divided_key_is_kept(layout, half):
    # a model may send the two halves of an emoji in two events, as the escapes \ud83d and \udc80
    documents = [{"text": KEY[:20]}, {"text": f"{KEY[20:]} {half}"}]
    lines = [json.dumps(document) for document in documents]
    body = {
        "lines": "\n".join(lines),
        "array": f"[{', '.join(lines)}]",
        "events": "\n\n".join(f"data: {x}" for x in lines),
    }
    recorded = redact(body[layout].encode()).decode()
    assert KEY[:20] not in recorded
    assert KEY[20:] not in recorded
    assert json.dumps(half)[1:-1] in recorded


def test_lines_without_a_secret_keep_their_bytes():
    body = write_lines(["It ", "is"]).replace(b'"It "', b'"\\u0049t "') + b'{"cut'
    assert redact(body) == body


def test_a_line_that_is_cut_off_does_not_hide_a_key_in_the_others():
    assert KEY[20:].encode() not in redact(write_lines([KEY[:20], KEY[20:]]) + b'{"model":"m')


def test_a_document_over_several_lines_is_not_a_stream():
    body = json.dumps({"a": KEY[:20], "b": KEY[20:]}, indent=2).encode()
    assert KEY[20:].encode() in redact(body)
