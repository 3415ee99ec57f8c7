"""A stream, the whole answer and ``decode`` agree, whatever the provider does with indices, ids and final events."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from wire_answers import encode_body, load_recorded_answers, load_written_answers, read_body

from multitrack import decode
from multitrack.errors import ExtractionError, StreamBroken, TruncatedResponse
from multitrack.extraction import ExtractionStream, StreamSource, Toolset
from multitrack.extraction.response_reader import ResponseReader
from multitrack.wires import create_stream_decoder, read_answer, registry


class Weather(BaseModel):
    model_config = ConfigDict(extra="allow")


class Search(BaseModel):
    model_config = ConfigDict(extra="allow")


class Ping(BaseModel):
    """A tool without fields."""


MODELS = {"Weather": Weather, "Search": Search, "Ping": Ping}


class Chunks(StreamSource):
    """A stream whose chunks are parsed events, as google-genai returns them."""

    raw: Any = None
    usage: Any = None

    def __init__(self, wire, chunks):
        super().__init__(create_stream_decoder(wire))
        self._iterator = iter(chunks)

    def chunks(self):
        return self._iterator

    def feed(self, chunk):
        return self.decoder.feed_chunk(chunk)

    def close(self):
        return None


def extract_stream(wire, chunks, **options):
    """Return the models that the stream yields, and its ``Extraction`` or its error."""
    stream = ExtractionStream(ResponseReader(MODELS, **options), Chunks(wire, chunks))
    models = []
    try:
        models.extend(stream)
    except ExtractionError as error:
        return models, error
    return models, stream.extraction


def to_sse(chunks, end="data: [DONE]\n\n"):
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + end.encode()


def to_values(calls):
    return [(call.name, json.loads(call.arguments or "{}")) for call in calls]


# --- the property -----------------------------------------------------------------------------------------------

ARGUMENTS = st.dictionaries(
    st.text('ab"\\{}é', max_size=3), st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=3
)
CALLS = st.lists(st.tuples(st.sampled_from(["Weather", "Search", "Ping"]), ARGUMENTS), min_size=1, max_size=4)


def cut_text(draw, text):
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]


def interleave(draw, sequences):
    """Merge ``sequences``. Each sequence keeps its order, and the sequences begin one after the other."""
    merged = []
    waiting = [list(sequence) for sequence in sequences]
    started = 0
    while any(waiting):
        candidates = [n for n, rest in enumerate(waiting) if rest and n <= started]
        chosen = draw(st.sampled_from(candidates)) if candidates else next(n for n, rest in enumerate(waiting) if rest)
        started = max(started, chosen + 1)
        merged.append(waiting[chosen].pop(0))
    return merged


@st.composite
def chat_streams(draw):
    calls = draw(CALLS)
    is_interleaved, has_ids = draw(st.booleans()), draw(st.booleans())
    # a server that sends the same index, or none, for every call sends them one after the other, with their ids
    index_of = (lambda n: n) if is_interleaved or not has_ids or draw(st.booleans()) else (lambda _: 0)
    sequences = []
    for n, (name, arguments) in enumerate(calls):
        first, *rest = cut_text(draw, json.dumps(arguments))
        head = {"index": index_of(n), "function": {"name": name, "arguments": first}}
        if has_ids:
            head["id"] = f"call_{n}"
        if draw(st.booleans()):
            head["type"] = "function"
        sequences.append([head, *({"index": index_of(n), "function": {"arguments": piece}} for piece in rest)])
    fragments = interleave(draw, sequences) if is_interleaved else [one for sequence in sequences for one in sequence]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [fragment]}}]} for fragment in fragments]
    ends = draw(st.integers(1, 2))  # some gateways repeat the last chunk
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}] * ends
    if draw(st.booleans()):
        chunks.append({"choices": [], "usage": {"total_tokens": 1}})
    tool_calls = [
        {"id": f"call_{n}" if has_ids else None, "function": {"name": name, "arguments": json.dumps(arguments)}}
        for n, (name, arguments) in enumerate(calls)
    ]
    whole = {"choices": [{"message": {"tool_calls": tool_calls}, "finish_reason": "tool_calls"}]}
    return "openai.chat", calls, chunks, whole


@st.composite
def responses_streams(draw):
    calls = draw(CALLS)
    numbering = draw(st.sampled_from(["right", "zero", "none"]))
    ids = draw(st.sampled_from(["both", "call_id", "changing"]))
    is_repeated, has_output = draw(st.booleans()), draw(st.booleans())
    output, events = [], []
    if draw(st.booleans()):
        output.append({"type": "reasoning", "id": "rs_1", "summary": []})
    for n, (name, arguments) in enumerate(calls):
        item = {"type": "function_call", "call_id": f"call_{n}", "name": name, "arguments": json.dumps(arguments)}
        if ids != "call_id":
            item["id"] = f"fc_{n}"
        output.append(item)
    for position, item in enumerate(output):
        place = {"right": {"output_index": position}, "zero": {"output_index": 0}, "none": {}}[numbering]
        if item["type"] == "function_call":
            item_id = {} if ids == "call_id" else {"item_id": item["id"]}
            started = {**item, "arguments": ""}
            if ids == "changing":
                started["id"] = f"other_{position}"
                item_id = {"item_id": f"other_{position}"}
            events.append({"type": "response.output_item.added", **place, "item": started})
            events += [
                {"type": "response.function_call_arguments.delta", **place, **item_id, "delta": piece}
                for piece in cut_text(draw, item["arguments"])
            ]
            if draw(st.booleans()):
                done = {"type": "response.function_call_arguments.done", **place, **item_id}
                events.append({**done, "arguments": item["arguments"]})
        done = {"type": "response.output_item.done", **place, "item": item}
        events += [done, done] if is_repeated else [done]
    final = {"status": "completed", **({"output": output} if has_output else {})}
    events.append({"type": "response.completed", "response": final})
    return "openai.responses", calls, events, {"object": "response", "status": "completed", "output": output}


@st.composite
def gemini_streams(draw):
    calls = draw(CALLS)
    chunks, parts = [], []
    for name, arguments in calls:
        part = {"functionCall": {"name": name, "args": arguments}}
        parts.append(part)
        has_simple_keys = all(key.isalnum() for key in arguments)
        if has_simple_keys and draw(st.booleans()):
            chunks.append([{"functionCall": {"name": name, "willContinue": True}}])
            for key, value in arguments.items():
                kind = {int: "numberValue", str: "stringValue", type(None): "nullValue"}[type(value)]
                partial = {"jsonPath": f"$.{key}", kind: value}
                # google-genai's objects have every field, and None where it is absent
                if draw(st.booleans()):
                    partial = {"stringValue": None, "numberValue": None, "boolValue": None, **partial}
                chunks.append([{"functionCall": {"partialArgs": [partial], "willContinue": True}}])
            if draw(st.booleans()):
                chunks.append([{"functionCall": {}}])
        else:
            chunks.append([part])
    documents = [{"candidates": [{"content": {"parts": chunk}}]} for chunk in chunks]
    documents.append({"candidates": [{"finishReason": "STOP"}]})
    whole = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    return "gemini", calls, documents, whole


@st.composite
def anthropic_streams(draw):
    calls = draw(CALLS)
    numbering = draw(st.sampled_from(["right", "zero", "none"]))
    is_interleaved = numbering == "right" and draw(st.booleans())
    blocks = [{"type": "text", "text": "Let me look."}] if draw(st.booleans()) else []
    for n, (name, arguments) in enumerate(calls):
        blocks.append({"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": arguments})
        if draw(st.booleans()):
            blocks.append({"type": "server_tool_use", "id": f"srvtoolu_{n}", "name": name, "input": arguments})
    sequences = []
    for position, block in enumerate(blocks):
        place = {"right": {"index": position}, "zero": {"index": 0}, "none": {}}[numbering]
        deltas = []
        if block["type"] != "text":
            # an empty input often has no delta
            pieces = cut_text(draw, json.dumps(block["input"])) if block["input"] or draw(st.booleans()) else []
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]
        started = {**block, "input": {}} if deltas else block
        sequence = [{"type": "content_block_start", **place, "content_block": started}]
        sequence += [{"type": "content_block_delta", **place, "delta": delta} for delta in deltas]
        sequence += [{"type": "content_block_stop", **place}] if is_interleaved or draw(st.booleans()) else []
        sequences.append(sequence)
    events = interleave(draw, sequences) if is_interleaved else [one for sequence in sequences for one in sequence]
    if draw(st.booleans()):
        events.insert(draw(st.integers(0, len(events))), {"type": "ping"})
    message = {"type": "message", "role": "assistant", "content": [], "stop_reason": None}
    events.insert(0, {"type": "message_start", "message": message})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}})
    events += [{"type": "message_stop"}] if draw(st.booleans()) else []
    return "anthropic", calls, events, {**message, "content": blocks, "stop_reason": "tool_use"}


@st.composite
def bedrock_streams(draw):
    calls = draw(CALLS)
    is_numbered = draw(st.booleans())
    is_interleaved = is_numbered and draw(st.booleans())
    blocks = [{"text": "Let me look."}] if draw(st.booleans()) else []
    blocks += [
        {"toolUse": {"toolUseId": f"tooluse_{n}", "name": name, "input": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    sequences = []
    for position, block in enumerate(blocks):
        place = {"contentBlockIndex": position} if is_numbered else {}
        sequence = []
        if "text" in block:
            sequence += [{"contentBlockDelta": {**place, "delta": block}}]
        else:
            use = {key: value for key, value in block["toolUse"].items() if key != "input"}
            arguments = block["toolUse"]["input"]
            sequence += [{"contentBlockStart": {**place, "start": {"toolUse": use}}}]
            # an empty input often has no delta
            pieces = cut_text(draw, json.dumps(arguments)) if arguments != {} or draw(st.booleans()) else []
            sequence += [{"contentBlockDelta": {**place, "delta": {"toolUse": {"input": piece}}}} for piece in pieces]
        sequences.append([*sequence, {"contentBlockStop": place}])
    events = interleave(draw, sequences) if is_interleaved else [one for sequence in sequences for one in sequence]
    events = [{"messageStart": {"role": "assistant"}}, *events, {"messageStop": {"stopReason": "tool_use"}}]
    events += [{"metadata": {"usage": {"outputTokens": 1}}}] if draw(st.booleans()) else []
    message = {"role": "assistant", "content": blocks}
    return "bedrock", calls, events, {"output": {"message": message}, "stopReason": "tool_use"}


STREAM_CASES = st.one_of(chat_streams(), responses_streams(), gemini_streams(), anthropic_streams(), bedrock_streams())


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(STREAM_CASES)
def test_stream_and_whole_answer_agree(case):
    wire, calls, chunks, whole = case
    expected = [(name, {} if name == "Ping" and arguments is None else arguments) for name, arguments in calls]
    assert to_values(decode(whole, wire)) == expected
    assert to_values(decode(chunks, f"{wire}.stream")) == expected
    assert to_values(decode(to_sse(chunks), f"{wire}.stream")) == expected
    models, extraction = extract_stream(f"{wire}.stream", chunks)
    assert not isinstance(extraction, ExtractionError), extraction
    assert models == list(extraction)
    assert models == list(Toolset(list[Weather | Search | Ping]).extract(read_answer(whole, wire)))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(case=STREAM_CASES, data=st.data())
def test_a_stream_that_is_cut_yields_the_models_of_its_error(case, data):
    wire, _, chunks, _ = case
    end = data.draw(st.integers(0, len(chunks) - 1))
    models, result = extract_stream(f"{wire}.stream", chunks[:end])
    held = list(result.models) if isinstance(result, ExtractionError) else list(result)
    assert models == held


# --- each class of fault ----------------------------------------------------------------------------------------


def item(call_id, name="Weather", arguments='{"n": 1}', **fields):
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **fields}


def done(fields, **place):
    return {"type": "response.output_item.done", "item": fields, **place}


def completed(*output, **fields):
    return {"type": "response.completed", "response": {"status": "completed", "output": list(output), **fields}}


REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}


def test_two_items_with_the_same_output_index_are_two_items():
    events = [
        done(REASONING, output_index=0),
        done(item("call_a"), output_index=0),
        completed(REASONING, item("call_a")),
    ]
    models, extraction = extract_stream("openai.responses.stream", events)
    assert models == [Weather(n=1)]
    assert list(extraction) == models


@pytest.mark.parametrize("has_output", [True, False])
def test_items_without_an_output_index_are_each_yielded_once(has_output):
    items = [item("call_a", arguments='{"n": 1}'), item("call_b", arguments='{"n": 2}')]
    events = [*map(done, items), completed(*(items if has_output else ()))]
    models, extraction = extract_stream("openai.responses.stream", events)
    assert models == [Weather(n=1), Weather(n=2)]
    assert list(extraction) == models


def test_equal_items_without_any_id_are_not_merged():
    twice = [item(None), item(None)]
    events = [done(twice[0], output_index=0), done(twice[1], output_index=1), completed(*twice)]
    models, extraction = extract_stream("openai.responses.stream", events)
    assert models == [Weather(n=1), Weather(n=1)]
    assert list(extraction) == models


def test_the_final_event_completes_an_item_that_was_only_added():
    added = {"type": "response.output_item.added", "output_index": 0, "item": item("call_a", name="", arguments="")}
    models, extraction = extract_stream("openai.responses.stream", [added, completed(item("call_a"))])
    assert models == [Weather(n=1)]
    assert list(extraction) == models


def test_the_final_event_adds_an_item_that_had_no_event():
    events = [done(item("call_a"), output_index=0), completed(item("call_a"), item("call_b", name="Search"))]
    models, extraction = extract_stream("openai.responses.stream", events)
    assert models == [Weather(n=1), Search(n=1)]
    assert list(extraction) == models


def test_a_final_event_that_contradicts_a_complete_call_is_an_error():
    events = [done(item("call_a"), output_index=0), completed(item("call_a", arguments='{"n": 2}'))]
    models, error = extract_stream("openai.responses.stream", events)
    assert models == [Weather(n=1)]
    assert isinstance(error, ExtractionError)
    assert "was then sent again with different arguments" in str(error)


def gemini(*parts, **candidate):
    return {"candidates": [{"content": {"parts": list(parts)}, **candidate}]}


def function_call(**fields):
    return {"functionCall": fields}


def test_a_gemini_call_that_stays_open_is_yielded_when_the_stream_ends():
    chunks = [
        gemini(function_call(name="Weather", willContinue=True)),
        gemini(function_call(partialArgs=[{"jsonPath": "$.n", "numberValue": 1}], willContinue=True)),
        {"candidates": [{"finishReason": "STOP"}]},
    ]
    models, extraction = extract_stream("gemini.stream", chunks)
    assert models == [Weather(n=1)]
    assert list(extraction) == models


def test_a_named_gemini_call_ends_the_open_one_before_it():
    chunks = [
        gemini(function_call(name="Weather", willContinue=True)),
        gemini(function_call(name="Search", args={"n": 2})),
        {"candidates": [{"finishReason": "STOP"}]},
    ]
    models, extraction = extract_stream("gemini.stream", chunks)
    assert models == [Weather(), Search(n=2)]
    assert list(extraction) == models


def test_an_absent_value_of_a_partial_argument_may_be_none():
    partial = {"jsonPath": "$.n", "stringValue": None, "numberValue": 7, "boolValue": None, "nullValue": None}
    part = function_call(name="Weather", args=None, partialArgs=[partial], willContinue=None)
    models, _ = extract_stream("gemini.stream", [gemini(part, finishReason="STOP")])
    assert models == [Weather(n=7)]


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "A_FUTURE_REASON"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_gemini_finish_reason_that_reports_a_failure_is_an_error(reason, is_stream):
    call = function_call(name="Weather", args={"n": 1})
    body = gemini(call, finishReason=reason, finishMessage="print(x")
    if is_stream:
        models, error = extract_stream("gemini.stream", [body])
        assert models == [Weather(n=1)]
    else:
        with pytest.raises(ExtractionError) as raised:
            Toolset(list[Weather]).extract(read_answer(body, "gemini"))
        error = raised.value
    assert isinstance(error, ExtractionError)
    assert f"finish reason '{reason}': print(x" in str(error)
    assert list(error.models) == [Weather(n=1)]


CHAT_CALL = {"id": "a", "index": 0, "function": {"name": "Weather", "arguments": '{"n": 1}'}}


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"finish_reason": "error", "error": {"message": "upstream died", "code": 502}}, "upstream died"),
        ({"finish_reason": "error"}, "finish reason 'error'"),
        ({"finish_reason": "insufficient_system_resource"}, "finish reason 'insufficient_system_resource'"),
        ({"finish_reason": "stop", "error": "cut"}, "cut"),
    ],
)
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_chat_choice_that_reports_a_failure_is_an_error(choice, reason, is_stream):
    if is_stream:
        chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [CHAT_CALL]}}]}]
        chunks.append({"choices": [{"index": 0, "delta": {}, **choice}]})
        models, error = extract_stream("openai.chat.stream", chunks)
        assert models == [Weather(n=1)]
    else:
        with pytest.raises(ExtractionError) as raised:
            Toolset(list[Weather]).extract(
                read_answer({"choices": [{"message": {"tool_calls": [CHAT_CALL]}, **choice}]})
            )
        error = raised.value
    assert isinstance(error, ExtractionError)
    assert reason in str(error)
    assert list(error.models) == [Weather(n=1)]


def test_a_failure_in_a_later_choice_is_not_a_success():
    choices = [
        {"index": 0, "message": {"tool_calls": [CHAT_CALL]}, "finish_reason": "tool_calls"},
        {"index": 1, "message": {"content": None}, "finish_reason": "error"},
    ]
    assert read_answer({"choices": choices}, "openai.chat").error == "finish reason 'error'"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_responses_status_that_reports_a_failure_is_an_error(status, is_stream):
    body = {"object": "response", "status": status, "error": None, "output": [item("a")]}
    if is_stream:
        _, error = extract_stream("openai.responses.stream", [{"type": "response.failed", "response": body}])
    else:
        with pytest.raises(ExtractionError) as raised:
            Toolset(list[Weather]).extract(read_answer(body, "openai.responses"))
        error = raised.value
    assert f"status '{status}'" in str(error)
    assert list(error.models) == [Weather(n=1)]


def test_interleaved_calls_are_yielded_in_the_order_of_the_answer():
    def fragment(index, text, **head):
        delta = {"index": index, **head, "function": {"arguments": text, **({"name": "Weather"} if head else {})}}
        return {"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]}

    chunks = [
        fragment(0, '{"n":', id="a"),
        fragment(1, '{"n": 2}', id="b"),
        fragment(0, " 1}"),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    models, extraction = extract_stream("openai.chat.stream", chunks)
    assert models == [Weather(n=1), Weather(n=2)]
    assert list(extraction) == models


@pytest.mark.parametrize("first", [0, 1])
def test_a_call_with_a_higher_index_waits_for_the_lower_one(first):
    def chunk(index):
        call = {"index": index, "id": f"c{index}", "function": {"name": "Weather", "arguments": f'{{"n": {index}}}'}}
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    models, extraction = extract_stream("openai.chat.stream", [chunk(first), chunk(1 - first), end])
    assert models == [Weather(n=0), Weather(n=1)]
    assert list(extraction) == models


def test_the_calls_of_the_first_choice_come_first():
    def chunk(choice, number, reason=None):
        call = {"index": 0, "id": f"c{choice}", "function": {"name": "Weather", "arguments": f'{{"n": {number}}}'}}
        return {"choices": [{"index": choice, "delta": {"tool_calls": [call]}, "finish_reason": reason}]}

    models, extraction = extract_stream("openai.chat.stream", [chunk(1, 2, "tool_calls"), chunk(0, 1, "tool_calls")])
    assert models == [Weather(n=1), Weather(n=2)]
    assert list(extraction) == models


def test_a_call_after_one_that_was_cut_off_is_yielded_when_errors_are_collected():
    calls = [
        {"index": 0, "id": "a", "function": {"name": "Weather", "arguments": '{"n":'}},
        {"index": 1, "id": "b", "function": {"name": "Weather", "arguments": '{"n": 2}'}},
    ]
    chunks = [
        {"choices": [{"index": 0, "delta": {"tool_calls": calls}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    models, extraction = extract_stream("openai.chat.stream", chunks, on_error="collect")
    assert models == [Weather(n=2)]
    assert list(extraction) == models
    assert len(extraction.errors) == 1


@pytest.mark.parametrize("arguments", ["null", " null ", "", None, "{}"])
def test_a_tool_without_fields_accepts_absent_arguments(arguments):
    call = {"id": "a", "function": {"name": "Ping", "arguments": arguments}}
    body = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    assert list(Toolset(list[Ping]).extract(read_answer(body, "openai.chat"))) == [Ping()]


def anthropic_call(index, *pieces, name="Weather"):
    block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def anthropic_end(reason):
    return [{"type": "message_delta", "delta": {"stop_reason": reason}}, {"type": "message_stop"}]


def test_an_anthropic_call_is_returned_at_the_end_of_its_block():
    decoder = create_stream_decoder("anthropic.stream")
    *before, end = anthropic_call(0, '{"n"', ": 1}")
    assert [decoder.feed_chunk(event) for event in before] == [[]] * len(before)
    assert decoder.feed_chunk(end) == list(decoder.answer.calls)


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
@pytest.mark.parametrize("pieces", [(), ("",), ('{"n": 2',)], ids=["no input", "empty input", "half of the input"])
def test_an_anthropic_call_that_a_length_limit_cut_off_is_not_yielded(reason, pieces):
    events = [*anthropic_call(0, '{"n": 1}'), *anthropic_call(1, *pieces), *anthropic_end(reason)]
    decoder = create_stream_decoder("anthropic.stream")
    calls = [call for event in events for call in decoder.feed_chunk(event)]
    assert [call.id for call in calls] == ["toolu_0"]
    assert [call.id for call in decoder.answer.calls] == ["toolu_0", "toolu_1"]
    assert decoder.close() == []
    models, error = extract_stream("anthropic.stream", events)
    assert models == [Weather(n=1)]
    assert isinstance(error, TruncatedResponse)
    assert "1 of 2 calls are valid" in str(error)
    assert "a length limit cut this call off" in str(error)


@pytest.mark.parametrize(
    ("content", "models"),
    [([1, 2], [Weather(n=1)]), ([1, 2, "And"], [Weather(n=1), Weather(n=2)])],
    ids=["in a call", "after the calls"],
)
def test_an_anthropic_answer_that_was_cut_off_has_the_models_of_its_complete_calls(content, models):
    blocks = [
        {"type": "text", "text": part} if isinstance(part, str) else
        {"type": "tool_use", "id": f"toolu_{part}", "name": "Weather", "input": {"n": part}}
        for part in content
    ]  # fmt: skip
    answer = read_answer({"type": "message", "content": blocks, "stop_reason": "max_tokens"})
    with pytest.raises(TruncatedResponse) as raised:
        Toolset(list[Weather]).extract(answer)
    assert list(raised.value.models) == models


def test_an_anthropic_call_without_input_is_yielded_once_the_next_block_begins():
    decoder = create_stream_decoder("anthropic.stream")
    for event in anthropic_call(0, name="Ping"):
        assert decoder.feed_chunk(event) == []
    [call] = decoder.feed_chunk(anthropic_call(1)[0])
    assert (call.name, call.arguments) == ("Ping", "{}")


def test_invalid_json_in_an_anthropic_call_is_an_error_that_leaves_the_other_calls():
    events = [*anthropic_call(0, '{"n": tr'), *anthropic_call(1, '{"n": 2}'), *anthropic_end("tool_use")]
    models, extraction = extract_stream("anthropic.stream", events, on_error="collect")
    assert models == [Weather(n=2)]
    assert list(extraction) == models
    assert len(extraction.errors) == 1
    assert "not valid JSON" in str(extraction.errors[0])


def bedrock_call(index, *pieces):
    use = {"toolUseId": f"toolu_{index}", "name": "Weather"}
    deltas = [{"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}} for piece in pieces]
    return [
        {"contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": use}}},
        *({"contentBlockDelta": delta} for delta in deltas),
        {"contentBlockStop": {"contentBlockIndex": index}},
    ]


def blocks_of(wire, reason, *calls):
    """Return the events of a stream. Each of ``calls`` is a list of the events of a block, without some of them."""
    events = [event for call in calls for event in call]
    return [
        *events,
        *(anthropic_end(reason) if wire == "anthropic.stream" else [{"messageStop": {"stopReason": reason}}]),
    ]


BLOCK_STREAMS = [("anthropic.stream", anthropic_call), ("bedrock.stream", bedrock_call)]


@pytest.mark.parametrize(("wire", "write_call"), BLOCK_STREAMS)
@pytest.mark.parametrize("arguments", ['{"n": 1}', '{"n": 1'], ids=["whole", "broken"])
def test_calls_without_an_end_stay_in_order_if_a_length_limit_cut_the_answer_off(wire, write_call, arguments):
    *open_call, _ = write_call(0, arguments)
    events = blocks_of(wire, "max_tokens", open_call, write_call(1, '{"n": 2}'))
    assert [call.id for call in decode(events, wire)] == ["toolu_0", "toolu_1"]
    decoder = create_stream_decoder(wire)
    released = [call for event in events for call in decoder.feed_chunk(event)]
    assert released == list(decoder.answer.calls)


@pytest.mark.parametrize(("wire", "write_call"), BLOCK_STREAMS)
def test_input_for_a_block_without_a_start_breaks_the_stream(wire, write_call):
    _, *lost = write_call(0, '{"n": 1}')
    models, error = extract_stream(wire, blocks_of(wire, "tool_use", lost, write_call(1, '{"n": 2}')))
    assert models == [Weather(n=2)]
    assert isinstance(error, StreamBroken)
    assert "a content block received input, but its start is missing" in str(error)


def test_an_error_event_of_anthropic_breaks_the_stream():
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    models, error = extract_stream("anthropic.stream", [*anthropic_call(0, '{"n": 1}'), overloaded])
    assert models == [Weather(n=1)]
    assert isinstance(error, StreamBroken)
    assert "Overloaded" in str(error)
    assert list(error.models) == models


STREAMED = [
    *((wire, answer["id"], encode_body(answer)) for wire, answer in load_written_answers()),
    *((line["wire"], line["id"], read_body(line)) for line in load_recorded_answers()),
]


def test_the_document_of_a_stream_reads_like_the_stream():
    for wire, name, body in STREAMED:
        if not wire.endswith(".stream"):
            continue
        decoder = create_stream_decoder(wire)
        decoder.feed(body)
        decoder.close()
        answer = registry.get_format(wire).read_answer(decoder.document)
        assert answer.calls == decoder.answer.calls, name
        assert answer.text == decoder.answer.text, name


def test_the_document_of_a_chat_stream_has_the_reasoning_in_one_piece():
    decoder = create_stream_decoder("openai.chat.stream")
    details = [
        {"type": "reasoning.text", "index": 0, "text": "Let me"},
        {"type": "reasoning.text", "index": 0, "text": " think.", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "index": 1, "data": "gAAA"},
    ]
    for detail in details:
        delta = {"reasoning": detail.get("text", ""), "reasoning_details": [detail]}
        decoder.feed_chunk({"choices": [{"index": 0, "delta": delta}]})
    [choice] = decoder.document["choices"]
    assert choice["message"]["reasoning"] == "Let me think."
    assert choice["message"]["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "Let me think.", "signature": "c2ln"},
        details[2],
    ]


def test_the_document_of_a_gemini_stream_keeps_a_part_with_a_signature():
    decoder = create_stream_decoder("gemini.stream")
    thoughts = [{"text": "I ", "thought": True}, {"text": "think.", "thought": True}]
    texts = [{"text": "Hel"}, {"text": "lo"}, {"text": "", "thoughtSignature": "c2ln"}]
    call = [
        {
            "functionCall": {
                "name": "Weather",
                "willContinue": True,
                "partialArgs": [{"jsonPath": "$.place", "stringValue": "Os", "willContinue": True}],
            },
            "thoughtSignature": "bmV4dA==",
        },
        {"functionCall": {"partialArgs": [{"jsonPath": "$.place", "stringValue": "lo"}]}},
    ]
    for part in (*thoughts, *texts, *call):
        decoder.feed_chunk({"candidates": [{"content": {"role": "model", "parts": [part]}}]})
    assert decoder.document["candidates"][0]["content"]["parts"] == [
        {"text": "I think.", "thought": True},
        {"text": "Hello"},
        {"text": "", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "Weather", "args": {"place": "Oslo"}}, "thoughtSignature": "bmV4dA=="},
    ]
