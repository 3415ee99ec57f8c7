"""A drift run compares a live response with the recording that replay chooses for the same request."""

from datetime import UTC, datetime

import pytest

from multitrack.drift.cassette_drift import compare_tape
from multitrack.errors import CassetteMiss
from multitrack.tape import interleaving
from multitrack.tape.exchange import Request
from multitrack.tape.settings import Settings
from multitrack.tape.tape import Tape

URL = "grpc://api.example.com/example.Chat/Talk"
OK = ("grpc-status", "0")


def start(tape):
    request = Request("POST", URL, (("content-type", "application/grpc"),), b"[]", [])
    return request, tape.route_stream(request)


def go_live(tape, *messages, said="hello", trailers=(OK,)):
    request, recording = start(tape)
    request.messages.extend(messages)
    recording.record_head(200, "OK", (("content-type", "application/grpc"),))
    recording.record_chunk(b'[{"said": "%s"}]' % said.encode())
    recording.record_end(trailers=trailers)


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "chat.yaml"

    def record_calls(*calls, **options):
        tape = Tape(path, mode="record", test="t", clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))
        for number, messages in enumerate(calls, start=1):
            go_live(tape, *messages, said=f"recording {number}", **options)
        tape.save()
        return path

    return record_calls


def replay(path, *calls, **options):
    """Return the number of the recording that replay chooses for each of ``calls``, or None for a miss."""
    tape = Tape(path, test="t", **options)
    found = []
    for messages in calls:
        try:
            request, conversation = start(tape)
            for message in messages:
                request.messages.append(message)
                conversation.match_message()
            conversation.match_end()
        except CassetteMiss:
            found.append(None)
            continue
        found.append(int(conversation.find_replay().response.body.split(b"recording ")[1][:1]))
    return found


def drift(path, *calls, **options):
    """Return the number of the recording that a drift run compares each of ``calls`` with, or None."""
    tape = Tape(path, mode="drift", test="t", **options)
    for messages in calls:
        go_live(tape, *messages)
    return [request.recording for request in compare_tape(tape, "t").requests]


def test_equal_conversations_are_compared_in_order(record):
    path = record([b'{"n": 1}'], [b'{"n": 2}'], [b'{"n": 1}'])
    calls = [b'{"n": 1}'], [b'{"n": 1}'], [b'{"n": 2}']
    assert replay(path, *calls) == [1, 3, 2]
    assert drift(path, *calls) == [1, 3, 2]


def test_a_repeated_conversation_is_compared_with_the_same_recording_again(record):
    path = record([b'{"n": 1}'])
    calls, settings = ([b'{"n": 1}'], [b'{"n": 1}']), Settings(allow_repeats=True)
    assert replay(path, *calls, settings=settings) == [1, 1]
    assert drift(path, *calls, settings=settings) == [1, 1]


def test_an_ignored_value_is_ignored_in_each_message(record):
    path = record([b'{"n": 1, "at": 1}', b'{"n": 2, "at": 2}'])
    call, settings = [b'{"n": 1, "at": 8}', b'{"n": 2, "at": 9}'], Settings(ignore=("$[0].at",))
    assert replay(path, call, settings=settings) == [1]
    assert drift(path, call, settings=settings) == [1]


def test_messages_after_the_end_of_an_open_recording_are_not_compared(record):
    path = record([b'{"n": 1}'], trailers=(OK, (interleaving.HEADER, "1")))
    call = [b'{"n": 1}', b'{"n": 2}']
    assert replay(path, call) == [1]
    assert drift(path, call) == [1]


def test_a_conversation_that_stops_matching_is_compared_with_no_recording(record):
    path = record([b'{"n": 1}', b'{"n": 2}'])
    call = [b'{"n": 1}', b'{"n": 3}']
    assert replay(path, call) == [None]
    assert drift(path, call) == [None]
