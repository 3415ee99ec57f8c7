"""Requests, tools, errors and conversations in the wire format of Bedrock's Converse API."""

import json

import pytest
from pydantic import BaseModel
from wire_answers import load_recorded_answers, load_written_answers, read_body

from multitrack import ToolCall
from multitrack.extraction import Toolset
from multitrack.wires import (
    ToolResult,
    continue_conversation,
    create_stream_decoder,
    encode_answer,
    read_answer,
    read_request,
    recognize,
    registry,
)

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
REASONING = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}


class Place(BaseModel):
    """A place."""

    city: str
    country: str = "DE"


def use(call_id="tooluse_a", name="Place", arguments=None):
    return {
        "toolUse": {"toolUseId": call_id, "name": name, "input": {"city": "Bonn"} if arguments is None else arguments}
    }


def to_answer(*blocks):
    return {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": "tool_use"}


def check_request(**arguments):
    """Raise an error unless botocore accepts the arguments of ``converse``."""
    pytest.importorskip("botocore")
    import botocore.session
    from botocore.validate import ParamValidator

    shape = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": MODEL, **arguments}, shape)
    assert not report.has_errors(), report.generate_report()


def test_a_tool_has_the_schema_of_its_model():
    [tool] = Toolset(list[Place]).schemas("bedrock")
    assert tool == {
        "toolSpec": {
            "name": "Place",
            "description": "A place.",
            "inputSchema": {
                "json": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "country": {"default": "DE", "type": "string"}},
                    "required": ["city"],
                }
            },
        }
    }
    check_request(toolConfig={"tools": [tool]})


def test_strict_tools_have_schemas_in_the_strict_subset():
    [tool] = Toolset(list[Place]).schemas("bedrock", strict=True)
    specification = tool["toolSpec"]
    assert specification["strict"] is True
    assert specification["inputSchema"]["json"]["additionalProperties"] is False
    assert specification["inputSchema"]["json"]["required"] == ["city"]


@pytest.mark.parametrize("output", [None, {}, {"message": None}, {"message": {"role": "assistant"}}])
def test_an_answer_without_content_is_recognized(output):
    document = {"output": output, "stopReason": "content_filtered", "usage": {}, "metrics": {"latencyMs": 1}}
    assert recognize(document) == "bedrock"
    assert read_answer(document).refusal == "content_filtered"


def test_a_dictionary_cannot_be_a_strict_schema():
    class Counts(BaseModel):
        by_word: dict[str, int]

    with pytest.raises(
        TypeError, match=r"^Counts: Bedrock's strict tools cannot express a dictionary .* \(at \$\.by_word\)"
    ):
        Toolset(list[Counts]).schemas("bedrock", strict=True)


def test_a_conversation_continues_with_the_answer_and_its_results():
    answer = to_answer(REASONING, {"text": "Let me look."}, use(), use("tooluse_b"), {"text": " \n"})
    good, bad = read_answer(answer, "bedrock").calls
    results = [ToolResult(good, True, "sunny"), ToolResult(bad, False, "no such city")]
    messages = continue_conversation(answer, results, "bedrock", remark="Call Place again.")
    assert messages == [
        {"role": "assistant", "content": [REASONING, {"text": "Let me look."}, use(), use("tooluse_b")]},
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "tooluse_a", "content": [{"text": "sunny"}]}},
                {"toolResult": {"toolUseId": "tooluse_b", "content": [{"text": "no such city"}], "status": "error"}},
                {"text": "Call Place again."},
            ],
        },
    ]
    check_request(messages=messages)


def test_a_block_that_boto3_does_not_know_is_not_sent_back():
    answer = to_answer({"SDK_UNKNOWN_MEMBER": {"name": "newContent"}}, use())
    [call] = read_answer(answer, "bedrock").calls
    [message, _] = continue_conversation(answer, [ToolResult(call, True, "sunny")], "bedrock")
    assert message["content"] == [use()]


def test_the_result_of_a_server_tool_in_a_stream_is_in_its_document():
    decoder = create_stream_decoder("bedrock.stream")
    started = {"toolResult": {"toolUseId": "srv_1", "type": "nova_grounding_result", "status": "success"}}
    decoder.feed_chunk({"contentBlockStart": {"contentBlockIndex": 0, "start": started}})
    decoder.feed_chunk({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolResult": [{"text": "found"}]}}})
    [block] = decoder.document["output"]["message"]["content"]
    assert block == {"toolResult": {**started["toolResult"], "content": [{"text": "found"}]}}


@pytest.mark.parametrize("arguments", ["not JSON", [1], 3])
def test_an_input_that_is_no_object_goes_back_as_an_empty_one(arguments):
    answer = to_answer(use("", "a tool", arguments))
    [call] = read_answer(answer, "bedrock").calls
    [message, _] = continue_conversation(answer, [ToolResult(call, False, "invalid")], "bedrock")
    assert message["content"] == [use("call_0", "a_tool", {})]


def test_the_streamed_input_of_a_server_tool_goes_back():
    search = {"toolUseId": "srvtoolu_1", "name": "web_search", "type": "server_tool_use"}
    decoder = create_stream_decoder("bedrock.stream")
    decoder.feed_chunk({"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": search}}})
    for piece in ('{"query":', ' "rain"}'):
        decoder.feed_chunk({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": piece}}}})
    decoder.feed_chunk({"contentBlockStop": {"contentBlockIndex": 0}})
    decoder.feed_chunk({"messageStop": {"stopReason": "end_turn"}})
    [answer] = continue_conversation(decoder.document, [], "bedrock")
    assert answer["content"] == [{"toolUse": {**search, "input": {"query": "rain"}}}]


def test_redacted_and_signed_thoughts_of_a_stream_are_in_its_document():
    decoder = create_stream_decoder("bedrock.stream")
    for index, delta in [
        (0, {"text": "H"}),
        (0, {"text": "m."}),
        (0, {"signature": "c2ln"}),
        (1, {"redactedContent": b"x"}),
    ]:
        decoder.feed_chunk({"contentBlockDelta": {"contentBlockIndex": index, "delta": {"reasoningContent": delta}}})
    content = decoder.document["output"]["message"]["content"]
    assert content == [REASONING, {"reasoningContent": {"redactedContent": b"x"}}]


@pytest.mark.parametrize(("kind", "end"), [(bytes, b"xyz"), (str, "eHl6")])
def test_the_pieces_of_a_redacted_thought_are_joined(kind, end):
    decoder = create_stream_decoder("bedrock.stream")
    for piece in (b"x", b"yz") if kind is bytes else ("eA==", "eXo="):
        delta = {"reasoningContent": {"redactedContent": piece}}
        decoder.feed_chunk({"contentBlockDelta": {"contentBlockIndex": 0, "delta": delta}})
    [block] = decoder.document["output"]["message"]["content"]
    assert block["reasoningContent"]["redactedContent"] == end


def test_a_request_is_recognized_beside_those_of_anthropic():
    tools = {"tools": [{"toolSpec": {"name": "Place", "inputSchema": {"json": {}}}}]}
    body = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "system": [{"text": "Be brief."}]}
    assert registry.recognize_request(body).name == "bedrock"
    assert registry.recognize_request({"messages": [], "toolConfig": tools}).name == "bedrock"
    assert registry.recognize_request({"messages": []}, f"https://h/model/{MODEL}/converse-stream").name == "bedrock"
    assert read_request({**body, "toolConfig": tools}).tools == ("Place",)
    anthropic = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "system": "Be brief."}
    assert registry.recognize_request(anthropic).name == "anthropic"
    assert registry.recognize_request({**anthropic, "anthropic_version": "bedrock-2023-05-31"}).name == "anthropic"


@pytest.mark.parametrize("method", ["converse", "converse-stream", "invoke", "invoke-with-response-stream"])
def test_the_url_names_the_model(method):
    url = f"https://bedrock-runtime.eu-west-1.amazonaws.com/model/{MODEL.replace(':', '%3A')}/{method}"
    assert registry.find_model_in_url(url) == MODEL


def test_the_messages_of_a_request_are_read():
    results = [{"toolResult": {"toolUseId": "a", "content": [{"json": {"sun": True}}, {"text": "warm"}]}}]
    body = {
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "assistant", "content": [use()]}, {"role": "user", "content": results}],
    }
    messages = [(message.role, message.text) for message in registry.get_format("bedrock").read_messages(body)]
    assert messages == [
        ("system", "Be brief."),
        ("assistant", "Place(city='Bonn')"),
        ("user", '{"sun": true}\nwarm'),
    ]


@pytest.mark.parametrize("key", ["message", "Message"])
def test_an_error_has_only_a_message(key):
    body = json.dumps({key: "Too many requests, please wait before trying again."}).encode()
    assert recognize(body) is None
    answer = read_answer(body, "bedrock")
    assert answer.error == "Too many requests, please wait before trying again."


def test_a_dictionary_of_boto3_is_a_call():
    find_call = registry.get_format("bedrock").find_call
    assert find_call(use()) == ("Place", {"city": "Bonn"})
    assert find_call({"text": "Hi"}) is None


def test_thoughts_stay_around_changed_calls():
    body = json.dumps(to_answer(REASONING, use(), {"text": "Hi"})).encode()
    changed = ToolCall("tooluse_a", "Place", '{"city":"Rome"}', 0)
    answer = read_answer(body)
    encoded = json.loads(encode_answer(type(answer)((changed,), answer.text, answer.finish_reason), "bedrock", body))
    assert encoded == to_answer(REASONING, use(arguments={"city": "Rome"}), {"text": "Hi"})


def test_every_answer_can_be_continued():
    lines = [(line["id"], json.loads(read_body(line))) for line in load_recorded_answers() if line["wire"] == "bedrock"]
    lines += [(answer["id"], answer["body"]) for wire, answer in load_written_answers() if wire == "bedrock"]
    for name, document in lines:
        calls = read_answer(document, "bedrock").calls
        messages = continue_conversation(document, [ToolResult(call, True, "done") for call in calls], "bedrock")
        results = [block for message in messages for block in message["content"] if message["role"] == "user"]
        assert len(results) == len(calls), name
