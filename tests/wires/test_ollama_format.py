"""Tools, conversations and the recognition of documents in the wire format of Ollama's own API."""

import json

import pytest

from multitrack import ToolCall
from multitrack.wires import (
    ToolDefinition,
    ToolResult,
    continue_conversation,
    create_stream_decoder,
    read_answer,
    read_request,
    recognize,
    registry,
    write_tools,
)

OLLAMA = registry.get_format("ollama")
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ENTRY = {"function": {"index": 0, "name": "get_weather", "arguments": {"city": "Tokyo"}}}
CALL = ToolCall(None, "get_weather", '{"city":"Tokyo"}', 0)


def answer(*calls, **message):
    tool_calls = {"tool_calls": list(calls)} if calls else {}
    message = {"role": "assistant", "content": "", **message, **tool_calls}
    return {"model": "llama3.2", "created_at": "2025-07-07T20:32:53Z", "message": message, "done": True}


def test_a_tool_is_written_as_a_function():
    [tool] = write_tools([ToolDefinition("get_weather", "The weather.", PARAMETERS)], "ollama")
    function = {"name": "get_weather", "description": "The weather.", "parameters": PARAMETERS}
    assert tool == {"type": "function", "function": function}


def test_strict_tools_are_an_error():
    with pytest.raises(TypeError, match="because Ollama has no strict schemas; remove strict=True"):
        write_tools([ToolDefinition("get_weather", None, PARAMETERS)], "ollama", strict=True)


def test_a_result_names_its_tool():
    results = [ToolResult(CALL, True, "11 degrees")]
    assert continue_conversation(answer(ENTRY, thinking="Hm."), results, "ollama", remark="Go on.") == [
        {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [ENTRY]},
        {"role": "tool", "tool_name": "get_weather", "content": "11 degrees"},
        {"role": "user", "content": "Go on."},
    ]


def test_a_result_has_the_id_of_its_call_if_there_is_one():
    document = answer({"id": "call_a", **ENTRY})
    [call] = read_answer(document).calls
    message, result = continue_conversation(document, [ToolResult(call, False, "wrong")], "ollama")
    assert message["tool_calls"][0]["id"] == "call_a"
    assert result["tool_call_id"] == "call_a"


def test_arguments_that_are_not_an_object_go_back_as_an_empty_one():
    document = answer({"function": {"name": "get_weather", "arguments": '{"city":'}})
    [call] = read_answer(document).calls
    message, _ = continue_conversation(document, [ToolResult(call, False, "wrong")], "ollama")
    assert message["tool_calls"][0]["function"]["arguments"] == {}


def test_an_answer_without_content_is_left_out():
    assert continue_conversation(answer(), [], "ollama", remark="Go on.") == [{"role": "user", "content": "Go on."}]


def test_the_document_of_a_stream_has_the_whole_answer():
    decoder = create_stream_decoder("ollama.stream")
    chunks = [{"thinking": "H"}, {"thinking": "m."}, {"content": "Let"}, {"content": " me."}, {"tool_calls": [ENTRY]}]
    calls = [
        decoder.feed(json.dumps({**answer(**message), "done": False}).encode() + b"\n") for message in [*chunks, {}]
    ]
    assert calls == [[], [], [], [], [CALL], []]
    decoder.feed(json.dumps({**answer(), "done_reason": "stop"}).encode())
    assert decoder.document["message"] == {
        "role": "assistant",
        "content": "Let me.",
        "thinking": "Hm.",
        "tool_calls": [ENTRY],
    }
    assert decoder.has_ended
    assert decoder.answer == read_answer(decoder.document)


def test_a_request_is_recognized_by_its_path():
    body = {"model": "llama3.2", "messages": [], "tools": [{"type": "function", "function": {"name": "get_weather"}}]}
    assert OLLAMA.recognizes_request(body, "http://localhost:11434/api/chat")
    assert not OLLAMA.recognizes_request(body, "http://localhost:11434/v1/chat/completions")
    assert read_request(body, "http://localhost:11434/api/chat") == ("llama3.2", ("get_weather",))


@pytest.mark.parametrize("field", [{"options": {"seed": 1}}, {"think": True}, {"keep_alive": "5m"}])
def test_a_request_is_recognized_by_its_fields(field):
    assert registry.recognize_request({"model": "llama3.2", "messages": [], **field}) is OLLAMA


def test_the_messages_of_a_chat_have_their_calls():
    messages = [{"role": "user", "content": "Hi"}, answer(ENTRY)["message"]]
    texts = [(message.role, message.text) for message in OLLAMA.read_messages({"messages": messages})]
    assert texts == [("user", "Hi"), ("assistant", "get_weather(city='Tokyo')")]


def test_the_messages_of_a_completion_are_its_system_prompt_and_its_prompt():
    found = OLLAMA.read_messages({"model": "llama3.2", "system": "Be brief.", "prompt": "Why?"})
    assert [(message.role, message.text) for message in found] == [("system", "Be brief."), ("user", "Why?")]


@pytest.mark.parametrize(
    "document", [{"done": True}, {"done": True, "response": "ok"}, {"model": "m", "done": "yes", "response": ""}]
)
def test_other_documents_with_such_fields_are_not_answers(document):
    assert recognize(document) is None


@pytest.mark.parametrize(
    ("body", "has_mark"),
    [
        (
            b'{"model":"m","message":{},"done":false}\n{"model":"m","message":{},"done_reason":"stop","done":true}\n',
            True,
        ),
        (b'{"model":"m","message":{},"done_reason":"stop","done":true,"eval_count":15}', True),
        (b'{"model":"m","message":{},"done":false}\n', False),
        (b'{"model":"m","message":{"tool_calls":[{"function":{"arguments":{"done":true}}}]},"done":false}\n', False),
        (b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"args":{"done":true}}}]}}]}\n\n', False),
    ],
)
def test_the_end_mark_of_a_stream_is_found(body, has_mark):
    assert registry.has_end_mark(body) is has_mark


def test_a_call_of_the_sdk_is_a_call():
    ollama = pytest.importorskip("ollama")
    message = ollama.Message(role="assistant", tool_calls=[ENTRY])
    assert OLLAMA.find_call(message.tool_calls[0]) == ("get_weather", {"city": "Tokyo"})
    assert OLLAMA.find_call(message) is None
