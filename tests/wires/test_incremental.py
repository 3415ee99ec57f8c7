"""Decode streams as they arrive: cut anywhere, with each call returned as soon as it is complete."""

import itertools
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_answers import STREAMS, encode_body, load_recorded_answers, load_written_answers, read_body

from multitrack import ToolCall
from multitrack.wires import ToolResult, continue_conversation, create_stream_decoder, read_answer, recognize
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


def test_a_call_after_a_skipped_index_is_returned_at_the_end():
    decoder = create_stream_decoder("openai.chat.stream")
    assert decoder.feed_chunk(delta(index=1, id="b", function={"name": "Ping", "arguments": "{}"})) == []
    assert decoder.feed(b"data: [DONE]\n\n") + decoder.close() == [ToolCall("b", "Ping", "{}", 0)]


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
    assert decoder.answer.error == (
        "the event response.output_item.added is missing for the item with the id 'fc_1', which received arguments"
    )


def test_a_lost_output_item_is_found_in_the_final_response():
    decoder = create_stream_decoder("openai.responses.stream")
    for chunk in LOST_ITEM:
        decoder.feed_chunk(chunk)
    arguments = '{"city": "Bonn"}'
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "Weather", "arguments": arguments}
    decoder.feed_chunk({"type": "response.completed", "response": {"status": "completed", "output": [item]}})
    assert decoder.answer.error is None
    assert decoder.answer.calls == (ToolCall("call_1", "Weather", arguments, 0),)


# --- Responses streams that lose `response.output_item.added` ---------------------------------------------------------


def write_item(number, *, ids="stable"):
    item = {"type": "function_call", "call_id": f"call_{number}", "name": "Weather", "arguments": f'{{"n": {number}}}'}
    return item if ids == "none" else {**item, "id": f"fc_{number}"}


def write_item_events(number, numbering, ids, *, with_deltas=True):
    """Return the events of one call: ``added``, the deltas, and the two ``done`` events."""
    item = write_item(number, ids=ids)
    place = {"right": {"output_index": number}, "zero": {"output_index": 0}, "none": {}}[numbering]
    item_id = {"stable": {"item_id": f"fc_{number}"}, "changing": {"item_id": f"other_{number}"}, "none": {}}[ids]
    kind = "response.function_call_arguments"
    pieces = [item["arguments"][:4], item["arguments"][4:]] if with_deltas else []
    return [
        {"type": "response.output_item.added", **place, "item": {**item, "arguments": ""}},
        *({"type": f"{kind}.delta", **place, **item_id, "delta": piece} for piece in pieces),
        {"type": f"{kind}.done", **place, **item_id, "arguments": item["arguments"]},
        {"type": "response.output_item.done", **place, "item": item},
    ]


def interleave_events(calls):
    return [event for group in itertools.zip_longest(*calls) for event in group if event is not None]


LOSSES = [
    (numbering, ids, order, lost, never_sent, final)
    for numbering, ids, order, lost, never_sent, final in itertools.product(
        ("right", "zero", "none"),
        ("stable", "changing", "none"),
        ("in turn", "interleaved"),
        ((0,), (1,), (0, 1), (0, 2), (0, 1, 2)),
        ("nothing", "response.function_call_arguments.done", "response.output_item.done"),
        ("whole", "without arguments", "empty"),
    )
    # nothing says to which call a delta of an interleaved stream belongs if it has neither an index nor a lasting id
    if order == "in turn" or numbering == "right" or ids == "stable"
]


def test_a_stream_that_loses_the_start_of_items_never_pairs_arguments_with_another_call():
    for case in LOSSES:
        numbering, ids, order, lost, never_sent, final = case
        calls = [write_item_events(number, numbering, ids) for number in range(3)]
        kept = [events[1:] if number in lost else events for number, events in enumerate(calls)]
        output = [write_item(number, ids=ids) for number in range(3)]
        if final == "without arguments":
            output = [{**item, "arguments": ""} for item in output]
        events = interleave_events(kept) if order == "interleaved" else [event for call in kept for event in call]
        events = [event for event in events if event["type"] != never_sent]
        end = {"status": "completed", "output": [] if final == "empty" else output}
        check_pairing([*events, {"type": "response.completed", "response": end}], case)


def check_pairing(events, case):
    """Check that each call has its own arguments, that no call is lost silently, and that a result finds its call."""
    decoder = create_stream_decoder("openai.responses.stream")
    yielded = [call for event in events for call in decoder.feed_chunk(event)]
    answer = decoder.answer
    assert yielded == list(answer.calls[: len(yielded)]), case
    if answer.error is None:
        assert [call.id for call in answer.calls] == ["call_0", "call_1", "call_2"], case
        for call in answer.calls:
            assert call.arguments == write_item(call.id[-1])["arguments"], case
    else:
        assert "response.output_item.added is missing" in answer.error, case
    results = [ToolResult(call, True, f"result of {call.id}") for call in answer.calls]
    continued = continue_conversation(decoder.document, results, "openai.responses")
    sent = {item["call_id"]: item for item in continued if item["type"] == "function_call"}
    for item in continued:
        if item["type"] == "function_call_output" and answer.error is None:
            assert sent[item["call_id"]]["arguments"] == write_item(item["call_id"][-1])["arguments"], case
            assert item["output"] == f"result of {item['call_id']}", case


@pytest.mark.parametrize("numbering", ["right", "none"])
def test_calls_after_a_lost_start_wait_for_the_call_before_them(numbering):
    first, second = (write_item_events(number, numbering, "stable") for number in range(2))
    decoder = create_stream_decoder("openai.responses.stream")
    early = [call for event in [*first[1:3], *second] for call in decoder.feed_chunk(event)]
    assert early == []
    assert [call.id for call in decoder.feed_chunk(first[-1])] == ["call_0", "call_1"]


def test_a_call_whose_start_and_arguments_were_lost_keeps_its_place():
    first, second = (write_item_events(number, "right", "stable", with_deltas=False) for number in range(2))
    check_order = [*second, first[-1]]
    decoder = create_stream_decoder("openai.responses.stream")
    yielded = [call.id for event in check_order for call in decoder.feed_chunk(event)]
    assert yielded == ["call_0", "call_1"]
    assert [item["call_id"] for item in decoder.document["output"]] == ["call_0", "call_1"]


def test_a_result_goes_to_its_call_even_if_an_earlier_call_was_cut_off():
    def delta(index, arguments, **fields):
        call = {"index": index, "id": f"call_{index}", "extra_content": f"thought {index}", **fields}
        return {"choices": [{"index": 0, "delta": {"tool_calls": [{**call, "function": arguments}]}}]}

    decoder = create_stream_decoder("openai.chat.stream")
    decoder.feed_chunk(delta(0, {"name": "Weather", "arguments": '{"n": '}))
    decoder.feed_chunk(delta(1, {"name": "Search", "arguments": '{"n": 1}'}))
    decoder.feed_chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
    decoder.close()
    assert [call.id for call in decoder.answer.calls] == ["call_1", "call_0"]
    results = [ToolResult(call, True, "fine") for call in decoder.answer.calls]
    [message, *_] = continue_conversation(decoder.document, results, "openai.chat")
    sent = [(call["id"], call["function"]["name"], call["extra_content"]) for call in message["tool_calls"]]
    assert sent == [("call_1", "Search", "thought 1"), ("call_0", "Weather", "thought 0")]
