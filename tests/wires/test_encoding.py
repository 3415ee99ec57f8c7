"""Encode answers in every wire format: what is encoded is decoded again, and an original keeps everything else."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_answers import encode_body, load_recorded_answers, load_written_answers, read_body

from multitrack import ToolCall
from multitrack.wires import WireAnswer, decode, encode_answer, encode_stream, read_answer
from multitrack.wires.encoding import have_same_calls, match_calls
from multitrack.wires.event_stream import EventStreamParser

OPENAI = ("openai.chat", "openai.chat.stream", "openai.responses", "openai.responses.stream")
FORMATS = (
    *OPENAI,
    *("gemini", "gemini.stream", "anthropic", "anthropic.stream", "bedrock", "bedrock.stream"),
    *("ollama", "ollama.stream", "xai", "xai.stream"),
)
# their answers do not have the words of a refusal
WITHOUT_REFUSAL = ("bedrock", "ollama", "xai")
RECORDED = [(line["id"], line["wire"], read_body(line)) for line in load_recorded_answers() if line["wire"] in FORMATS]
WRITTEN = [
    pytest.param(wire, encode_body(answer), id=f"{wire}-{answer['id']}")
    for wire, answer in load_written_answers()
    if wire in FORMATS
]

PARALLEL = (
    ToolCall("call_1", "Weather", '{"location":"Toronto"}', 0),
    ToolCall("call_2", "Weather", '{"location":"Zürich ❄"}', 1),
    ToolCall("call_3", "Ping", "{}", 2),
)


def to_fields(calls):
    return [(call.id, call.name, call.arguments) for call in calls]


# --- from scratch -------------------------------------------------------------------------------------------------


def test_every_recorded_answer_has_the_same_calls_when_encoded_from_scratch():
    for name, wire, body in RECORDED:
        answer = read_answer(body, wire)
        assert have_same_calls(decode(encode_answer(answer, wire), wire), answer.calls), name


def test_every_recorded_answer_without_an_error_is_the_same_when_encoded_from_scratch():
    for name, wire, body in RECORDED:
        answer = read_answer(body, wire)
        if answer.error is None and answer.finish_reason:
            assert read_answer(encode_answer(answer, wire), wire) == answer, name


@pytest.mark.parametrize("wire", FORMATS)
def test_text_beside_parallel_calls_is_encoded(wire):
    usage = {"eval_count": 3} if wire.startswith("ollama") else {"total_tokens": 3}
    answer = WireAnswer(PARALLEL, text='Let me "look".\n', model="m", usage=usage)
    decoded = read_answer(encode_answer(answer, wire), wire)
    assert decoded.calls == PARALLEL
    assert decoded.text == 'Let me "look".\n'
    assert decoded.model == "m"
    assert decoded.usage == usage
    assert decoded.is_complete


@pytest.mark.parametrize("wire", FORMATS)
def test_an_empty_answer_is_encoded(wire):
    decoded = read_answer(encode_answer(WireAnswer(), wire), wire)
    assert decoded.calls == ()
    assert decoded.text is None
    assert decoded.is_complete


@pytest.mark.parametrize(
    ("wire", "with_calls", "without"),
    [
        ("openai.chat", "tool_calls", "stop"),
        ("openai.chat.stream", "tool_calls", "stop"),
        ("openai.responses", "completed", "completed"),
        ("openai.responses.stream", "completed", "completed"),
        ("gemini", "STOP", "STOP"),
        ("gemini.stream", "STOP", "STOP"),
        ("anthropic", "tool_use", "end_turn"),
        ("anthropic.stream", "tool_use", "end_turn"),
        ("bedrock", "tool_use", "end_turn"),
        ("bedrock.stream", "tool_use", "end_turn"),
        ("ollama", "stop", "stop"),
        ("ollama.stream", "stop", "stop"),
        ("xai", "REASON_TOOL_CALLS", "REASON_STOP"),
        ("xai.stream", "REASON_TOOL_CALLS", "REASON_STOP"),
    ],
)
def test_the_usual_finish_reason_is_the_default(wire, with_calls, without):
    assert read_answer(encode_answer(WireAnswer(PARALLEL), wire)).finish_reason == with_calls
    assert read_answer(encode_answer(WireAnswer(text="Hi"), wire)).finish_reason == without


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("openai.chat", "length"),
        ("openai.chat.stream", "length"),
        ("openai.responses", "max_output_tokens"),
        ("openai.responses.stream", "max_output_tokens"),
        ("gemini", "MAX_TOKENS"),
        ("gemini.stream", "MAX_TOKENS"),
        ("anthropic", "max_tokens"),
        ("anthropic.stream", "model_context_window_exceeded"),
        ("bedrock", "max_tokens"),
        ("bedrock.stream", "model_context_window_exceeded"),
        ("ollama", "length"),
        ("ollama.stream", "length"),
        ("xai", "REASON_MAX_LEN"),
        ("xai.stream", "REASON_MAX_CONTEXT"),
    ],
)
def test_a_truncated_answer_is_encoded(wire, reason):
    decoded = read_answer(encode_answer(WireAnswer(text="It is", finish_reason=reason), wire))
    assert decoded.is_truncated
    assert decoded.text == "It is"


def test_the_last_item_of_a_truncated_response_is_incomplete():
    answer = WireAnswer(PARALLEL, finish_reason="max_output_tokens")
    output = json.loads(encode_answer(answer, "openai.responses"))["output"]
    assert [item["status"] for item in output] == ["completed", "completed", "incomplete"]


@pytest.mark.parametrize("wire", [*OPENAI, "anthropic.stream", "bedrock.stream"])
@pytest.mark.parametrize("arguments", ['{"location":"Tor', "", "null", "[1]", '{"a":1,"a":2}', "no JSON", None])
def test_arguments_of_any_kind_are_encoded(wire, arguments):
    calls = (ToolCall("call_1", "Weather", arguments, 0),)
    assert read_answer(encode_answer(WireAnswer(calls), wire)).calls == calls


@pytest.mark.parametrize("wire", ["gemini", "gemini.stream", "ollama", "ollama.stream"])
@pytest.mark.parametrize("arguments", ['{"location":"Tor', "", "null", "[1]", '{"a":NaN}'])
def test_arguments_that_are_not_an_object_are_an_error_of_gemini_and_ollama(wire, arguments):
    with pytest.raises(ValueError, match=r"^the arguments of Weather are not a JSON object, which this wire format"):
        encode_answer(WireAnswer((ToolCall(None, "Weather", arguments, 0),)), wire)


@pytest.mark.parametrize("wire", FORMATS)
def test_a_call_without_id_and_arguments_is_encoded(wire):
    calls = (ToolCall(None, "Ping", None, 0),)
    assert read_answer(encode_answer(WireAnswer(calls), wire)).calls == calls


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("is_complete", [True, False])
def test_two_calls_may_have_the_same_id(wire, is_complete):
    calls = (PARALLEL[0], replace(PARALLEL[1], id="call_1"), PARALLEL[2])
    if wire.endswith(".stream") or is_complete:
        decoded = read_answer(encode_answer(WireAnswer(calls, is_complete=is_complete), wire), wire)
        assert decoded.calls == calls
        assert decoded.text is None


@pytest.mark.parametrize("wire", FORMATS)
def test_half_of_a_surrogate_pair_is_encoded(wire):
    answer = WireAnswer((ToolCall("a", "Weather", '{"location":"\ud83d"}', 0),), text="half \ude00 of a pair")
    body = encode_answer(answer, wire)
    decoded = read_answer(body, wire)
    assert decoded.calls == answer.calls
    assert decoded.text == answer.text
    assert encode_answer(decoded, wire, body) == body


@pytest.mark.parametrize("wire", [wire for wire in FORMATS if not wire.startswith(WITHOUT_REFUSAL)])
def test_a_refusal_is_encoded(wire):
    assert read_answer(encode_answer(WireAnswer(refusal="No."), wire)).refusal == "No."


@pytest.mark.parametrize("wire", ["bedrock", "bedrock.stream"])
def test_a_refusal_of_bedrock_is_its_stop_reason(wire):
    answer = WireAnswer(refusal="guardrail_intervened", finish_reason="guardrail_intervened")
    assert read_answer(encode_answer(answer, wire)).refusal == "guardrail_intervened"


@pytest.mark.parametrize("wire", [wire for wire in FORMATS if wire.startswith(WITHOUT_REFUSAL)])
def test_a_refusal_in_words_is_an_error_of_other_formats(wire):
    with pytest.raises(ValueError, match=rf"^the wire format {wire} cannot express the refusal of this answer"):
        encode_answer(WireAnswer(refusal="No."), wire)


@pytest.mark.parametrize("wire", [wire for wire in FORMATS if wire.endswith(".stream")])
def test_an_incomplete_stream_breaks_off_before_its_end(wire):
    decoded = read_answer(encode_answer(WireAnswer(PARALLEL, text="Let me look.", is_complete=False), wire))
    assert have_same_calls(decoded.calls, PARALLEL)
    assert decoded.text == "Let me look."
    assert not decoded.is_complete


def test_a_chat_stream_sends_the_arguments_in_deltas():
    frames = encode_stream(WireAnswer(PARALLEL[:1]), "openai.chat.stream")
    deltas = [json.loads(frame[6:])["choices"][0]["delta"] for frame in frames[:-1]]
    assert deltas == [
        {"role": "assistant", "content": None, "refusal": None},
        {
            "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "Weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"location":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Toronto"}'}}]},
        {},
    ]
    assert frames[-1] == b"data: [DONE]\n\n"


def test_a_responses_stream_has_the_events_of_each_item():
    frames = encode_stream(WireAnswer(PARALLEL[2:], text="Hi"), "openai.responses.stream")
    names = [frame.split(b"\n")[0].decode().removeprefix("event: response.") for frame in frames]
    assert names == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    events = [json.loads(frame.split(b"\ndata: ")[1]) for frame in frames]
    assert [event["sequence_number"] for event in events] == list(range(13))
    assert events[8]["output_index"] == 1


def test_a_gemini_stream_has_crlf_line_ends():
    frames = encode_stream(WireAnswer(PARALLEL), "gemini.stream")
    assert all(frame.startswith(b"data: {") and frame.endswith(b"}\r\n\r\n") for frame in frames)


def test_an_anthropic_stream_has_the_events_of_each_block():
    frames = encode_stream(WireAnswer(PARALLEL[2:], text="Hi"), "anthropic.stream")
    names = [frame.split(b"\n")[0].decode().removeprefix("event: ") for frame in frames]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    with_input = [block[0], block[1], block[1], block[2]]
    assert names == ["message_start", *block, *with_input, "message_delta", "message_stop"]
    events = [json.loads(frame.split(b"\ndata: ")[1]) for frame in frames]
    assert [event["index"] for event in events if "index" in event] == [0, 0, 0, 1, 1, 1, 1]


def test_a_bedrock_stream_has_the_events_of_each_block():
    frames = encode_stream(WireAnswer(PARALLEL[2:], text="Hi"), "bedrock.stream")
    [names] = zip(
        *(json.loads(event.data) for frame in frames for event in EventStreamParser().feed(frame)), strict=True
    )
    text, call = (
        ["contentBlockDelta", "contentBlockStop"],
        ["contentBlockStart", "contentBlockDelta", "contentBlockStop"],
    )
    assert list(names) == ["messageStart", *text, *call, "messageStop", "metadata"]


def test_a_call_that_a_length_limit_cut_off_is_encoded_as_one():
    for wire in ("anthropic", "anthropic.stream", "bedrock", "bedrock.stream"):
        for is_cut_off in (True, False):
            answer = WireAnswer(PARALLEL[:2], finish_reason="max_tokens", is_truncated=True)
            answer = replace(answer, has_cut_off_call=is_cut_off)
            assert read_answer(encode_answer(answer, wire), wire) == answer


def test_thinking_and_server_tools_stay_around_changed_calls():
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {
            "type": "tool_use",
            "id": "a",
            "name": "Weather",
            "input": {"location": "Toronto"},
            "caller": {"type": "direct"},
        },
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "tool_use", "id": "b", "name": "Search", "input": {}},
    ]
    body = json.dumps({"type": "message", "content": blocks, "stop_reason": "tool_use"}).encode()
    weather, search = decode(body)
    moved = (search, replace(weather, arguments='{"location":"Dallas"}'))
    document = json.loads(encode_answer(replace(read_answer(body), calls=moved), "anthropic", body))
    changed = {**blocks[1], "input": {"location": "Dallas"}}
    assert document["content"] == [blocks[0], blocks[2], blocks[3], changed]


def test_an_unknown_wire_format_is_an_error():
    with pytest.raises(ValueError, match=r"^unknown wire format 'smoke'; use one of: "):
        encode_answer(WireAnswer(), "smoke")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ARGUMENTS = st.dictionaries(TEXTS, st.none() | st.integers(-(2**53), 2**53) | TEXTS, max_size=3)
CALLS = st.builds(
    ToolCall,
    st.none() | st.text("abc_1", min_size=1, max_size=5),
    st.text("AbC_é", min_size=1, max_size=5),
    ARGUMENTS.map(lambda arguments: json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))),
    st.just(0),
)
ANSWERS = st.builds(
    WireAnswer,
    st.lists(CALLS, max_size=4).map(lambda calls: tuple(replace(call, index=n) for n, call in enumerate(calls))),
    TEXTS.map(lambda text: text or None),
    model=st.sampled_from([None, "m"]),
)


@pytest.mark.slow
@settings(derandomize=True)
@given(ANSWERS)
def test_any_answer_is_decoded_as_it_was_encoded(answer):
    for wire in FORMATS:
        decoded = read_answer(encode_answer(answer, wire), wire)
        assert replace(decoded, finish_reason=None) == answer, wire


@pytest.mark.slow
@settings(derandomize=True)
@given(ANSWERS, ANSWERS)
def test_any_answer_replaces_any_other_and_keeps_its_model(before, answer):
    for wire in FORMATS:
        decoded = read_answer(encode_answer(answer, wire, encode_answer(before, wire)), wire)
        assert decoded.calls == answer.calls, wire
        assert decoded.text == answer.text, wire
        assert decoded.model == before.model, wire
        assert decoded.is_complete, wire


# --- with an original -----------------------------------------------------------------------------------------------


def test_an_unchanged_recorded_answer_keeps_its_bytes():
    for name, wire, body in RECORDED:
        assert encode_answer(read_answer(body, wire), wire, body) == body, name


@pytest.mark.parametrize(("wire", "body"), WRITTEN)
def test_an_unchanged_written_answer_keeps_its_bytes(wire, body):
    assert encode_answer(read_answer(body, wire), wire, body) == body


NEW = ToolCall("call_new", "Added", '{"x":1,"y":{"z":"é"}}', 0)
TEXT = 'Ein anderer, längerer Text mit "Zeichen"\nund ✓'


def reindex(calls):
    return tuple(replace(call, index=index) for index, call in enumerate(calls))


CALL_CHANGES = {
    "first_dropped": lambda calls: calls[1:],
    "last_dropped": lambda calls: calls[:-1],
    "all_dropped": lambda calls: calls[:0],
    "renamed": lambda calls: (replace(calls[0], name="Renamed"), *calls[1:]),
    "changed_arguments": lambda calls: (*calls[:-1], replace(calls[-1], arguments=NEW.arguments)),
    "without_arguments": lambda calls: (*calls[:-1], replace(calls[-1], arguments=None)),
    "changed_id": lambda calls: (replace(calls[0], id="other"), *calls[1:]),
    "repeated": lambda calls: (calls[0], *calls),
    "reversed": lambda calls: calls[::-1],
    "added_first": lambda calls: (NEW, *calls),
    "added_last": lambda calls: (*calls, NEW),
    "broken_arguments": lambda calls: (replace(calls[0], arguments='{"x": "cut'), *calls[1:]),
}
ALL_ANSWERS = [*RECORDED, *((parameter.id, *parameter.values) for parameter in WRITTEN)]


@pytest.mark.slow
@pytest.mark.parametrize("change", CALL_CHANGES)
def test_changed_calls_are_decoded_and_everything_else_stays(change):
    for name, wire, body in ALL_ANSWERS:
        before = read_answer(body, wire)
        if not before.calls or (change == "broken_arguments" and wire.startswith(("gemini", "ollama"))):
            continue
        answer = replace(before, calls=reindex(CALL_CHANGES[change](before.calls)))
        after = read_answer(encode_answer(answer, wire, body), wire)
        # In a stream, a call that was cut off does not hold back the calls after it.
        is_cut_off = change == "broken_arguments" or not before.is_complete or before.is_truncated
        order = sorted if is_cut_off and wire.endswith(".stream") else list
        expected, found = to_fields(answer.calls), to_fields(after.calls)
        assert order(map(repr, found)) == order(map(repr, expected)), name
        for field in ("text", "finish_reason", "refusal", "model", "usage"):
            assert getattr(after, field) == getattr(before, field), (name, field)


@pytest.mark.slow
@pytest.mark.parametrize("text", [TEXT, "x", None])
def test_a_changed_text_is_decoded_and_everything_else_stays(text):
    for name, wire, body in ALL_ANSWERS:
        before = read_answer(body, wire)
        after = read_answer(encode_answer(replace(before, text=text), wire, body), wire)
        assert after.text == text, name
        for field in ("calls", "finish_reason", "refusal", "model", "usage"):
            assert getattr(after, field) == getattr(before, field), (name, field)


@pytest.mark.slow
def test_a_changed_refusal_is_decoded():
    for name, wire, body in ALL_ANSWERS:
        if wire.startswith(WITHOUT_REFUSAL):
            continue
        before = read_answer(body, wire)
        after = read_answer(encode_answer(replace(before, refusal="No."), wire, body), wire)
        assert after.refusal == "No.", name
        for field in ("calls", "text", "finish_reason", "model", "usage"):
            assert getattr(after, field) == getattr(before, field), (name, field)


@pytest.mark.slow
def test_a_changed_finish_reason_is_decoded():
    reasons = {"openai.chat": "length", "openai.responses": "max_output_tokens", "gemini": "MAX_TOKENS"}
    reasons |= dict.fromkeys(("anthropic", "bedrock"), "max_tokens") | {"ollama": "length", "xai": "REASON_MAX_LEN"}
    for name, wire, body in ALL_ANSWERS:
        before = read_answer(body, wire)
        if before.error is None and before.is_complete:
            answer = replace(before, finish_reason=reasons[wire.removesuffix(".stream")])
            if wire.startswith("bedrock"):
                answer = replace(answer, refusal=None)  # the stop reason is all that states a refusal
            after = read_answer(encode_answer(answer, wire, body), wire)
            assert after.is_truncated, name
            assert have_same_calls(after.calls, before.calls), name


def common_ends(one, other):
    """Return the lengths of the longest common beginning and end."""
    count = min(len(one), len(other))
    head = next((n for n in range(count) if one[n] != other[n]), count)
    tail = next((n for n in range(count - head) if one[-1 - n] != other[-1 - n]), count - head)
    return head, tail


@pytest.mark.parametrize("wire", ["openai.chat", "openai.responses", "gemini", "anthropic", "bedrock", "ollama", "xai"])
def test_changed_arguments_change_no_other_byte(wire):
    for name, recorded_wire, body in ALL_ANSWERS:
        before = read_answer(body, recorded_wire)
        if recorded_wire != wire or not before.calls:
            continue
        calls = (*before.calls[:-1], replace(before.calls[-1], arguments='{"other":1}'))
        encoded = encode_answer(replace(before, calls=calls), wire, body)
        head, tail = common_ends(body, encoded)
        changed = body[head : len(body) - tail]
        longest = len(json.dumps(before.calls[-1].arguments)) + len('"arguments": ')
        assert len(changed) <= longest + body.count(b"\n", head, len(body) - tail) * 40, name


def test_a_new_value_has_the_layout_of_the_original():
    body = b'{\n\t"candidates": [\n\t\t{"finishReason": "STOP", "content": {"parts": []}}\n\t],\n\t"x": 1.50\n}\n'
    answer = WireAnswer((ToolCall(None, "Ping", '{"a":1}', 0),), finish_reason="STOP")
    part = json.dumps([{"functionCall": {"name": "Ping", "args": {"a": 1}}}], indent="\t").replace("\n", "\n\t\t")
    assert encode_answer(answer, "gemini", body) == body.replace(b"[]", part.encode())


GEMINI_PARTS = [
    {"text": "Hm.", "thought": True},
    {"functionCall": {"name": "Weather", "args": {"location": "Toronto"}}, "thoughtSignature": "c2ln"},
    {"functionCall": {"name": "Search", "args": {"query": "x"}}},
]


def to_gemini(parts):
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "avgLogprobs": -0.1}]}


def test_a_signature_stays_with_its_call():
    body = json.dumps(to_gemini(GEMINI_PARTS)).encode()
    weather, search = decode(body)
    moved = (search, replace(weather, arguments='{"location":"Dallas"}'))
    document = json.loads(encode_answer(replace(read_answer(body), calls=moved), "gemini", body))
    assert document == to_gemini(
        [
            GEMINI_PARTS[0],
            GEMINI_PARTS[2],
            {"functionCall": {"name": "Weather", "args": {"location": "Dallas"}}, "thoughtSignature": "c2ln"},
        ]
    )


def test_deeply_nested_arguments_stay_if_the_text_changes():
    calls = (ToolCall("toolu_1", "W", "[" * 5_000, 0),)
    original = encode_answer(WireAnswer(calls, text="a"), "anthropic.stream")
    answer = replace(read_answer(original), text="b")
    assert read_answer(encode_answer(answer, "anthropic.stream", original)) == answer


def test_an_anthropic_answer_that_was_not_streamed_stays_one():
    block = {"type": "tool_use", "id": "toolu_1", "name": "W", "input": {"n": 1}, "caller": {"type": "direct"}}
    document = {"type": "message", "role": "assistant", "content": [block], "stop_reason": "tool_use"}
    original = b"event: message\ndata: " + json.dumps(document).encode() + b"\n\n"
    answer = read_answer(original)
    calls = (replace(answer.calls[0], arguments='{"n":2}'),)
    written = encode_answer(replace(answer, calls=calls), "anthropic.stream", original)
    assert written == original.replace(b'{"n": 1}', b'{"n": 2}')


def test_a_json_array_stays_a_json_array():
    chunks = [to_gemini([part]) for part in GEMINI_PARTS]
    body = b"[" + b"\n,\r\n".join(json.dumps(chunk, indent=2).encode() for chunk in chunks) + b"\n]\n"
    before = read_answer(body, "gemini.stream")
    renamed = (before.calls[0], replace(before.calls[1], name="Find"))
    encoded = encode_answer(replace(before, calls=renamed), "gemini.stream", body)
    assert encoded == body.replace(b'"Search"', b'"Find"')


def test_partial_arguments_become_whole_if_they_change():
    name = {"functionCall": {"name": "Weather", "id": "a", "willContinue": True}}
    piece = {"functionCall": {"partialArgs": [{"jsonPath": "$.location", "stringValue": "Toronto"}]}}
    chunks = [to_gemini([part]) for part in (name, piece)]
    del chunks[0]["candidates"][0]["finishReason"]  # it would end the call
    body = b"".join(f"data: {json.dumps(chunk)}\r\n\r\n".encode() for chunk in chunks)
    before = read_answer(body, "gemini.stream")
    changed = (replace(before.calls[0], arguments='{"location":"Dallas"}'),)
    frames = encode_stream(replace(before, calls=changed), "gemini.stream", body)
    parts = [json.loads(frame[6:])["candidates"][0]["content"]["parts"] for frame in frames]
    assert parts == [[{"functionCall": {"name": "Weather", "id": "a", "args": {"location": "Dallas"}}}], []]


def test_an_original_whose_events_contradict_each_other_is_refused():
    name = {"functionCall": {"name": "Weather", "willContinue": True}}
    piece = {"functionCall": {"partialArgs": [{"jsonPath": "$.location", "stringValue": "Toronto"}]}}
    # the finish reason ends the call before its arguments arrive
    body = b"".join(f"data: {json.dumps(to_gemini([part]))}\n\n".encode() for part in (name, piece))
    with pytest.raises(ValueError, match="2 calls were decoded, but 1 calls can be changed"):
        encode_stream(replace(read_answer(body), calls=()), "gemini.stream", body)


def test_reasoning_items_and_unknown_keys_stay_in_a_responses_stream():
    for name, wire, body in RECORDED:
        before = read_answer(body, wire)
        if wire != "openai.responses.stream" or not before.calls or b'"type":"reasoning"' not in body:
            continue
        calls = (replace(before.calls[0], name="Renamed"), *before.calls[1:])
        encoded = encode_answer(replace(before, calls=calls), wire, body)
        for frame in body.split(b"\n\n"):
            if b'"type":"reasoning"' in frame and b"response.completed" not in frame:
                assert frame in encoded, name
        old, new = (json.loads(text.split(b"\ndata: ")[-1])["response"] for text in (body, encoded))
        assert [item.get("name") for item in new["output"]].count("Renamed") == 1, name
        renamed = next(item for item in new["output"] if item.get("name") == "Renamed")
        renamed["name"] = before.calls[0].name
        assert new == old, name


def test_the_events_of_a_responses_stream_are_numbered_without_gaps():
    body = encode_answer(WireAnswer(PARALLEL, text="Hi", model="m"), "openai.responses.stream")
    answer = replace(read_answer(body), calls=reindex(PARALLEL[1:]))
    frames = encode_stream(answer, "openai.responses.stream", body)
    events = [json.loads(frame.split(b"\ndata: ")[1]) for frame in frames]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert sorted({event["output_index"] for event in events if "output_index" in event}) == [0, 1, 2]


def test_a_chat_stream_keeps_its_envelope():
    body = (
        b': comment\n\ndata: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":null}}],"p":"x"}\n\n'
        b'data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"A",'
        b'"arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]},"finish_reason":null}],"p":"y"}\n\n'
        b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\n'
        b'data: {"id":"c","choices":[],"usage":{"total_tokens":3}}\n\ndata: [DONE]\n\n'
    )
    before = read_answer(body, "openai.chat.stream")
    changed = replace(before.calls[0], name="B")
    encoded = encode_answer(replace(before, calls=(changed,)), "openai.chat.stream", body)
    assert encoded == body.replace(b'"name":"A"', b'"name":"B"')


def test_a_custom_tool_call_stays_one():
    entry = {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    body = json.dumps({"choices": [{"message": {"tool_calls": [entry]}, "finish_reason": "tool_calls"}]}).encode()
    before = read_answer(body)
    encoded = encode_answer(
        replace(before, calls=(replace(before.calls[0], arguments="SELECT 2"),)), "openai.chat", body
    )
    assert encoded == body.replace(b"SELECT 1", b"SELECT 2")


def test_a_legacy_function_call_stays_one():
    body = b'{"choices":[{"message":{"function_call":{"name":"A","arguments":"{}"}},"finish_reason":"function_call"}]}'
    renamed = (ToolCall(None, "B", "{}", 0),)
    answer = WireAnswer(renamed, finish_reason="function_call")
    assert encode_answer(answer, "openai.chat", body) == body.replace(b'"A"', b'"B"')


def test_a_new_call_without_an_id_is_not_a_legacy_function_call():
    body = encode_answer(WireAnswer(text="Hi"), "openai.chat.stream")
    answer = replace(read_answer(body), calls=(ToolCall(None, "A", "{}", 0),))
    assert b'"tool_calls"' in encode_answer(answer, "openai.chat.stream", body)


def test_an_original_in_another_encoding_of_the_characters_keeps_it():
    body = b'{"choices": [{"message": {"content": "caf\\u00e9"}, "finish_reason": "stop"}]}'
    encoded = encode_answer(WireAnswer(text="thé", finish_reason="stop"), "openai.chat", body)
    assert encoded == body.replace(b"caf", b"th")


def test_a_change_that_the_original_cannot_express_is_an_error():
    body = encode_answer(WireAnswer(PARALLEL, is_complete=False), "openai.responses.stream")
    answer = replace(read_answer(body), finish_reason="completed")
    with pytest.raises(
        ValueError, match=r"^the wire format openai\.responses\.stream cannot express the finish reason of this answer"
    ):
        encode_answer(answer, "openai.responses.stream", body)


@pytest.mark.parametrize("wire", FORMATS)
@pytest.mark.parametrize("body", [b"", b"[1]", b"no JSON", b": comment\n\n", b"\xff"])
def test_an_original_that_is_not_an_answer_is_an_error(wire, body):
    with pytest.raises(ValueError, match=rf"^the original answer is not valid in the wire format {wire}: "):
        encode_answer(WireAnswer(PARALLEL, text="Hi"), wire, body)


@pytest.mark.parametrize(
    ("recorded", "calls", "sources"),
    [
        ("A1 B2 C3", "A1 C3", [0, 2]),
        ("A1 B2", "B2 A1", [1, 0]),
        ("A1 B2", "N9 A1 B2", [None, 0, 1]),
        ("A1 B2", "X1 B2", [0, 1]),
        ("A1 B2", "B9", [1]),
        ("A1 B2", "X9 B2", [0, 1]),
        ("A- A-", "A- A- A-", [0, 1, None]),
    ],
)
def test_a_call_comes_from_the_recorded_call_that_is_most_like_it(recorded, calls, sources):
    def parse(text):
        return [ToolCall(None if one[1] == "-" else one[1], one[0], "{}", 0) for one in text.split()]

    assert match_calls(parse(recorded), parse(calls)) == sources
