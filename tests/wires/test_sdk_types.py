"""A decision on every block, delta, event, stop reason and error that the installed SDKs of Anthropic and AWS know.

The same for the finish reasons of Gemini.

If a newer SDK adds a type, a test fails, because the type has no decision yet. Add the type to its table, and let the
decoders handle it. An older SDK knows fewer types.
"""

import types
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import TypeAdapter
from test_newer_blocks import (
    ANTHROPIC,
    B_STREAMED,
    B_TEXT,
    BEDROCK,
    STREAMED,
    TEXT,
    anthropic_events,
    converse,
    converse_events,
    message,
)
from typing_extensions import is_typeddict

from multitrack.wires import continue_conversation, create_stream_decoder, read_answer, recognize
from multitrack.wires.tool import ToolResult

try:
    import anthropic
    from anthropic.types import beta
except ImportError:
    anthropic = None
try:
    from google.genai.types import FinishReason
except ImportError:
    FinishReason = None
try:
    import botocore.session
    from botocore.validate import ParamValidator
except ImportError:
    botocore = None

UNIONS = (Union, types.UnionType)
SAMPLES = {str: "x", int: 1, float: 1.5, bool: True, object: "x", Any: "x", datetime: "2026-01-01T00:00:00Z"}

# what extraction needs from an answer that ends for the reason: the attributes that are not the default
USUAL: dict[str, object] = {}
STOP_REASONS = {
    "end_turn": USUAL,
    "stop_sequence": USUAL,
    "tool_use": USUAL,
    "pause_turn": USUAL,
    "compaction": USUAL,
    "max_tokens": {"is_truncated": True},
    "model_context_window_exceeded": {"is_truncated": True},
    "refusal": {"refusal": "refusal"},
}
CALL, SHOWN, IGNORED = "a call", "text", "neither"
BLOCKS = {
    "text": SHOWN,
    "tool_use": CALL,
    "thinking": IGNORED,
    "redacted_thinking": IGNORED,
    "server_tool_use": IGNORED,
    "web_search_tool_result": IGNORED,
    "web_fetch_tool_result": IGNORED,
    "advisor_tool_result": IGNORED,
    "code_execution_tool_result": IGNORED,
    "bash_code_execution_tool_result": IGNORED,
    "text_editor_code_execution_tool_result": IGNORED,
    "tool_search_tool_result": IGNORED,
    "mcp_tool_use": IGNORED,
    "mcp_tool_result": IGNORED,
    "mcp_tool_listing": IGNORED,
    "container_upload": IGNORED,
    "compaction": IGNORED,
    "fallback": IGNORED,
}
# the block that a delta belongs to
DELTAS = {
    "text_delta": "text",
    "citations_delta": "text",
    "input_json_delta": "tool_use",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "compaction_delta": "compaction",
}
EVENTS = {
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
}

FILTERED, CUT_OFF, FAILED = "refusal", "is_truncated", "error"
FINISH_REASONS = {
    "FINISH_REASON_UNSPECIFIED": None,
    "STOP": None,
    "MAX_TOKENS": CUT_OFF,
    "CONTINUATION": CUT_OFF,
    "SAFETY": FILTERED,
    "RECITATION": FILTERED,
    "LANGUAGE": FILTERED,
    "BLOCKLIST": FILTERED,
    "PROHIBITED_CONTENT": FILTERED,
    "SPII": FILTERED,
    "IMAGE_SAFETY": FILTERED,
    "IMAGE_PROHIBITED_CONTENT": FILTERED,
    "IMAGE_RECITATION": FILTERED,
    "OTHER": FAILED,
    "MALFORMED_FUNCTION_CALL": FAILED,
    "UNEXPECTED_TOOL_CALL": FAILED,
    "TOO_MANY_TOOL_CALLS": FAILED,
    "NO_IMAGE": FAILED,
    "IMAGE_OTHER": FAILED,
}

BEDROCK_STOP_REASONS = {
    "end_turn": USUAL,
    "tool_use": USUAL,
    "stop_sequence": USUAL,
    "max_tokens": {"is_truncated": True},
    "model_context_window_exceeded": {"is_truncated": True},
    "guardrail_intervened": {"refusal": "guardrail_intervened"},
    "content_filtered": {"refusal": "content_filtered"},
    "malformed_model_output": {"error": "malformed_model_output"},
    "malformed_tool_use": {"error": "malformed_tool_use"},
}
BEDROCK_BLOCKS = {
    "text": SHOWN,
    "citationsContent": SHOWN,
    "toolUse": CALL,
    "image": IGNORED,
    "document": IGNORED,
    "video": IGNORED,
    "audio": IGNORED,
    "toolResult": IGNORED,
    "guardContent": IGNORED,
    "cachePoint": IGNORED,
    "reasoningContent": IGNORED,
    "searchResult": IGNORED,
    "toolAddition": IGNORED,
    "toolRemoval": IGNORED,
}
BEDROCK_STARTS = {"toolUse", "toolResult", "image"}
BEDROCK_DELTAS = {"text", "toolUse", "toolResult", "reasoningContent", "citation", "image"}
BEDROCK_EVENTS = {
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
}


def strip(form):
    """Return the type without its annotations and without ``None``, in any order."""
    while True:
        if get_origin(form) is Annotated:
            form = get_args(form)[0]
            continue
        known = [one for one in get_args(form) if one is not type(None)]
        if get_origin(form) not in UNIONS or len(known) != 1:
            return form
        form = known[0]


def list_members(form):
    """Return the members of a union, and of the unions in it."""
    form = strip(form)
    if get_origin(form) not in UNIONS:
        return [form]
    return [member for one in get_args(form) if one is not type(None) for member in list_members(one)]


@cache
def build_samples(form):
    """Return values of a type: for a union, values of each member; for a model, values of each field in turn."""
    return tuple(islice(yield_samples(strip(form)), 60))


def yield_samples(form):
    match get_origin(form):
        case _ if get_origin(form) in UNIONS:
            for member in list_members(form):
                yield from build_samples(member)
        case _ if get_origin(form) is Literal:
            yield get_args(form)[0]
        case _ if get_origin(form) is list:
            for sample in build_samples(get_args(form)[0]):
                yield [sample]
        case _ if get_origin(form) is dict or form is dict:
            yield {"city": "Bonn"}
        case _ if form in SAMPLES:
            yield SAMPLES[form]
        case _:
            fields = {field.alias or name: build_samples(field.annotation) for name, field in form.model_fields.items()}
            first = {name: samples[0] for name, samples in fields.items()}
            yield first
            yield from ({**first, name: sample} for name, samples in fields.items() for sample in samples[1:])


def list_types(union):
    """Return the members of one of the SDK's unions, by the value of their ``type``."""
    if anthropic is None:
        return {}
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in list_members(union)}


@cache
def read_request_types(form):
    """Return the fields of each dictionary in a type of the SDK for requests, and the type of the items of its list."""
    members = list_members(form)
    items = [get_args(one)[0] for one in members if get_args(one) and get_origin(one) is not Literal]
    return [get_type_hints(one) for one in members if is_typeddict(one)], next(iter(items), Any)


def find_unknown_keys(value, form, path="$"):
    """Yield the paths in ``value`` that are not in ``form``, a type of the SDK for requests."""
    dictionaries, items = read_request_types(form)
    if isinstance(value, list):
        for item in value:
            yield from find_unknown_keys(item, items, f"{path}[]")
    elif isinstance(value, dict):
        known = [fields for fields in dictionaries if value.get("type") in get_args(strip(fields.get("type", Any)))]
        for fields in known[:1]:
            for key, item in value.items():
                # a name that is a keyword of Python ends with an underscore
                if key in fields or f"{key}_" in fields:
                    yield from find_unknown_keys(item, fields.get(key, fields.get(f"{key}_")), f"{path}.{key}")
                else:
                    yield f"{path}.{key}"


INSTALLED_BLOCKS = list_types(beta.BetaContentBlock) if anthropic else {}
INSTALLED_DELTAS = list_types(beta.BetaRawContentBlockDeltaEvent.model_fields["delta"].annotation) if anthropic else {}
needs_anthropic = pytest.mark.skipif(anthropic is None, reason="anthropic is not installed")


@needs_anthropic
def test_every_type_of_anthropic_has_a_decision():
    assert INSTALLED_BLOCKS.keys() - BLOCKS.keys() == set()
    assert list_types(anthropic.types.ContentBlock).keys() - BLOCKS.keys() == set()
    assert INSTALLED_DELTAS.keys() - DELTAS.keys() == set()
    assert list_types(beta.BetaRawMessageStreamEvent).keys() - EVENTS == set()


@needs_anthropic
def test_every_stop_reason_of_anthropic_has_a_decision():
    for messages in (anthropic.types.Message, beta.BetaMessage):
        reasons = get_args(strip(messages.model_fields["stop_reason"].annotation))
        assert set(reasons) - STOP_REASONS.keys() == set()


@pytest.mark.parametrize("reason", STOP_REASONS)
def test_a_stop_reason_of_anthropic_is_read(reason):
    document = message(TEXT, stop=reason)
    decoder = create_stream_decoder("anthropic.stream")
    for event in anthropic_events(document):
        decoder.feed_chunk(event)
    for answer in (read_answer(document, "anthropic"), decoder.answer):
        assert answer.finish_reason == reason
        for name, default in {"is_truncated": False, "refusal": None, "error": None, "is_complete": True}.items():
            assert getattr(answer, name) == STOP_REASONS[reason].get(name, default), name


@pytest.mark.parametrize("kind", INSTALLED_BLOCKS)
def test_a_block_of_anthropic_is_read(kind):
    for block in build_samples(INSTALLED_BLOCKS[kind]):
        document = message(block)
        assert recognize(document) == "anthropic"
        answer = read_answer(document, "anthropic")
        assert len(answer.calls) == (BLOCKS[kind] == CALL)
        assert answer.text == ("x" if BLOCKS[kind] == SHOWN else None)


@pytest.mark.parametrize("kind", INSTALLED_BLOCKS)
def test_a_block_of_anthropic_is_sent_back_as_the_api_accepts_it(kind):
    for block in build_samples(INSTALLED_BLOCKS[kind]):
        document = message({"type": "text", "text": "Hm."}, block)
        decoder = create_stream_decoder("anthropic.stream")
        for event in anthropic_events(document):
            decoder.feed_chunk(event)
        results = [ToolResult(call, True, "fine") for call in decoder.answer.calls]
        sent = continue_conversation(document, results, "anthropic")
        assert continue_conversation(decoder.document, results, "anthropic") == sent
        assert list(find_unknown_keys(sent[0]["content"], list[beta.BetaContentBlockParam])) == []


@pytest.mark.parametrize("kind", INSTALLED_DELTAS)
def test_a_delta_of_anthropic_is_added_to_its_block(kind):
    block = build_samples(INSTALLED_BLOCKS[DELTAS[kind]])[0]
    empty = {key: value if key in ("type", "id", "name") else type(value)() for key, value in block.items()}
    for delta in build_samples(INSTALLED_DELTAS[kind]):
        decoder = create_stream_decoder("anthropic.stream")
        decoder.feed_chunk({"type": "content_block_start", "index": 0, "content_block": empty})
        before = decoder.document
        decoder.feed_chunk({"type": "content_block_delta", "index": 0, "delta": delta})
        assert decoder.document != before


@needs_anthropic
@pytest.mark.parametrize("wire", ["anthropic", "anthropic.stream"])
def test_every_error_of_anthropic_is_reported(wire):
    errors = list_types(getattr(anthropic.types, "ErrorObject", None) or beta.BetaError)
    assert "overloaded_error" in errors
    for kind in errors:
        document = {"type": "error", "error": {"type": kind, "message": "Slow down"}, "request_id": "req_1"}
        assert recognize(document) == "anthropic"
        assert read_answer(document, wire).error == "Slow down"


def test_a_fallback_names_the_model_that_answered():
    block = {"type": "fallback", "from": {"model": "claude-sonnet-5"}, "to": {"model": "claude-haiku-5"}}
    decoder = create_stream_decoder("anthropic.stream")
    for event in anthropic_events(message(block, TEXT)):
        decoder.feed_chunk(event)
    assert decoder.answer.model == "claude-haiku-5"
    assert decoder.document["model"] == "claude-haiku-5"


OF_THE_FUTURE = {"block of the future", "stop reason of the future"}


@pytest.mark.skipif("fallback" not in INSTALLED_BLOCKS, reason="anthropic is too old to know the types in the answers")
@pytest.mark.parametrize("name", sorted(ANTHROPIC.keys() - OF_THE_FUTURE))
def test_a_written_answer_has_the_form_that_the_sdk_knows(name):
    document = ANTHROPIC[name][0]
    beta.BetaMessage.model_validate(document)
    if name in STREAMED:
        events = [event for event in anthropic_events(document) if event["type"] != "ping"]
        TypeAdapter(list[beta.BetaRawMessageStreamEvent]).validate_python(events)


# --- Gemini ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(FinishReason is None, reason="google-genai is not installed")
def test_every_finish_reason_of_gemini_has_a_decision():
    assert {reason.value for reason in FinishReason} - FINISH_REASONS.keys() == set()


@pytest.mark.parametrize("reason", FINISH_REASONS)
@pytest.mark.parametrize("wire", ["gemini", "gemini.stream"])
def test_a_finish_reason_of_gemini_is_read(reason, wire):
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": reason}
    answer = read_answer({"candidates": [candidate]}, wire)
    for name in (FILTERED, CUT_OFF, FAILED):
        assert bool(getattr(answer, name)) == (name == FINISH_REASONS[reason]), name


# --- Bedrock's Converse API -----------------------------------------------------------------------------------------

SERVICE = None if botocore is None else botocore.session.get_session().get_service_model("bedrock-runtime")
needs_botocore = pytest.mark.skipif(SERVICE is None, reason="botocore is not installed")


@needs_botocore
@pytest.mark.parametrize(
    ("shape", "decisions"),
    [
        ("ContentBlock", BEDROCK_BLOCKS),
        ("ContentBlockStart", BEDROCK_STARTS),
        ("ContentBlockDelta", BEDROCK_DELTAS),
    ],
)
def test_every_type_of_bedrock_has_a_decision(shape, decisions):
    assert set(SERVICE.shape_for(shape).members) - set(decisions) == set()


@needs_botocore
def test_every_stop_reason_of_bedrock_has_a_decision():
    assert set(SERVICE.shape_for("StopReason").enum) - BEDROCK_STOP_REASONS.keys() == set()


@pytest.mark.parametrize("reason", BEDROCK_STOP_REASONS)
def test_a_stop_reason_of_bedrock_is_read(reason):
    document = converse(B_TEXT, stop=reason)
    decoder = create_stream_decoder("bedrock.stream")
    for event in converse_events(document):
        decoder.feed_chunk(event)
    for answer in (read_answer(document, "bedrock"), decoder.answer):
        assert answer.finish_reason == reason
        for name, default in {"is_truncated": False, "refusal": None, "error": None, "is_complete": True}.items():
            assert getattr(answer, name) == BEDROCK_STOP_REASONS[reason].get(name, default), name


@needs_botocore
def test_every_event_of_bedrock_is_read():
    members = SERVICE.shape_for("ConverseStreamOutput").members
    exceptions = {name for name, shape in members.items() if shape.metadata.get("exception")}
    assert members.keys() - exceptions - BEDROCK_EVENTS == set()
    for name in exceptions:
        answer = read_answer([{name: {"message": "Slow down"}}], "bedrock.stream")
        assert answer.error == f"{name}: Slow down"
        assert not answer.is_complete


@pytest.mark.parametrize(
    ("start", "deltas", "block"),
    [
        pytest.param(
            {"image": {"format": "png"}},
            [{"image": {"source": {"bytes": piece}}} for piece in ("aGVs", "bG8=")],
            {"image": {"format": "png", "source": {"bytes": "aGVsbG8="}}},
            id="an image",
        ),
        pytest.param(
            {"toolResult": {"toolUseId": "t", "type": "nova_grounding_result", "status": "success"}},
            [{"toolResult": [{"text": "a"}]}, {"toolResult": [{"json": {"b": 1}}]}],
            {
                "toolResult": {
                    "toolUseId": "t",
                    "type": "nova_grounding_result",
                    "status": "success",
                    "content": [{"text": "a"}, {"json": {"b": 1}}],
                }
            },
            id="the result of a server tool",
        ),
    ],
)
def test_a_streamed_block_of_bedrock_is_restored(start, deltas, block):
    decoder = create_stream_decoder("bedrock.stream")
    decoder.feed_chunk({"contentBlockStart": {"contentBlockIndex": 0, "start": start}})
    for delta in deltas:
        decoder.feed_chunk({"contentBlockDelta": {"contentBlockIndex": 0, "delta": delta}})
    decoder.feed_chunk({"contentBlockStop": {"contentBlockIndex": 0}})
    assert decoder.document["output"]["message"]["content"] == [block]
    assert decoder.answer.calls == ()


@needs_botocore
@pytest.mark.parametrize("name", sorted(BEDROCK.keys() - OF_THE_FUTURE))
def test_a_written_answer_of_converse_has_the_form_that_the_sdk_knows(name):
    if "toolAddition" not in SERVICE.shape_for("ContentBlock").members:
        pytest.skip("botocore is too old to know the types in the answers")
    document = BEDROCK[name][0]
    output = SERVICE.operation_model("Converse").output_shape
    assert ParamValidator().validate(document, output).generate_report() == ""
    if name in B_STREAMED:
        events = SERVICE.operation_model("ConverseStream").output_shape.members["stream"]
        for event in converse_events(document):
            # `p` is padding, which no SDK describes
            fields = {key: {name: one for name, one in value.items() if name != "p"} for key, value in event.items()}
            assert ParamValidator().validate(fields, events).generate_report() == ""
