"""Decode streams as they arrive: cut anywhere, with each call returned as soon as it is complete."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_answers import STREAMS, encode_body, load_recorded_answers, load_written_answers, read_body

from multitrack import ToolCall
from multitrack.wires import create_stream_decoder, read_answer, recognize
from multitrack.wires.sse import ServerSentEvent, SseParser

STREAMED = [(wire, answer) for wire, answer in load_written_answers() if wire in STREAMS]


def decode_pieces(wire, pieces):
    decoder = create_stream_decoder(wire)
    early_calls = [call for piece in pieces for call in decoder.feed(piece)]
    return early_calls + decoder.close(), decoder.answer


def cut(body, cuts):
    edges = sorted({0, len(body), *(position % (len(body) + 1) for position in cuts)})
    return [body[start:end] for start, end in pairwise(edges)]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=100_000), max_size=12))
def test_written_streams_may_be_cut_anywhere(cuts):
    for wire, answer in STREAMED:
        body = encode_body(answer)
        _, decoded = decode_pieces(wire, cut(body, cuts))
        assert decoded == read_answer(body, wire), answer["id"]


@pytest.mark.parametrize(("wire", "answer"), [pytest.param(*case, id=case[1]["id"]) for case in STREAMED])
def test_written_streams_may_arrive_byte_by_byte(wire, answer):
    body = encode_body(answer)
    pieces = [body[position : position + 1] for position in range(len(body))]
    calls, decoded = decode_pieces(wire, pieces)
    calls_at_once, decoded_at_once = decode_pieces(wire, [body])
    assert calls == calls_at_once
    assert decoded == decoded_at_once


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=1_000_000), max_size=40))
def test_recorded_streams_may_be_cut_anywhere(cuts):
    for line in load_recorded_answers():
        if line["wire"] in STREAMS:
            body = read_body(line)
            calls, answer = decode_pieces(line["wire"], cut(body, cuts))
            assert answer == read_answer(body, line["wire"])
            assert tuple(calls) == answer.calls


@pytest.mark.parametrize(("wire", "answer"), [pytest.param(*case, id=case[1]["id"]) for case in STREAMED])
def test_calls_returned_early_are_in_the_answer(wire, answer):
    calls, whole = decode_pieces(wire, [encode_body(answer)])
    early_calls = {(call.id, call.name, call.arguments) for call in calls}
    held = {(call.id, call.name, call.arguments) for call in whole.calls}
    if whole.is_complete and not whole.is_truncated:
        assert early_calls == held
    else:
        assert early_calls <= held


def delta(**fragment):
    return {"choices": [{"index": 0, "delta": {"tool_calls": [fragment]}, "finish_reason": None}]}


def test_a_call_is_returned_before_the_next_begins():
    decoder = create_stream_decoder("openai.chat.stream")
    assert decoder.feed_chunk(delta(index=0, id="a", function={"name": "Weather", "arguments": '{"x":"}'})) == []
    assert decoder.feed_chunk(delta(index=0, function={"arguments": '"}'})) == [
        ToolCall("a", "Weather", '{"x":"}"}', 0)
    ]
    assert decoder.feed_chunk(delta(index=0, function={"arguments": " "})) == []


def test_a_call_with_truncated_arguments_is_not_returned():
    decoder = create_stream_decoder("openai.chat.stream")
    decoder.feed_chunk(delta(index=0, id="a", function={"name": "Weather", "arguments": '{"x":'}))
    assert decoder.feed_chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}) == []
    assert decoder.close() == []
    assert decoder.answer.calls == (ToolCall("a", "Weather", '{"x":', 0),)


def test_a_call_without_arguments_is_returned_when_the_choice_ends():
    decoder = create_stream_decoder("openai.chat.stream")
    assert decoder.feed_chunk(delta(index=0, id="a", function={"name": "Ping", "arguments": ""})) == []
    assert decoder.feed_chunk(delta(index=1, id="b", function={"name": "Pong", "arguments": ""})) == []
    assert decoder.feed_chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}) == [
        ToolCall("a", "Ping", "", 0),
        ToolCall("b", "Pong", "", 1),
    ]


@pytest.mark.slow
def test_a_long_answer_is_decoded_in_one_pass():
    argument = json.dumps({"text": "x" * 2000})
    pieces = [argument[start : start + 40] for start in range(0, len(argument), 40)]
    decoder = create_stream_decoder("openai.chat.stream")
    early_calls = []
    for index in range(1000):
        decoder.feed_chunk(delta(index=index, id=f"call_{index}", function={"name": "Note", "arguments": ""}))
        for piece in pieces:
            early_calls += decoder.feed_chunk(delta(index=index, function={"arguments": piece}))
    assert tuple(early_calls) == decoder.answer.calls
    assert len(early_calls) == 1000


def test_recognizing_a_stream_does_not_read_it_to_its_end():
    head = b'data: {"choices":[{"delta":{}}]}\n\n'
    assert recognize(head + b"data: " + b"[" * 1_000_000) == "openai.chat.stream"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_server_sent_events_may_be_cut_anywhere(end, data):
    text = end.join(["﻿: hello", "event: né", "data: ä☀️😀", "data:b", "data", "", "id: 1", "data: last"])
    body = text.encode()
    cuts = data.draw(st.lists(st.integers(min_value=0, max_value=len(body)), max_size=8))
    parser = SseParser()
    events = [event for piece in cut(body, cuts) for event in parser.feed(piece)] + parser.close()
    assert events == [ServerSentEvent("né", "ä☀️😀\nb\n"), ServerSentEvent("", "last")]


def test_an_event_is_returned_as_soon_as_its_blank_line_arrives():
    parser = SseParser()
    assert parser.feed(b"data: 1\r\n\r") == [ServerSentEvent("", "1")]
    assert parser.feed(b"\ndata: 2\r\r") == [ServerSentEvent("", "2")]


LOST_ITEM = [
    {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": '{"city": '},
    {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": '"Bonn"}'},
]


def test_arguments_without_their_output_item_are_not_text():
    decoder = create_stream_decoder("openai.responses.stream")
    for chunk in LOST_ITEM:
        decoder.feed_chunk(chunk)
    assert decoder.answer.text is None
    decoder.feed_chunk({"type": "response.completed", "response": {"status": "completed", "output": []}})
    assert decoder.answer.error == "an output item received arguments, but its start is missing"


def test_a_lost_output_item_is_found_in_the_final_response():
    decoder = create_stream_decoder("openai.responses.stream")
    for chunk in LOST_ITEM:
        decoder.feed_chunk(chunk)
    arguments = '{"city": "Bonn"}'
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "Weather", "arguments": arguments}
    decoder.feed_chunk({"type": "response.completed", "response": {"status": "completed", "output": [item]}})
    assert decoder.answer.error is None
    assert decoder.answer.calls == (ToolCall("call_1", "Weather", arguments, 0),)
