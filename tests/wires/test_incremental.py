"""Streams as they arrive: cut anywhere, and each call given as soon as it is complete."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_answers import STREAMS, body_of, recorded, written

from multitrack import ToolCall
from multitrack.wires import create_stream_decoder, read_answer, recognize
from multitrack.wires.sse import ServerSentEvent, SseParser

STREAMED = [(wire, answer) for wire, answer in written() if wire in STREAMS]


def fed(wire, pieces):
    decoder = create_stream_decoder(wire)
    given_early = [call for piece in pieces for call in decoder.feed(piece)]
    return given_early + decoder.close(), decoder.answer


def cut(body, places):
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in pairwise(edges)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=100_000), max_size=12))
def test_written_streams_cut_anywhere(places):
    for wire, answer in STREAMED:
        body = body_of(answer)
        assert fed(wire, cut(body, places))[1] == read_answer(body, wire), answer["id"]


@pytest.mark.parametrize(("wire", "answer"), [pytest.param(*case, id=case[1]["id"]) for case in STREAMED])
def test_written_streams_byte_by_byte(wire, answer):
    body = body_of(answer)
    pieces = [body[place : place + 1] for place in range(len(body))]
    assert fed(wire, pieces) == fed(wire, [body])


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=1_000_000), max_size=40))
def test_recorded_streams_cut_anywhere(places):
    for line in recorded():
        if line["wire"] in STREAMS:
            body = line["response_body"].encode()
            calls, answer = fed(line["wire"], cut(body, places))
            assert answer == read_answer(body, line["wire"])
            assert tuple(calls) == answer.calls


@pytest.mark.parametrize(("wire", "answer"), [pytest.param(*case, id=case[1]["id"]) for case in STREAMED])
def test_what_is_given_early_is_what_the_answer_holds(wire, answer):
    calls, whole = fed(wire, [body_of(answer)])
    given_early = {(call.id, call.name, call.arguments) for call in calls}
    held = {(call.id, call.name, call.arguments) for call in whole.calls}
    if answer.get("note") == "late":
        assert not given_early <= held
    elif whole.is_complete and not whole.is_truncated:
        assert given_early == held
    else:
        assert given_early <= held


def delta(**fragment):
    return {"choices": [{"index": 0, "delta": {"tool_calls": [fragment]}, "finish_reason": None}]}


def test_a_call_is_given_before_the_next_begins():
    decoder = create_stream_decoder("openai.chat.stream")
    assert decoder.feed_chunk(delta(index=0, id="a", function={"name": "Weather", "arguments": '{"x":"}'})) == []
    assert decoder.feed_chunk(delta(index=0, function={"arguments": '"}'})) == [
        ToolCall("a", "Weather", '{"x":"}"}', 0)
    ]
    assert decoder.feed_chunk(delta(index=0, function={"arguments": " "})) == []


def test_arguments_cut_off_are_never_given():
    decoder = create_stream_decoder("openai.chat.stream")
    decoder.feed_chunk(delta(index=0, id="a", function={"name": "Weather", "arguments": '{"x":'}))
    assert decoder.feed_chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}) == []
    assert decoder.close() == []
    assert decoder.answer.calls == (ToolCall("a", "Weather", '{"x":', 0),)


def test_a_call_without_arguments_is_given_when_the_choice_ends():
    decoder = create_stream_decoder("openai.chat.stream")
    assert decoder.feed_chunk(delta(index=0, id="a", function={"name": "Ping", "arguments": ""})) == []
    assert decoder.feed_chunk(delta(index=1, id="b", function={"name": "Pong", "arguments": ""})) == []
    assert decoder.feed_chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}) == [
        ToolCall("a", "Ping", "", 0),
        ToolCall("b", "Pong", "", 1),
    ]


def test_a_long_answer_is_decoded_in_one_pass():
    argument = json.dumps({"text": "x" * 2000})
    pieces = [argument[start : start + 40] for start in range(0, len(argument), 40)]
    decoder = create_stream_decoder("openai.chat.stream")
    given_early = []
    for index in range(1000):
        decoder.feed_chunk(delta(index=index, id=f"call_{index}", function={"name": "Note", "arguments": ""}))
        for piece in pieces:
            given_early += decoder.feed_chunk(delta(index=index, function={"arguments": piece}))
    assert tuple(given_early) == decoder.answer.calls
    assert len(given_early) == 1000


def test_recognising_a_stream_does_not_read_it_to_its_end():
    head = b'data: {"choices":[{"delta":{}}]}\n\n'
    assert recognize(head + b"data: " + b"[" * 1_000_000) == "openai.chat.stream"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_server_sent_events_cut_anywhere(end, data):
    text = end.join(["﻿: hello", "event: né", "data: ä☀️😀", "data:b", "data", "", "id: 1", "data: last"])
    body = text.encode()
    places = data.draw(st.lists(st.integers(min_value=0, max_value=len(body)), max_size=8))
    parser = SseParser()
    events = [event for piece in cut(body, places) for event in parser.feed(piece)] + parser.close()
    assert events == [ServerSentEvent("né", "ä☀️😀\nb\n"), ServerSentEvent("", "last")]


def test_an_event_is_given_as_soon_as_its_blank_line_is_there():
    parser = SseParser()
    assert parser.feed(b"data: 1\r\n\r") == [ServerSentEvent("", "1")]
    assert parser.feed(b"\ndata: 2\r\r") == [ServerSentEvent("", "2")]
