"""AWS event streams in a cassette: stored as lines of JSON, and replayed as messages that botocore accepts."""

import base64
import json

import httpx
import pytest
from corpora import OPENLLMETRY_ANTHROPIC_BEDROCK, load_corpus
from local_provider import ProviderAnswer

from multitrack import use_cassette
from multitrack.errors import SecretInCassette
from multitrack.tape import event_framing
from multitrack.tape.exchange import Replay, Response
from multitrack.wires import read_answer, recognize
from multitrack.wires.event_stream import write_message

EventStreamBuffer = pytest.importorskip("botocore.eventstream").EventStreamBuffer

RECORDED = [
    base64.b64decode(line["response_b64"])
    for line in load_corpus(OPENLLMETRY_ANTHROPIC_BEDROCK)
    if line["wire"] == "bedrock.stream"
]
HEADERS = {":content-type": "application/json", ":message-type": "event"}


def write_chunk(document):
    payload = {"bytes": base64.b64encode(json.dumps(document).encode()).decode(), "p": "abc"}
    return write_message({":event-type": "chunk", **HEADERS}, json.dumps(payload).encode())


def parse_with_botocore(body):
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [
        (message.headers[":message-type"], message.headers.get(":event-type"), json.loads(message.payload))
        for message in buffer
    ]


@pytest.mark.parametrize("size", [7, 100, 100_000])
def test_a_recorded_stream_has_the_same_events_after_replay(size):
    for body in RECORDED:
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        lines, framing = event_framing.decode_events(parts, is_complete=True)
        assert len(lines) == len(parts)
        text = b"".join(lines)
        assert recognize(text) == "bedrock.stream"
        assert read_answer(text) == read_answer(body)
        encoded = list(event_framing.encode_events(lines, framing))
        assert len(encoded) == len(lines)
        assert parse_with_botocore(b"".join(encoded)) == parse_with_botocore(body)


def test_a_line_that_is_cut_belongs_to_the_chunk_that_completes_it():
    assert parse_with_botocore(b"".join(event_framing.encode_events([b'{"messageSt', b'op":{}}\n'], "aws-events"))) == [
        ("event", "messageStop", {})
    ]


def test_chunks_of_anthropic_are_stored_as_its_own_events():
    documents = [{"type": "message_start", "message": {}}, {"type": "message_stop"}]
    body = b"".join(map(write_chunk, documents))
    lines, framing = event_framing.decode_events([body], is_complete=True)
    assert framing == "aws-chunks"
    assert [json.loads(line) for line in lines[0].splitlines()] == documents
    events = parse_with_botocore(b"".join(event_framing.encode_events(lines, framing)))
    assert [json.loads(base64.b64decode(event[2]["bytes"])) for event in events] == documents


def test_an_exception_stays_an_exception():
    payload = b'{"message":"Too many requests"}'
    headers = {":exception-type": "throttlingException", ":content-type": "application/json"}
    body = write_message({**headers, ":message-type": "exception"}, payload)
    lines, framing = event_framing.decode_events([body], is_complete=True)
    assert lines == [b'{"throttlingException":{"message":"Too many requests"}}\n']
    assert b"".join(event_framing.encode_events(lines, framing)) == body
    assert read_answer(lines[0] * 2, "bedrock.stream").error == "throttlingException: Too many requests"
    assert read_answer(lines[0] * 2, "anthropic.stream").error == "throttlingException: Too many requests"


@pytest.mark.parametrize("damage", [lambda body: body[:-1] + b"x", lambda body: b"\0\0\0\1" + body, lambda _: b"plain"])
def test_a_damaged_stream_is_not_stored_as_text(damage):
    with pytest.raises(ValueError):  # noqa: PT011
        event_framing.decode_events([damage(RECORDED[0])], is_complete=True)


def test_a_message_that_the_end_of_the_stream_cuts_off_is_left_out():
    lines, _ = event_framing.decode_events([RECORDED[0][:-5]], is_complete=False)
    whole, _ = event_framing.decode_events([RECORDED[0]], is_complete=True)
    assert lines[0].splitlines() == whole[0].splitlines()[:-1]


@pytest.mark.slow
def test_a_damaged_stream_is_not_recorded(provider, tmp_path):
    secret = base64.b64encode(b'{"text": "the key is hunter-of-streams-77"}').decode()
    body = (
        write_chunk({"type": "ping"}) + write_message({":event-type": "chunk", **HEADERS}, secret.encode())[:-1] + b"x"
    )
    provider.reply = lambda _: ProviderAnswer(body, headers={"content-type": "application/vnd.amazon.eventstream"})
    path = tmp_path / "stream.yaml"
    with (
        pytest.raises(SecretInCassette, match=r"POST http.*/stream is a damaged AWS event stream"),
        use_cassette(path, mode="record"),
    ):
        assert httpx.post(provider.url + "/stream").content == body
    assert list(tmp_path.iterdir()) == []


def test_the_framing_is_not_in_a_header():
    headers = (("content-type", "application/vnd.amazon.eventstream"),)
    recorded = Response(200, "OK", headers, b'{"messageStop":{"stopReason":"end_turn"}}\n', encoding="aws-events, gzip")
    for accepted, expected in ((None, (*headers, ("content-encoding", "gzip"))), ("identity", headers)):
        replay = Replay.at_pace(recorded, "instant", accepted)
        assert replay.response.headers == expected
    body = b"".join(chunk for _, chunk in replay.chunks())
    assert parse_with_botocore(body) == [("event", "messageStop", {"stopReason": "end_turn"})]
