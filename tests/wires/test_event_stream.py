"""The framing of AWS event streams: recorded streams of Bedrock, and hand-written messages."""

import base64
import json
from dataclasses import replace

import pytest
from corpora import OPENLLMETRY_ANTHROPIC_BEDROCK, load_corpus
from wire_answers import encode_body, load_written_answers

from multitrack.wires import create_stream_decoder, encode_answer, read_answer, recognize, registry
from multitrack.wires.event_stream import EventStreamParser, write_message
from multitrack.wires.framing import FrameParser
from multitrack.wires.stream_text import StreamChunk, parse_stream

RECORDED = [
    base64.b64decode(line["response_b64"])
    for line in load_corpus(OPENLLMETRY_ANTHROPIC_BEDROCK)
    if line["wire"] == "bedrock.stream"
]
WRITTEN = [
    pytest.param(answer, id=answer["id"])
    for wire, answer in load_written_answers()
    if wire == "anthropic.stream" and "data: " in answer["body"]
]
EVENT = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}


def parse(body):
    parser = EventStreamParser()
    return parser.feed(body) + parser.close()


def write_chunk(document):
    payload = {"bytes": base64.b64encode(json.dumps(document).encode()).decode(), "p": "abcd"}
    return write_message(EVENT, json.dumps(payload).encode())


def test_recorded_streams_begin_and_end_with_the_events_of_converse():
    assert len(RECORDED) == 12
    for body in RECORDED:
        events = [json.loads(event.data) for event in parse(body)]
        assert list(events[0]) == ["messageStart"]
        assert list(events[-1]) == ["metadata"]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_recorded_streams_may_be_cut_anywhere(size):
    for body in RECORDED:
        frames = FrameParser()
        events = [event for start in range(0, len(body), size) for event in frames.feed(body[start : start + size])]
        assert events == parse(body)
        assert frames.close() == []


@pytest.mark.parametrize("answer", WRITTEN)
def test_a_stream_of_anthropic_is_the_same_in_this_framing(answer):
    lines = encode_body(answer).decode().splitlines()
    documents = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    body = b"".join(map(write_chunk, documents))
    assert recognize(body) == "anthropic.stream"
    assert read_answer(body) == read_answer(encode_body(answer), "anthropic.stream")


def test_a_message_is_read_as_soon_as_it_is_complete():
    parser = EventStreamParser()
    message = write_chunk({"type": "ping"})
    assert parser.feed(message[:-1]) == []
    assert [json.loads(event.data) for event in parser.feed(message[-1:] + message[:20])] == [{"type": "ping"}]


def test_the_end_mark_of_a_stream_is_found():
    start = write_chunk({"type": "message_start", "message": {}})
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 8}}
    end = write_chunk({"type": "message_stop", **metrics})
    assert registry.has_end_mark(start + end)
    assert not registry.has_end_mark(start + end[:-1])
    assert not registry.has_end_mark(start)


def test_an_exception_is_an_error():
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    body = write_chunk({"type": "message_start", "message": {}}) + write_message(headers, b'{"message": "Slow down"}')
    assert read_answer(body, "anthropic.stream").error == "throttlingException: Slow down"


def test_an_exception_without_a_payload_is_an_error():
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Broken"}
    assert read_answer(write_message(headers, b""), "anthropic.stream").error == "InternalError: Broken"


@pytest.mark.parametrize("position", [2, 9, 20, -1])
def test_a_damaged_stream_is_an_error(position):
    body = bytearray(write_chunk({"type": "message_stop"}))
    body[position] ^= 1
    decoder = create_stream_decoder("anthropic.stream")
    decoder.feed(bytes(body))
    assert decoder.answer.error == "the event stream is damaged"


def test_headers_of_other_types_are_skipped():
    written = write_chunk({"type": "ping"})
    # a boolean and a number of eight bytes before the headers that are text
    extra = b"\x01a\x00" + b"\x01b\x05" + bytes(8)
    length, headers = int.from_bytes(written[:4], "big"), int.from_bytes(written[4:8], "big")
    lengths = (length + len(extra)).to_bytes(4, "big") + (headers + len(extra)).to_bytes(4, "big")
    message = add_checksum(add_checksum(lengths) + extra + written[12:-4])
    assert [json.loads(event.data) for event in parse(message)] == [{"type": "ping"}]


def add_checksum(content):
    from binascii import crc32

    return content + crc32(content).to_bytes(4, "big")


def test_a_payload_that_is_not_base64_is_an_error():
    [event] = parse(write_message(EVENT, b'{"bytes": "***"}'))
    assert event.name == "error"


def test_recorded_streams_keep_their_bytes_if_their_chunks_do_not_change():
    for body in RECORDED:
        stream = parse_stream(body)
        assert b"".join(stream.write(stream.chunks)) == body


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_recorded_stream_that_was_cut_off_keeps_its_bytes(cut):
    stream = parse_stream(RECORDED[0][:-cut])
    assert b"".join(stream.write(stream.chunks)) == RECORDED[0][:-cut]
    assert stream.chunks[-1].document is None


def test_a_changed_chunk_of_a_recorded_stream_changes_one_message():
    stream = parse_stream(RECORDED[0])
    position = next(n for n, chunk in enumerate(stream.chunks) if "contentBlockDelta" in chunk.document)
    event = stream.chunks[position].document["contentBlockDelta"]
    changed = {"contentBlockDelta": {**event, "delta": {"text": "é"}}}
    chunks = [*stream.chunks[:position], StreamChunk(changed, position), *stream.chunks[position + 1 :]]
    messages = stream.write(chunks)
    assert [json.loads(event.data) for event in parse(b"".join(messages))] == [chunk.document for chunk in chunks]
    assert messages[:position] == stream.write(stream.chunks)[:position]
    assert messages[position + 1 :] == stream.write(stream.chunks)[position + 1 :]


def test_a_new_chunk_names_its_event():
    stream = parse_stream(RECORDED[0])
    new = {"contentBlockStop": {"contentBlockIndex": 7}}
    [event] = parse(b"".join(stream.write([StreamChunk(new, 1)])))
    assert json.loads(event.data) == new


@pytest.mark.parametrize("answer", WRITTEN)
def test_the_calls_of_a_stream_of_anthropic_change_in_this_framing(answer):
    lines = encode_body(answer).decode().splitlines()
    documents = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    body = b"".join(map(write_chunk, documents))
    before = read_answer(body, "anthropic.stream")
    renamed = tuple(replace(call, name="Renamed") for call in before.calls)
    encoded = encode_answer(replace(before, calls=renamed), "anthropic.stream", body)
    assert read_answer(encoded, "anthropic.stream").calls == renamed
    assert all(b'"p": "abcd"' in message for message in parse_stream(encoded).write(parse_stream(encoded).chunks))
