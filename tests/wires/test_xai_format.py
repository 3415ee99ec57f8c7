"""Tools, conversations and the recognition of documents in the wire format of xAI's gRPC API."""

import json

import pytest

from multitrack.wires import (
    ToolDefinition,
    ToolResult,
    continue_conversation,
    encode_answer,
    read_answer,
    read_request,
    recognize,
    registry,
    write_tools,
)

XAI = registry.get_format("xai")
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}


def entry(call_id, kind="CLIENT_SIDE_TOOL"):
    function = {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    return {"id": call_id, "type": f"TOOL_CALL_TYPE_{kind}", "function": function}


def answer(*calls, **message):
    message = {"role": "ROLE_ASSISTANT", **message, "toolCalls": list(calls)}
    return {"id": "c", "model": "grok-4", "outputs": [{"message": message, "finishReason": "REASON_TOOL_CALLS"}]}


def test_a_tool_has_its_schema_as_a_text():
    [tool] = write_tools([ToolDefinition("get_weather", "The weather.", PARAMETERS)], "xai")
    assert json.loads(tool["function"].pop("parameters")) == PARAMETERS
    assert tool == {"function": {"name": "get_weather", "description": "The weather."}}


def test_strict_tools_are_an_error():
    with pytest.raises(TypeError, match="because xAI's gRPC API has no strict schemas; remove strict=True"):
        write_tools([ToolDefinition("get_weather", None, PARAMETERS)], "xai", strict=True)


def test_the_results_of_the_calls_follow_the_answer():
    document = answer(entry("a"), entry("s", "WEB_SEARCH_TOOL"), content="Let me look.", encryptedContent="c2ln")
    [call] = read_answer(document).calls
    assert continue_conversation(document, [ToolResult(call, True, "fine")], "xai", remark="Go on.") == [
        {
            "role": "ROLE_ASSISTANT",
            "content": [{"text": "Let me look."}],
            "encryptedContent": "c2ln",
            "toolCalls": [entry("a")],
        },
        {"role": "ROLE_TOOL", "content": [{"text": "fine"}], "toolCallId": "a"},
        {"role": "ROLE_USER", "content": [{"text": "Go on."}]},
    ]


def test_calls_of_the_server_stay_around_changed_calls():
    document = answer(entry("s", "WEB_SEARCH_TOOL"), entry("a"), entry("t", "MCP_TOOL"))
    before = read_answer(document)
    changed = json.loads(encode_answer(type(before)(), "xai", json.dumps(document).encode()))
    entries = changed["outputs"][0]["message"]["toolCalls"]
    assert [one["id"] for one in entries] == ["s", "t"]


REQUEST = {
    "messages": [
        {"role": "ROLE_SYSTEM", "content": [{"text": "Be brief."}]},
        {"role": "ROLE_ASSISTANT", "toolCalls": [entry("a")]},
    ],
    "model": "grok-4",
    "tools": [{"function": {"name": "get_weather"}}, {"webSearch": {}}],
}


@pytest.mark.parametrize("url", ["", "grpc://api.x.ai/xai_api.Chat/GetCompletion"])
def test_a_request_is_recognized(url):
    assert registry.recognize_request(REQUEST, url) is XAI
    assert read_request(REQUEST, url) == ("grok-4", ("get_weather",))


def test_the_messages_of_a_request_have_their_calls():
    texts = [(message.role, message.text) for message in XAI.read_messages(REQUEST)]
    assert texts == [("system", "Be brief."), ("assistant", "get_weather(city='Oslo')")]


@pytest.mark.parametrize("outputs", [[], [{"message": {}}], [{"message": {"role": "assistant"}}], "text", [1]])
def test_other_documents_with_outputs_are_not_answers(outputs):
    assert recognize({"outputs": outputs}) is None


def test_a_call_of_the_sdk_is_a_call():
    pytest.importorskip("xai_sdk", reason="xai-sdk is not installed; nox --session xai_sdk tests it")
    from xai_sdk.proto import chat_pb2

    function = chat_pb2.FunctionCall(name="get_weather", arguments='{"city":"Oslo"}')
    assert XAI.find_call(chat_pb2.ToolCall(id="a", function=function)) == ("get_weather", '{"city":"Oslo"}')
    assert XAI.find_call(function) is None
